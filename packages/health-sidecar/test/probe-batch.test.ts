// Decides: whether a probe asks in batches where it may, and finds the same where it may not, over real sockets.
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  type FakeCall,
  type FakeNode,
  type FakeNodeOptions,
  type Override,
  startFakeNode,
} from '../../../test/kit/fake-node.ts';
import { startFakeSubstrate } from '../../../test/kit/fake-substrate.ts';
import type { Batches } from '../src/probes/protocol.ts';
import { monotonicNow } from '../src/runtime.ts';
import { IMPATIENT_MS, probe, SINGLY } from './probing.ts';

const EVM_BATCH = ['eth_chainId', 'eth_syncing', 'eth_blockNumber', 'eth_getBlockByNumber'];
const FINALITY = ['eth_getBlockByNumber'];

async function startNode(options: FakeNodeOptions = {}): Promise<FakeNode> {
  const node = await startFakeNode({ head: 100, ...options });
  onTestFinished(() => node.stop());
  return node;
}

/** What was asked in one request each, in no order. */
function requestsOf({ requests }: FakeNode): readonly (readonly string[])[] {
  return requests.map(({ methods }) => methods).toSorted((a, b) => b.length - a.length);
}

function watched(): Batches & { readonly refusals: () => number } {
  let refusals = 0;
  return { areRefused: () => refusals > 0, refused: () => refusals++, refusals: () => refusals };
}

/** What a sample says but for its times. */
function told(sample: object): object {
  return { ...sample, sampledAt: 0, latencyMs: 0 };
}

test('an EVM upstream is asked in a batch, and for its finality apart', async () => {
  const node = await startNode();
  const batches = watched();
  expect(await probe(node, { batches })).toMatchObject({ failure: null, finalized: 36 });
  expect(requestsOf(node)).toEqual([EVM_BATCH, FINALITY]);
  expect(batches.refusals()).toBe(0);
});

test('a Substrate upstream is asked in two batches, and for its finality apart', async () => {
  const node = await startFakeSubstrate({ head: 100 });
  onTestFinished(() => node.stop());
  const sample = await probe(node, { protocol: 'substrate', describe: true });
  expect(requestsOf(node).map(({ length }) => length)).toEqual([3, 3, 1, 1]);
  const single = await probe(node, { protocol: 'substrate', describe: true, batches: SINGLY });
  expect(told(sample)).toEqual(told(single));
});

test('the answers of a batch may come in any order', async () => {
  const node = await startNode({ shuffleBatch: true });
  expect(await probe(node)).toMatchObject({ failure: null, head: { number: 100 } });
  expect(node.hits()).toBe(2);
});

test('a method that a node does not know is asked once more by itself, and batches go on', async () => {
  const batches = watched();
  const missing = { error: { code: -32_601, message: 'the method does not exist' } };
  const node = await startNode({ answer: ({ method }) => (method === 'eth_syncing' ? missing : undefined) });
  for (let at = 0; at < 2; at++) expect(await probe(node, { batches })).toMatchObject({ failure: null });
  expect(batches.refusals()).toBe(0);
  expect(node.hits('eth_syncing')).toBe(4);
  expect(node.hits('eth_chainId')).toBe(2);
});

test.each(['evm', 'substrate'] as const)(
  'a finality that hangs neither fails a probe nor makes its head older than it was heard: %s',
  async (protocol) => {
    const hanging = ({ method, paramsText }: FakeCall) =>
      method === 'chain_getFinalizedHead' || paramsText.includes('finalized')
        ? { hang: true as const }
        : undefined;
    const start = protocol === 'evm' ? startFakeNode : startFakeSubstrate;
    const node = await start({ head: 100, answer: hanging });
    onTestFinished(() => node.stop());
    const beganAt = monotonicNow();
    const finalityMs = 1500; // Half of it outlasts the halts of a busy machine.
    const sample = await probe(node, { protocol, timeoutMs: 2 * finalityMs });
    const tookMs = monotonicNow() - beganAt;
    expect(sample).toMatchObject({ failure: null, head: { number: 100 } });
    expect(sample).not.toHaveProperty('finalized');
    expect(tookMs).toBeGreaterThan(finalityMs - 5); // Timers may be early.
    expect(sample.sampledAt - beganAt).toBeLessThan(tookMs - finalityMs / 2);
  },
);

describe('an upstream that refuses a batch is asked singly at once', () => {
  /** Ids of a batch are counted from 0 by the probe, and a single call has 1. */
  const inBatch = ({ id, index }: { readonly id: string | undefined; readonly index: number }) =>
    id !== '1' || index > 0;
  const refusal = { code: -32_600, message: 'batches are not for you' };
  const refusing = (override: Override): FakeNodeOptions => ({
    answer: (call) => (inBatch(call) ? override : undefined),
  });
  const upTo = (count: number): FakeNodeOptions => ({
    answer: (call) => (call.index >= count ? { error: refusal } : undefined),
  });
  const rows: readonly {
    readonly by: string;
    readonly options: FakeNodeOptions;
    /** How many of the four are asked again; all by default. */
    readonly singles?: number;
  }[] = [
    {
      by: 'an error instead of an array',
      options: refusing({ status: 200, body: JSON.stringify({ error: refusal }) }),
    },
    { by: 'an error for each call', options: refusing({ error: refusal }) },
    { by: 'a status of a server', options: refusing({ status: 501 }) },
    { by: 'a status for whom it does not know', options: refusing({ status: 403 }) },
    { by: 'a status for a bad request', options: refusing({ status: 400, body: 'Bad Request' }) },
    { by: 'leaving one out', options: { dropFromBatch: (index) => index === 2 }, singles: 1 },
    { by: 'an answer to the first two only', options: upTo(2), singles: 2 },
    { by: 'an empty array', options: { dropFromBatch: () => true } },
    {
      by: 'an element that is no answer',
      options: { answer: ({ index }) => (index === 3 ? { raw: '7' } : undefined) },
      singles: 1,
    },
    { by: 'more than is read', options: refusing({ result: 'x'.repeat(1_100_000) }) },
  ];

  test.each(rows)('and makes the same sample: $by', async ({ options, singles = 4 }) => {
    const batches = watched();
    const node = await startNode(options);
    const sample = await probe(node, { batches });
    expect(sample).toMatchObject({ failure: null, identity: '1', head: { number: 100 }, finalized: 36 });
    expect(batches.refusals()).toBe(singles);
    expect(requestsOf(node).map(({ length }) => length)).toEqual([4, 1, ...Array<number>(singles).fill(1)]);
    expect(told(await probe(node, { batches }))).toEqual(told(sample));
    expect(node.hits()).toBe(2 + singles + 5);
  });

  test.each([
    { failure: 'throttled', options: { mode: 'http429' } },
    { failure: 'throttled', options: { answer: () => ({ error: { code: -32_005, message: 'limit' } }) } },
    { failure: 'probe_timeout', options: { mode: 'hang' } },
  ] as const)('but not when single calls are bound to fail, too: $failure', async ({ failure, options }) => {
    const batches = watched();
    const node = await startNode(options);
    expect(
      await probe(node, { batches, timeoutMs: failure === 'throttled' ? 10_000 : IMPATIENT_MS }),
    ).toMatchObject({ failure });
    expect(requestsOf(node)).toEqual([EVM_BATCH, FINALITY]);
    expect(batches.refusals()).toBe(0);
  });
});
