// Where we differ from nginx on purpose: each difference beside what nginx does, on the same nodes.
import { describe, expect, test } from 'vitest';
import type { Mode } from '../../../test/kit/fake-node.ts';
import { reasonsNow } from '../src/balance/network-state.ts';
import { Cancellation } from '../src/upstream/cancellation.ts';
import { type Bench, startBench } from './nginx-bench.ts';

type Network = NonNullable<Parameters<typeof startBench>[1]>;

const COMMON: Network = { maxFails: 3, failTimeout: '10s' };
const NGINX: Network = { ...COMMON, compat: 'nginx' };
const NGINX_REPEATING: Network = { ...NGINX, retryOn: ['error', 'timeout', 'http_503', 'non_idempotent'] };

const WRITE = 'eth_sendRawTransaction';

/** Two nodes, the first of which, or both, are bad. */
async function pairWith(mode: Mode, network: Network, bad: 'first' | 'both' = 'first'): Promise<Bench> {
  const bench = await startBench([{}, {}], network);
  for (const node of bad === 'first' ? bench.nodes.slice(0, 1) : bench.nodes) node.mode = mode;
  return bench;
}

describe('what may be repeated', () => {
  test('D1: a read is repeated elsewhere although it is a POST, which nginx gives up', async () => {
    expect(await (await pairWith('reset', COMMON)).post()).toMatchObject({ status: 200, tried: 'ab' });
    expect(await (await pairWith('reset', NGINX)).post()).toMatchObject({ status: 502, tried: 'a' });
  });

  test('D2: a trial whose client left says nothing and is given to the next, while nginx takes it for a success', async () => {
    for (const [network, fails] of [
      [COMMON, 1],
      [NGINX, 0],
    ] as const) {
      const bench = await startBench([{ maxFails: 1 }, { disabled: true }], network);
      for (const node of bench.nodes) node.mode = 'reset';
      await bench.post(WRITE);
      bench.clock.advance(11_000);
      const [node] = bench.nodes;
      const leaving = new Cancellation();
      if (node) node.mode = 'ok';
      if (node)
        node.answer = () => {
          leaving.cancel('client');
          return { hang: true };
        };
      expect((await bench.post(WRITE, leaving)).tried).toBe('a');
      expect(bench.fails()[0]).toBe(fails);
      expect((await bench.post(WRITE, new Cancellation())).tried).toBe('a');
    }
  });

  test('D3: the first reset of a kept connection is not counted, which nginx counts', async () => {
    for (const [network, fails] of [
      [COMMON, 0],
      [NGINX, 1],
    ] as const) {
      const bench = await startBench([{}, { disabled: true }], network);
      await bench.post();
      for (const node of bench.nodes) node.mode = 'reset';
      expect(await bench.post(WRITE)).toMatchObject({ status: 502, tried: 'a' });
      expect(bench.fails()[0]).toBe(fails);
    }
  });
});

describe('what counts against an upstream', () => {
  test('D4: a status of failure counts on the last attempt as well, which nginx passes on as a success', async () => {
    const ours = await pairWith('http503', COMMON, 'both');
    await ours.post();
    expect(ours.fails()).toEqual([1, 1]);
    const theirs = await pairWith('http503', NGINX_REPEATING, 'both');
    await theirs.post();
    expect(theirs.fails()).toEqual([1, 0]);
  });

  test('D5: a status of failure counts even if the call may not be repeated, which nginx passes on as a success', async () => {
    for (const [network, fails] of [
      [COMMON, 1],
      [NGINX, 0],
    ] as const) {
      const bench = await pairWith('http503', network);
      expect((await bench.post(WRITE)).tried).toBe('a');
      expect(bench.fails()[0]).toBe(fails);
    }
  });

  test('D6: a body that breaks off counts and is read elsewhere, while nginx passes on what there is', async () => {
    const ours = await pairWith('cut', COMMON);
    expect(await ours.post()).toMatchObject({ status: 200, tried: 'ab' });
    expect(ours.fails()).toEqual([1, 0]);
    const theirs = await pairWith('cut', NGINX_REPEATING);
    expect(await theirs.post()).toEqual({ status: 200, tried: 'a', text: 'cut' });
    expect(theirs.fails()).toEqual([0, 0]);
  });

  test('D7: what is no HTTP counts and is read elsewhere, while nginx counts nothing', async () => {
    const ours = await pairWith('noHttp', COMMON);
    expect(await ours.post()).toMatchObject({ status: 200, tried: 'ab' });
    expect(ours.fails()).toEqual([1, 0]);
    const theirs = await pairWith('noHttp', NGINX_REPEATING);
    expect(await theirs.post()).toMatchObject({ status: 502, tried: 'a' });
    expect(theirs.fails()).toEqual([0, 0]);
  });

  test('D8: a limit inside a good status goes elsewhere, which nginx does not see', async () => {
    const limit = { error: { code: -32005, message: 'limit exceeded' } };
    for (const [network, tried] of [
      [COMMON, 'ab'],
      [NGINX, 'a'],
    ] as const) {
      const bench = await startBench([{}, {}], network);
      for (const node of bench.nodes.slice(0, 1)) node.answer = () => limit;
      const told = await bench.post();
      expect(told).toMatchObject({ status: 200, tried });
      expect(JSON.parse(told.text).error?.code).toBe(tried === 'a' ? -32005 : undefined);
    }
  });
});

describe('when an upstream is excluded', () => {
  test('D10: when all are, the answer is 503 and trials come every second; nginx answers 502 and waits', async () => {
    for (const [network, status, retry] of [
      [COMMON, 503, ['a', 'b']],
      [NGINX_REPEATING, 502, []],
    ] as const) {
      const bench = await pairWith('reset', { ...network, maxFails: 1 }, 'both');
      expect((await bench.post()).tried).toBe('ab');
      expect(await bench.post()).toMatchObject({ status, tried: '' });
      bench.clock.advance(1500);
      expect([...(await bench.post()).tried].sort()).toEqual(retry);
      bench.clock.advance(10_000);
      expect((await bench.post()).tried).toHaveLength(2);
    }
  });

  test('D11: the fail timeout is exact to the millisecond, where nginx waits for a whole second to begin', async () => {
    for (const [network, tooEarly, inTime] of [
      [COMMON, 10_000, 10_001],
      [NGINX_REPEATING, 10_099, 10_100],
    ] as const) {
      const bench = await pairWith('reset', { ...network, maxFails: 1 });
      bench.clock.advance(900); // The clock began with a whole second.
      await bench.post(WRITE);
      const reason = () => reasonsNow(bench.network.state, bench.clock.now())[0];
      bench.clock.advance(tooEarly);
      expect(reason()).toBe('ejected');
      bench.clock.advance(inTime - tooEarly);
      expect(reason()).toBeNull();
    }
  });
});
