import { describe, expect, test } from 'vitest';
import type { FakeNode, FakeNodeOptions } from '../../../test/kit/fake-node.ts';
import { type Front, type FrontOptions, type HttpAnswer, startFront, startNodes } from './front.ts';

const DIGITS = '1234567890123456789012345678901234567890';
const RAW = '["0x02f870018203e8"]';

interface Bench {
  readonly front: Front;
  readonly first: FakeNode;
  readonly second: FakeNode;
}

async function startBench(script: FakeNodeOptions = {}, options: FrontOptions = {}): Promise<Bench> {
  const [first, second] = (await startNodes(script, {})) as [FakeNode, FakeNode];
  const front = await startFront([first, second], {
    ...options,
    network: { readTimeout: 200, deadline: '5s', methods: { reads: ['test_*'] }, ...options.network },
  });
  return { front, first, second };
}

/** One element: id as it stands in JSON, undefined for a notification. */
function element(id: string | undefined, method = 'test_echo', params = '[]'): string {
  const member = id === undefined ? '' : `"id":${id},`;
  return `{"jsonrpc":"2.0",${member}"method":"${method}","params":${params}}`;
}

const send = (front: Front, elements: readonly string[]): Promise<HttpAnswer> =>
  front.send('/net', `[${elements.join(',')}]`);

const echoes = (ids: readonly string[]): string =>
  `[${ids.map((id, at) => `{"jsonrpc":"2.0","id":${id},"result":[${at}]}`).join(',')}]`;

describe('ids and order', () => {
  const ids = [
    '1',
    '"1"',
    '1.0',
    '-0',
    '1e2',
    DIGITS,
    '"\\u0061"',
    '""',
    'null',
    'true',
    '[1, 2]',
    '{"a": 1}',
    '1',
    '1',
  ];

  test('ids of every JSON type and duplicates come back byte for byte, in the order of the request', async () => {
    const { front, first } = await startBench({ shuffleBatch: true });
    const elements = ids.map((id, at) => element(id, 'test_echo', `[${at}]`));
    const { status, text } = await send(front, elements);
    expect({ status, text }).toEqual({ status: 200, text: echoes(ids) });
    expect(first.hits()).toBe(1);
  });

  test('each single id comes back byte for byte', async () => {
    const { front } = await startBench();
    for (const id of ids) {
      const { text } = await front.send('/net', element(id));
      expect(text).toBe(`{"jsonrpc":"2.0","id":${id},"result":[]}`);
    }
  });

  test('an integer of forty digits is unchanged in params and results', async () => {
    const { front, first } = await startBench();
    const params = `[${DIGITS},{"x":-${DIGITS}.10}]`;
    const batch = await send(front, [element('1', 'test_echo', params), element('2')]);
    expect(batch.text).toContain(`"result":${params}`);
    expect(first.requests[0]?.body).toContain(params);
    const single = await front.send('/net', element('1', 'test_echo', params));
    expect(single.text).toBe(`{"jsonrpc":"2.0","id":1,"result":${params}}`);
  });

  test('a thousand calls with mixed results and errors travel once and come back in order', async () => {
    const { front, first, second } = await startBench({ shuffleBatch: true });
    const elements = Array.from({ length: 1000 }, (_, at) =>
      at % 3 === 0 ? element(String(at), 'test_revert') : element(String(at), 'test_echo', `[${at}]`),
    );
    const { json } = await send(front, elements);
    expect(json).toHaveLength(1000);
    for (const [at, answer] of json.entries()) {
      expect(answer.id).toBe(at);
      if (at % 3 === 0) expect(answer.error.code).toBe(3);
      else expect(answer.result).toEqual([at]);
    }
    expect([first.hits(), second.hits()]).toEqual([1, 0]);
  });
});

