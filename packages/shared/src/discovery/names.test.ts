// Decides: whether names are resolved when they are due, and what is known stays when one fails.
import { describe, expect, test } from 'vitest';
import { validateConfig } from '../config/parse.ts';
import { createNames, type Resolver } from './names.ts';

const INTERVAL_MS = 30_000;

function stage(resolve: Resolver['resolve'], urls: readonly string[] = ['http://nodes.test:8545']) {
  const upstreams = urls.map((url, at) => ({ id: String.fromCharCode(97 + at), url }));
  const { networks } = validateConfig({ networks: { main: { resolve: 'each', upstreams } } });
  if (networks.main === undefined) throw new TypeError('the network was named in the line above');
  const asked: string[] = [];
  const logged: string[] = [];
  const changes: string[][] = [];
  const write = (fields: object, message: string) => {
    logged.push(`${JSON.stringify(fields)} ${message}`);
  };
  const names = createNames({
    network: 'main',
    config: networks.main,
    resolver: {
      intervalMs: INTERVAL_MS,
      resolve(name) {
        asked.push(name);
        return resolve(name);
      },
    },
    log: { debug: write, info: write, warn: write, error: write },
    onChange: (located) => changes.push(located.map(({ id }) => id)),
  });
  return { names, asked, logged, changes };
}

describe('a name', () => {
  test('is resolved at once and again when its interval is over', async () => {
    const { names, asked } = stage(async () => ['10.0.0.1']);
    await names.refresh(0);
    await names.refresh(INTERVAL_MS - 1);
    expect(asked).toEqual(['nodes.test']);
    await names.refresh(INTERVAL_MS);
    expect(asked).toEqual(['nodes.test', 'nodes.test']);
  });

  test('that several upstreams share is resolved once', async () => {
    const { names, asked, changes } = stage(async () => ['10.0.0.1'], ['http://n.test:1', 'http://n.test:2']);
    await names.refresh(0);
    expect(asked).toEqual(['n.test']);
    expect(changes).toEqual([['a@10.0.0.1', 'b@10.0.0.1']]);
  });

  test('that is still being resolved is not asked for twice, and holds up no other', async () => {
    const waiting = Promise.withResolvers<readonly string[]>();
    const slow = 'http://slow.test:1';
    const { names, asked, changes } = stage(
      (name) => (name === 'slow.test' ? waiting.promise : Promise.resolve(['10.0.0.1'])),
      [slow, 'http://fast.test:1'],
    );
    const first = names.refresh(0);
    const second = names.refresh(INTERVAL_MS);
    expect(asked).toEqual(['slow.test', 'fast.test']);
    await Promise.resolve();
    waiting.resolve(['10.0.0.2']);
    await Promise.all([first, second]);
    expect(changes).toEqual([
      ['a', 'b@10.0.0.1'],
      ['a@10.0.0.2', 'b@10.0.0.1'],
    ]);
  });

  test('whose addresses only change their order changes nothing', async () => {
    const answers = [
      ['10.0.0.1', '10.0.0.2'],
      ['10.0.0.2', '10.0.0.1', '10.0.0.1'],
    ];
    const { names, changes } = stage(async () => answers.shift() ?? []);
    await names.refresh(0);
    await names.refresh(INTERVAL_MS);
    expect(changes).toEqual([['a@10.0.0.1', 'a@10.0.0.2']]);
  });

  test('is told of no more once it is closed', async () => {
    const { names, changes } = stage(async () => ['10.0.0.1']);
    const resolved = names.refresh(0);
    names.close();
    await resolved;
    expect(changes).toEqual([]);
  });
});

describe('a name that does not resolve', () => {
  test.each([
    { how: 'fails', answer: () => Promise.reject(new Error('ENOTFOUND nodes.test')) },
    { how: 'has no address', answer: async () => [] },
    { how: 'has something else than addresses', answer: async () => ['nodes.test'] },
    {
      how: 'makes its resolver throw',
      answer: () => {
        throw new Error('out of order');
      },
    },
  ])(
    'because it $how keeps its addresses, is logged once without the name, and is tried again soon',
    async ({ answer }) => {
      let resolve: Resolver['resolve'] = async () => ['10.0.0.1'];
      const { names, asked, logged, changes } = stage((name) => resolve(name));
      await names.refresh(0);
      resolve = answer;
      await names.refresh(INTERVAL_MS);
      await names.refresh(INTERVAL_MS + 1999);
      expect(asked).toHaveLength(2);
      await names.refresh(INTERVAL_MS + 2000);
      expect(asked).toHaveLength(3);
      expect(names.upstreams()).toMatchObject([{ id: 'a@10.0.0.1' }]);
      expect(names.unresolved()).toEqual(['a']);
      expect(changes).toHaveLength(1);
      expect(logged).toEqual([expect.stringMatching(/"upstream":"a"\} .* does not resolve/)]);
      expect(logged.join()).not.toContain('nodes.test');

      resolve = async () => ['10.0.0.2'];
      await names.refresh(INTERVAL_MS + 4000);
      expect(names.unresolved()).toEqual([]);
      expect(names.upstreams()).toMatchObject([{ id: 'a@10.0.0.2' }]);
      expect(logged[1]).toContain('resolves again');
    },
  );
});
