import { expect, test } from 'vitest';
import type { FakeNode } from '../../../test/kit/fake-node.ts';
import { startFront, startNodes } from './front.ts';

const TRACE = { methods: { tags: { 'trace_*': 'trace' } } };

async function start(network: object) {
  const [a, b, c] = (await startNodes({}, {}, {})) as [FakeNode, FakeNode, FakeNode];
  const front = await startFront([a, b, c], {
    network,
    plugin: { ops: '/-/ops' },
    upstreams: [{}, { tags: ['trace'] }, { tier: 'fallback' }],
  });
  return { front, a, b, c };
}

test('a call that wants a tag goes only where it is, also within a batch', async () => {
  const { front, a, b } = await start(TRACE);
  for (let calls = 0; calls < 4; calls++) await front.call('trace_block', ['0x1']);
  expect([a.hits(), b.hits()]).toEqual([0, 4]);
  const batch = ['eth_chainId', 'trace_block', 'eth_gasPrice', 'trace_filter'];
  const answer = await front.send(
    '/net',
    JSON.stringify(batch.map((method, id) => ({ jsonrpc: '2.0', id, method, params: [] }))),
  );
  expect(answer.json.map(({ id }: { id: number }) => id)).toEqual([0, 1, 2, 3]);
  const seen = (node: FakeNode) => node.requests.map(({ body }) => body).join('');
  expect(seen(a)).not.toContain('trace_');
});

test('a method that a node does not know is asked of another, and of that one at once from then on (incident 6)', async () => {
  const { front, a, b } = await start({});
  a.answer = () => ({ error: { code: -32601, message: 'the method trace_block does not exist' } });
  b.answer = () => ({ result: [] });
  for (let calls = 0; calls < 6; calls++) expect((await front.call('trace_block')).json.result).toEqual([]);
  expect([a.hits(), b.hits()]).toEqual([1, 6]);
  expect(front.upstream('a')).toMatchObject({ fails: 0, state: 'eligible' });
});

test('a method that no node knows is asked of each once, and then of one per call', async () => {
  const { front, a, b, c } = await start({});
  const lacking = () => ({ error: { code: -32601, message: 'method not found' } });
  for (const node of [a, b, c]) node.answer = lacking;
  const first = await front.call('made_up');
  expect(first.json.error).toEqual({ code: -32601, message: 'method not found' });
  const before = a.hits() + b.hits() + c.hits();
  expect(before).toBe(3);
  for (let calls = 0; calls < 5; calls++) expect((await front.call('made_up')).json.error.code).toBe(-32601);
  expect(a.hits() + b.hits() + c.hits() - before).toBe(5);
});

test('explain says of every upstream why a call would not go there, and who would get it', async () => {
  const { front } = await start(TRACE);
  const explained = front.app.rpcBalancer.explain('net', { method: 'trace_block' });
  expect(explained).toMatchObject({
    network: 'net',
    method: 'trace_block',
    safety: 'read',
    traits: { protocol: 'evm', effect: 'read', admin: false, cost: 50 },
    tag: 'trace',
    picked: 'b',
  });
  expect(explained.upstreams.map(({ id, reason }) => [id, reason])).toEqual([
    ['a', 'untagged'],
    ['b', null],
    ['c', 'untagged'],
  ]);
  const usual = front.app.rpcBalancer.explain('net', { method: 'eth_call' });
  expect(usual.upstreams.map(({ reason }) => reason)).toEqual([null, null, 'standby']);
});

test('the explain route answers the same, and says what is missing in a question', async () => {
  const { front } = await start(TRACE);
  const right = await front.send('/-/ops/status/explain?network=net&method=trace_block', null, {
    verb: 'GET',
  });
  expect(right.json).toEqual(front.app.rpcBalancer.explain('net', { method: 'trace_block' }));
  const unknown = await front.send('/-/ops/status/explain?network=other&method=eth_call', null, {
    verb: 'GET',
  });
  expect([unknown.status, unknown.json.code]).toEqual([404, 'RPCB_UNKNOWN_NETWORK']);
  const without = await front.send('/-/ops/status/explain?network=net', null, { verb: 'GET' });
  expect(without.json.message).toContain('?network=mainnet&method=eth_call');
});

test.each([
  ['evm', 'eth_gasPrice'],
  ['http', '/x'],
] as const)(
  'the debug log tells the way of each request of %s, and nothing is told without it',
  async (protocol, method) => {
    for (const level of ['debug', 'info']) {
      const [a, b] = (await startNodes({ anyVerb: true }, { anyVerb: true })) as [FakeNode, FakeNode];
      a.mode = 'reads500';
      const lines: string[] = [];
      const stream = { write: (line: string) => void lines.push(line) };
      const front = await startFront([a, b], {
        network: { protocol },
        server: { logger: { level, stream } },
      });
      if (protocol === 'http') await front.send('/net/x', null, { verb: 'GET' });
      else await front.call(method);
      const told = lines.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'answered');
      if (level === 'info') expect(told).toEqual([]);
      else {
        expect(told).toHaveLength(1);
        expect(told[0]).toMatchObject({
          network: 'net',
          methods: [method],
          attempts: [
            { upstream: 'a', outcome: 'failed' },
            { upstream: 'b', outcome: 'answered' },
          ],
          failures: [],
        });
      }
    }
  },
);