describe('elements that go elsewhere', () => {
  test('an answer that is missing is asked for again, alone and elsewhere', async () => {
    const { front, second } = await startBench({ dropFromBatch: (at) => at === 1 });
    const { text } = await send(
      front,
      ['7', '8', '9'].map((id, at) => element(id, 'test_echo', `[${at}]`)),
    );
    expect(text).toBe(echoes(['7', '8', '9']));
    expect(second.requests.map(({ methods }) => methods)).toEqual([['test_echo']]);
  });

  test('a missing answer to what may not be repeated has an unknown fate, the others are answered', async () => {
    const { front, second } = await startBench({ dropFromBatch: (at) => at === 1 });
    const { status, json } = await send(front, [element('7'), element('8', 'vendor_thing'), element('9')]);
    expect(status).toBe(200);
    expect(json[1]).toMatchObject({
      id: 8,
      error: { code: -32000, data: { code: 'RPCB_FATE_UNKNOWN', network: 'net' } },
    });
    expect([json[0].result, json[2].result]).toEqual([[], []]);
    expect(second.hits()).toBe(0);
  });

  test('an element that one node has not got is answered by another', async () => {
    const { front } = await startBench({
      answer: ({ method }) =>
        method === 'eth_gasPrice' ? { error: { code: -32601, message: 'no' } } : undefined,
    });
    const { json } = await send(front, [element('1'), element('2', 'eth_gasPrice')]);
    expect(json[1].result).toBe('0x3b9aca00');
  });

  test('when nobody can answer an element, the last node speaks under the own id of the client', async () => {
    const { front } = await startBench();
    const { json } = await send(front, [element('"mine"', 'vendor_thing')]);
    expect(json[0]).toMatchObject({ id: 'mine', error: { code: -32601 } });
  });

  test('a batch that fails as a whole goes whole to another upstream and counts once', async () => {
    const { front, first, second } = await startBench({ mode: 'cut' });
    const { text } = await send(
      front,
      ['7', '8'].map((id, at) => element(id, 'test_echo', `[${at}]`)),
    );
    expect(text).toBe(echoes(['7', '8']));
    expect([first.hits(), second.hits()]).toEqual([1, 1]);
    expect(front.upstream('a').fails).toBe(1);
  });

  test('one error in answer to the whole batch sends it elsewhere', async () => {
    const { front } = await startBench({
      answer: () => ({
        status: 200,
        body: '{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"batch too large"}}',
      }),
    });
    const { text } = await send(
      front,
      ['7', '8'].map((id, at) => element(id, 'test_echo', `[${at}]`)),
    );
    expect(text).toBe(echoes(['7', '8']));
  });

  test('a batch that nobody answers has an error for each element, and still a good status', async () => {
    const { front, second } = await startBench({ mode: 'http500' });
    second.mode = 'http500';
    const { status, json } = await send(front, [
      element('"a"', 'eth_gasPrice'),
      element('2', 'eth_gasPrice'),
    ]);
    expect(status).toBe(200);
    expect(json.map((one: { id: unknown }) => one.id)).toEqual(['a', 2]);
    for (const { error } of json) {
      expect(error).toMatchObject({ code: -32603, data: { code: 'RPCB_ATTEMPTS_FAILED' } });
    }
  });
});

