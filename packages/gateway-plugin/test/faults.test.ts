import { describe, expect, test } from 'vitest';
import { balanceOf, type FakeNode, type Mode } from '../../../test/kit/fake-node.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import { type Front, startFront, startNodes } from './front.ts';

const ADDRESS = '0x00000000000000000000000000000000000000aa';
/** Longer than a busy machine halts the good node. */
const READ_TIMEOUT_MS = 800;
/** Longer than it takes to see that the bad one is left. */
const FAIL_TIMEOUT_MS = 1200;

interface Bench {
  readonly front: Front;
  readonly bad: FakeNode;
  readonly good: FakeNode;
}

/** Upstream `a` is about to go bad, `b` stays well; `a` is the one that a lone call goes to. */
async function startBench(): Promise<Bench> {
  const [bad, good] = (await startNodes({ lateMs: 10_000 }, {})) as [FakeNode, FakeNode];
  const front = await startFront([bad, good], {
    network: {
      readTimeout: READ_TIMEOUT_MS,
      connectTimeout: 500,
      deadline: '5s',
      maxFails: 2,
      failTimeout: FAIL_TIMEOUT_MS,
    },
  });
  return { front, bad, good };
}

async function readRight(front: Front, at: number): Promise<void> {
  const { status, json } = await front.call('eth_getBalance', [ADDRESS, 'latest'], at);
  expect({ status, json }).toEqual({
    status: 200,
    json: { jsonrpc: '2.0', id: at, result: balanceOf(ADDRESS) },
  });
}

async function readMany(front: Front, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, at) => readRight(front, at)));
}

/** One concurrent read after another, so that each meets what the one before has left. */
async function readInTurn(front: Front, count: number): Promise<void> {
  for (let at = 0; at < count; at++) await readRight(front, at);
}

/** What a bad node does, and whether it is told by its own refusals instead of failures. */
const FAULTS: readonly (Mode | 'killed')[] = [
  'killed',
  'hang',
  'late',
  'stall',
  'http500',
  'http503',
  'reset',
  'cut',
  'html',
  'garbage',
  'reads500',
];

describe.each(FAULTS)('a node that goes bad by %s', (fault) => {
  async function goBad({ bad }: Bench): Promise<void> {
    if (fault === 'killed') await bad.kill();
    else bad.mode = fault;
  }

  test('clients notice nothing, the node is left soon, and one trial brings it back', async () => {
    const bench = await startBench();
    const { front, bad, good } = bench;
    await readInTurn(front, 4);
    bad.clear();
    await goBad(bench);

    await readInTurn(front, 10);
    expect(front.upstream('a')).toMatchObject({ reason: 'ejected', inFlight: 0 });
    expect(bad.hits()).toBeLessThanOrEqual(2);

    bad.mode = 'ok';
    if (fault === 'killed') await bad.restart();
    const { promise: until, resolve: answer } = Promise.withResolvers<void>();
    bad.answer = () => ({ result: balanceOf(ADDRESS), until });
    await front.reason('a', null);
    const before = { bad: bad.hits(), good: good.hits() };
    const reads = readMany(front, 10);
    await waitFor(() => good.hits() - before.good === 9, {
      what: 'all reads but the trial to go elsewhere',
      everyMs: 1,
    });
    answer();
    await reads;
    expect(bad.hits() - before.bad).toBe(1);
    expect(front.upstream('a')).toMatchObject({ reason: null, fails: 0, inFlight: 0 });
  });

  test('concurrent reads waste no more than those that were in flight', async () => {
    const bench = await startBench();
    const { front, bad } = bench;
    await readMany(front, 10);
    await goBad(bench);
    bad.clear();
    await readMany(front, 10);
    await readMany(front, 10);
    expect(bad.hits()).toBeLessThanOrEqual(2 + 10);
    expect(front.upstream('a').inFlight).toBe(0);
  });
});

describe('refusals', () => {
  test('a node that limits is left for the time that it asks for, without being counted as broken', async () => {
    const { front, bad } = await startBench();
    bad.mode = 'http429';
    bad.retryAfter = 2;
    await readInTurn(front, 10);
    expect(bad.hits()).toBe(1);
    expect(front.upstream('a')).toMatchObject({ reason: 'throttled', fails: 0 });
    bad.mode = 'ok';
    await front.reason('a', null);
    await readInTurn(front, 4);
    expect(bad.hits()).toBeGreaterThan(1);
  });

  test('a limit inside a good status is a refusal as well', async () => {
    const { front, bad } = await startBench();
    bad.answer = () => ({ error: { code: -32005, message: 'daily request count exceeded' } });
    await readInTurn(front, 5);
    expect(front.upstream('a')).toMatchObject({ reason: 'throttled', fails: 0 });
  });

  test('a node that does not know our credentials is left without being counted as broken', async () => {
    const { front, bad } = await startBench();
    bad.mode = 'http401';
    await readInTurn(front, 10);
    expect(bad.hits()).toBe(1);
    expect(front.upstream('a')).toMatchObject({ reason: 'unauthorized', fails: 0 });
    bad.mode = 'ok';
    await front.reason('a', null);
    await readInTurn(front, 4);
    expect(bad.hits()).toBeGreaterThan(1);
  });

  test('a limited network answers with what the last node said, and when to come back where none spoke JSON', async () => {
    const [only] = (await startNodes({ mode: 'http429', retryAfter: 7 })) as [FakeNode];
    const front = await startFront([only]);
    const { status, headers, json } = await front.call('eth_gasPrice');
    expect(status).toBe(503);
    expect(headers['retry-after']).toBe('7');
    expect(json.error).toMatchObject({
      code: -32005,
      data: { code: 'RPCB_OVERLOADED', network: 'net', reasons: { a: 'throttled' } },
    });
  });
});

