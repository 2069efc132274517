import { describe, expect, test } from 'vitest';
import type { FakeNode, Mode } from '../../../test/kit/fake-node.ts';
import { type Front, type HttpAnswer, startFront, startNodes } from './front.ts';

const RAW = '0x02f870018203e8';
const METHOD_NOT_FOUND = { error: { code: -32601, message: 'the method does not exist' } };

interface Bench {
  readonly front: Front;
  /** The upstream that gets the call first. */
  readonly first: FakeNode;
  readonly second: FakeNode;
}

async function startBench(network: object = {}): Promise<Bench> {
  const [first, second] = (await startNodes({ lateMs: 10_000 }, {})) as [FakeNode, FakeNode];
  const front = await startFront([first, second], {
    network: { readTimeout: 200, deadline: '5s', ...network },
  });
  return { front, first, second };
}

const write = (front: Front): Promise<HttpAnswer> => front.call('eth_sendRawTransaction', [RAW]);

const executions = ({ first, second }: Bench): number => first.executions.length + second.executions.length;

describe('a transaction', () => {
  test('a transaction is executed once and its hash is the answer', async () => {
    const bench = await startBench();
    const { status, json } = await write(bench.front);
    expect(status).toBe(200);
    expect(json.result).toBe([...bench.first.executed][0]);
    expect(executions(bench)).toBe(1);
  });

  test.each<Mode>([
    'hang',
    'late',
    'stall',
    'reset',
    'cut',
    'html',
    'garbage',
    'http500',
    'http503',
    'executeThenReset',
  ])(
    'a transaction whose answer is lost by %s is not sent again, and clients do not repeat its error',
    async (mode) => {
      const bench = await startBench();
      bench.first.mode = mode;
      const { status, json } = await write(bench.front);
      expect(status).toBe(502);
      expect(json).toMatchObject({
        id: 1,
        error: { code: -32000, data: { code: 'RPCB_FATE_UNKNOWN', attempts: [{ upstream: 'a' }] } },
      });
      expect(bench.second.hits()).toBe(0);
      expect(executions(bench)).toBeLessThanOrEqual(1);
    },
  );

  test('a transaction on a reused socket that the node resets is not sent again either', async () => {
    const bench = await startBench();
    await write(bench.front);
    bench.first.clear();
    bench.first.mode = 'executeThenReset';
    bench.second.mode = 'executeThenReset';
    const { json } = await write(bench.front);
    expect(json.error.data.code).toBe('RPCB_FATE_UNKNOWN');
    expect(executions(bench)).toBe(1);
  });

  test('a transaction moves on when the connection is refused, since nothing was sent', async () => {
    const bench = await startBench();
    await bench.first.kill();
    const { status, json } = await write(bench.front);
    expect({ status, result: json.result }).toEqual({ status: 200, result: [...bench.second.executed][0] });
    expect(executions(bench)).toBe(1);
    expect(bench.front.upstream('a').fails).toBe(1);
  });

  test.each<Mode>(['http429', 'http401'])('a transaction that is refused by %s moves on', async (mode) => {
    const bench = await startBench();
    bench.first.mode = mode;
    expect((await write(bench.front)).json.result).toMatch(/^0x/);
    expect(bench.second.executions).toHaveLength(1);
  });

  test('a transaction moves on from a node that has not got the method', async () => {
    const bench = await startBench();
    bench.first.answer = () => METHOD_NOT_FOUND;
    expect((await write(bench.front)).json.result).toMatch(/^0x/);
    expect(bench.second.executions).toHaveLength(1);
  });

  test('an error of the node about a transaction is the answer and is asked of nobody else', async () => {
    const errors = [
      { code: -32000, message: 'nonce too low' },
      { code: -32000, message: 'already known' },
      { code: -32603, message: 'internal error' },
      { code: -32000, message: 'header not found' },
    ];
    for (const error of errors) {
      const bench = await startBench();
      bench.first.answer = () => ({ error });
      const { status, json } = await write(bench.front);
      expect({ status, error: json.error }).toEqual({ status: 200, error });
      expect(bench.second.hits()).toBe(0);
    }
  });

  test('a transaction whose sender leaves is not sent anywhere else', async () => {
    const bench = await startBench({ readTimeout: '2s' });
    bench.first.mode = 'hang';
    const stop = new AbortController();
    const sent = fetch(`${bench.front.origin}/net`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: `{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["${RAW}"]}`,
      signal: stop.signal,
    });
    const refused = expect(sent).rejects.toThrow();
    await expect.poll(() => bench.first.hits(), { interval: 5 }).toBe(1);
    stop.abort();
    await refused;
    await expect.poll(() => bench.front.upstream('a').inFlight, { interval: 5 }).toBe(0);
    expect(bench.second.hits()).toBe(0);
    expect(bench.front.upstream('a').fails).toBe(0);
  });
});

describe('methods that nobody knows', () => {
  test('an unknown method is not repeated once it was sent', async () => {
    const { front, first, second } = await startBench();
    first.mode = 'reset';
    const { status, json } = await front.call('vendor_doSomething');
    expect(status).toBe(502);
    expect(json.error).toMatchObject({ code: -32000, data: { code: 'RPCB_FATE_UNKNOWN' } });
    expect(second.hits()).toBe(0);
  });

  test('an unknown method moves on while nothing was sent and when the node has not got it', async () => {
    const { front, first, second } = await startBench();
    second.answer = () => ({ result: 'done' });
    expect((await front.call('vendor_doSomething')).json.result).toBe('done');
    await first.kill();
    expect((await front.call('vendor_doSomething')).json.result).toBe('done');
  });

  test('a method that the configuration calls a read is repeated', async () => {
    const { front, first, second } = await startBench({ methods: { reads: ['vendor_*'] } });
    first.mode = 'reset';
    second.answer = () => ({ result: 'done' });
    expect((await front.call('vendor_doSomething')).json.result).toBe('done');
  });

  test('a method that the configuration calls a write is not repeated, though we know it as a read', async () => {
    const { front, first, second } = await startBench({ methods: { writes: ['eth_getBal*'] } });
    first.mode = 'reset';
    const { json } = await front.call('eth_getBalance', ['0x00', 'latest']);
    expect(json.error.data.code).toBe('RPCB_FATE_UNKNOWN');
    expect(second.hits()).toBe(0);
  });
});