describe('writes and notifications', () => {
  test('writes are taken out of a batch, one by one and in order', async () => {
    const { front, first, second } = await startBench();
    const { json } = await send(front, [
      element('1', 'eth_sendRawTransaction', '["0x01"]'),
      element('2', 'eth_gasPrice'),
      element('3', 'eth_sendRawTransaction', '["0x02"]'),
    ]);
    expect(json.map((one: { id: number; result: string }) => [one.id, one.result.length])).toEqual([
      [1, 66],
      [2, 10],
      [3, 66],
    ]);
    const requests = [...first.requests, ...second.requests];
    expect(requests.map(({ methods }) => methods.length)).toEqual([1, 1, 1]);
    const written = requests.filter(({ methods }) => methods[0] === 'eth_sendRawTransaction');
    const inOrder = written.sort((a, b) => a.at - b.at).map(({ body }) => body.includes('0x01'));
    expect(inOrder).toEqual([true, false]);
  });

  test('a write in a batch whose answer is lost has an unknown fate, its neighbours are answered', async () => {
    const { front, first, second } = await startBench({ mode: 'executeThenReset' });
    second.mode = 'executeThenReset';
    const { status, json } = await send(front, [
      element('1', 'eth_gasPrice'),
      element('2', 'eth_sendRawTransaction', RAW),
    ]);
    expect(status).toBe(200);
    expect(json[0].result).toBe('0x3b9aca00');
    expect(json[1].error).toMatchObject({ code: -32000, data: { code: 'RPCB_FATE_UNKNOWN' } });
    expect(first.executions.length + second.executions.length).toBe(1);
  });

  test('nothing but notifications is answered without content', async () => {
    const { front, first, second } = await startBench();
    const single = await front.send('/net', element(undefined));
    const batch = await send(front, [element(undefined), element(undefined)]);
    expect([single.status, single.text, batch.status, batch.text]).toEqual([204, '', 204, '']);
    expect(first.hits() + second.hits()).toBe(2);
  });

  test('notifications among calls get no answer', async () => {
    const { front } = await startBench();
    const { json } = await send(front, [element(undefined), element('1'), element(undefined)]);
    expect(json).toEqual([{ jsonrpc: '2.0', id: 1, result: [] }]);
  });
});

describe('what is wrong with a batch', () => {
  test('an element that is no request is answered under its id, or null, and reaches no node', async () => {
    const { front, first } = await startBench();
    const { status, json } = await send(front, ['7', element('1'), '{"id":"x"}', 'null', '[]', '{}']);
    expect(status).toBe(200);
    expect(json.map((one: { id: unknown }) => one.id)).toEqual([null, 1, 'x', null, null, null]);
    for (const at of [0, 2, 3, 4, 5]) {
      expect(json[at].error).toMatchObject({ code: -32600, data: { code: 'RPCB_INVALID_REQUEST' } });
    }
    expect(first.requests.map(({ methods }) => methods)).toEqual([['test_echo']]);
  });

  test('a batch with nothing to send is answered without any node', async () => {
    const { front, first, second } = await startBench();
    const { status, json } = await send(front, ['7']);
    expect({ status, code: json[0].error.data.code }).toEqual({ status: 200, code: 'RPCB_INVALID_REQUEST' });
    expect(first.hits() + second.hits()).toBe(0);
  });

  test('a batch over the limit is refused as a whole and reaches no node', async () => {
    const { front, first } = await startBench({}, { gateway: { batchLimit: 3 } });
    const three = await send(
      front,
      Array.from({ length: 3 }, (_, at) => element(String(at))),
    );
    expect(three.status).toBe(200);
    const { status, json } = await send(
      front,
      Array.from({ length: 4 }, (_, at) => element(String(at))),
    );
    expect(status).toBe(413);
    expect(json).toMatchObject({ id: null, error: { code: -32600, data: { code: 'RPCB_TOO_LARGE' } } });
    expect(first.hits()).toBe(1);
  });

  test('answers beyond what a batch may have get an error, those before it are delivered', async () => {
    const { front } = await startBench({}, { gateway: { batchAnswerLimit: '128kb' } });
    const long = `["${'x'.repeat(100_000)}"]`;
    const { status, json } = await send(
      front,
      ['1', '2', '3', '4'].map((id) => element(id, 'test_echo', long)),
    );
    expect(status).toBe(200);
    expect(json[0].result[0]).toHaveLength(100_000);
    expect(json[3]).toMatchObject({ id: 4, error: { code: -32600, data: { code: 'RPCB_TOO_LARGE' } } });
    expect(json[3].error.message).toContain('batchAnswerLimit');
    expect(front.upstream('a')).toMatchObject({ inFlight: 0, fails: 0 });
  });
});