describe('answers that are no fault', () => {
  test('a null result is handed on and keeps the node in', async () => {
    const { front, bad, good } = await startBench();
    bad.mode = 'null';
    good.mode = 'null';
    for (let at = 0; at < 6; at++) {
      const { status, text } = await front.call('eth_getBlockByHash', ['0x00', false]);
      expect({ status, text }).toEqual({ status: 200, text: '{"jsonrpc":"2.0","id":1,"result":null}' });
    }
    expect(front.upstream('a')).toMatchObject({ reason: null, fails: 0 });
    expect(bad.hits() + good.hits()).toBe(6);
  });

  test('a revert is handed on as the node wrote it and asked of nobody else', async () => {
    const { front, bad, good } = await startBench();
    const { status, text } = await front.call('test_revert');
    expect(status).toBe(200);
    expect(text).toBe(
      '{"jsonrpc":"2.0","id":1,"error":{"code":3,"message":"execution reverted: no","data":"0x08c379a0"}}',
    );
    expect(bad.hits() + good.hits()).toBe(1);
  });

  test('a method that one node has not got is answered by another, and by the node when none has it', async () => {
    const { front, bad, good } = await startBench();
    const missing = { error: { code: -32601, message: 'not here' } };
    bad.answer = () => missing;
    await readRight(front, 1);
    good.answer = () => missing;
    const { status, json } = await front.call('eth_gasPrice');
    expect({ status, error: json.error }).toEqual({ status: 200, error: missing.error });
    expect(front.upstream('a')).toMatchObject({ reason: null, fails: 0 });
  });

  test('an internal error gets exactly one second opinion', async () => {
    const nodes = await startNodes({}, {}, {});
    for (const node of nodes) node.answer = () => ({ error: { code: -32603, message: 'oops' } });
    const front = await startFront(nodes);
    const { json } = await front.call('eth_gasPrice');
    expect(json.error).toEqual({ code: -32603, message: 'oops' });
    expect(nodes.map((node) => node.hits())).toEqual([1, 1, 0]);
    expect(front.upstream('a').fails).toBe(0);
  });
});

describe('when nobody is left', () => {
  test('the error names every attempt, every reason and when to come back, but no address', async () => {
    const nodes = await startNodes({ mode: 'http500' }, { mode: 'html' });
    const front = await startFront(nodes, { network: { maxFails: 1, failTimeout: '30s' } });
    const first = await front.call('eth_gasPrice');
    expect(first.status).toBe(502);
    expect(first.json).toMatchObject({
      id: 1,
      error: {
        code: -32603,
        data: {
          code: 'RPCB_ATTEMPTS_FAILED',
          attempts: [
            { upstream: 'a', outcome: 'failed' },
            { upstream: 'b', outcome: 'failed' },
          ],
        },
      },
    });
    const second = await front.call('eth_gasPrice');
    expect(second.status).toBe(503);
    expect(second.headers['retry-after']).toBe('1');
    expect(second.json.error).toMatchObject({
      code: -32603,
      data: { code: 'RPCB_NO_UPSTREAM', reasons: { a: 'ejected', b: 'ejected' }, attempts: [] },
    });
    expect(nodes.map((node) => node.hits())).toEqual([1, 1]);
    expect(first.text + second.text).not.toMatch(/127\.0\.0\.1|http:/);
  });

  test('a network that recovers is served again long before its fail timeout is over', async () => {
    const nodes = await startNodes({ mode: 'http500' }, { mode: 'http500' });
    const front = await startFront(nodes, { network: { maxFails: 1, failTimeout: '5m' } });
    await front.call('eth_gasPrice');
    for (const node of nodes) node.mode = 'ok';
    await front.reason('a', null);
    expect((await front.call('eth_gasPrice')).status).toBe(200);
  });

  test('no more attempts are made than the network allows', async () => {
    const nodes = await startNodes({ mode: 'http500' }, { mode: 'http500' }, { mode: 'http500' });
    const front = await startFront(nodes, { network: { tries: 2 } });
    await front.call('eth_gasPrice');
    expect(nodes.map((node) => node.hits())).toEqual([1, 1, 0]);
  });
});
