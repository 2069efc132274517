import { createSafetyOf } from '@rpc-balancer/shared';
import { describe, expect, test } from 'vitest';
import { idOf } from '../upstream/call.ts';
import { readRequest } from './read.ts';

const OPTIONS = { batchLimit: 3, safetyOf: createSafetyOf({ reads: [], writes: [] }) };

const read = (text: string | Buffer) => readRequest(Buffer.from(text), OPTIONS);

/** Code and message of the refusal of a whole body. */
function refusalOf(body: Buffer | string | null): { code: string; message: string } {
  try {
    readRequest(body === null ? null : Buffer.from(body), OPTIONS);
  } catch (error) {
    return error as { code: string; message: string }; // readRequest throws nothing but BalancerErrors
  }
  throw new Error('the body was not refused');
}

function call(text: string) {
  const [only] = read(text).calls;
  if (!only) throw new Error('a body has at least one call');
  return { ...only, idText: idOf(only)?.toString() ?? null };
}

describe('a body that is no JSON', () => {
  test('each kind of broken body is a parse error that says what is wrong', () => {
    const bodies: readonly [Buffer | string | null, RegExp][] = [
      [null, /empty/],
      ['', /empty/],
      ['{"jsonrpc":"2.0"', /bracket/],
      ['{"id":1,}', /comma/],
      ['hello', /quote/],
      ['{"id":1} {"id":2}', /bracket/],
      [Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), /UTF-8/],
      ['\ufeff{"jsonrpc":"2.0","id":1,"method":"eth_call"}', /quote/],
      [`${'['.repeat(200)}${']'.repeat(200)}`, /nested deeper than 127/],
      ['['.repeat(100_000), /nested deeper/],
    ];
    for (const [body, message] of bodies) {
      const refused = refusalOf(body);
      expect(refused.code, String(message)).toBe('RPCB_PARSE');
      expect(refused.message).toMatch(message);
    }
  });

  test('nesting up to the limit is taken', () => {
    const params = `${'['.repeat(126)}${']'.repeat(126)}`;
    expect(call(`{"id":1,"method":"eth_call","params":${params}}`).failure).toBeNull();
  });
});

describe('a body that is no request', () => {
  test('a value that is no object is an invalid request without an id', () => {
    for (const text of ['null', '7', '"eth_call"', 'true']) {
      expect(call(text)).toMatchObject({ failure: { code: 'RPCB_INVALID_REQUEST' }, idText: null });
    }
  });

  test('a method that is missing, empty, no text or too long is refused with the id that came', () => {
    const members = ['', '"method":"",', '"method":5,', '"method":null,', `"method":"${'x'.repeat(257)}",`];
    for (const member of members) {
      const refused = call(`{${member}"id":"mine"}`);
      expect(refused, member).toMatchObject({ failure: { code: 'RPCB_INVALID_REQUEST' }, idText: '"mine"' });
    }
  });

  test('a member that stands twice in any spelling is refused, since nodes would read it differently', () => {
    const texts = [
      '{"id":1,"method":"eth_call","method":"eth_sendRawTransaction"}',
      '{"id":1,"method":"eth_call","Method":"eth_sendRawTransaction"}',
      '{"id":1,"method":"eth_call","\\u006dethod":"eth_sendRawTransaction"}',
      '{"id":1,"method":"eth_call","params":[],"PARAMS":[1]}',
      '{"id":1,"id":2,"method":"eth_call"}',
    ];
    for (const text of texts) expect(call(text).failure?.detail, text).toContain('twice');
  });

  test('a method under another spelling of its key is none', () => {
    expect(call('{"id":1,"Method":"eth_call"}').failure?.code).toBe('RPCB_INVALID_REQUEST');
  });

  test('an empty batch and one over the limit are refused as a whole', () => {
    expect(refusalOf('[]').code).toBe('RPCB_INVALID_REQUEST');
    expect(refusalOf('[1,2,3,4]')).toMatchObject({
      code: 'RPCB_TOO_LARGE',
      message: expect.stringContaining('at most 3'),
    });
    expect(read('[1,2,3]').calls).toHaveLength(3);
  });
});

describe('a request', () => {
  test('the bytes of a single call are those that came, white space included', () => {
    const text = ' {"method":"eth_call" ,\n"id": 1.50 } ';
    const { batch, calls } = read(text);
    expect(batch).toBe(false);
    expect(calls[0]?.bytes.toString()).toBe(text);
    expect(call(text).idText).toBe('1.50');
  });

  test('each element of a batch has its own bytes', () => {
    const { batch, calls } = read('[ {"id":1,"method":"a"} , {"method":"b"},7 ]');
    expect(batch).toBe(true);
    expect(calls.map(({ bytes }) => bytes.toString())).toEqual([
      '{"id":1,"method":"a"}',
      '{"method":"b"}',
      '7',
    ]);
    expect(calls.map(({ failure }) => failure?.code ?? 'open')).toEqual([
      'open',
      'open',
      'RPCB_INVALID_REQUEST',
    ]);
  });

  test('a batch of a single call stays a batch', () => {
    expect(read('[{"id":1,"method":"a"}]')).toMatchObject({ batch: true, calls: [{ method: 'a' }] });
  });

  test('an id of null is an id, and no id is a notification', () => {
    expect(call('{"id":null,"method":"eth_call"}').idText).toBe('null');
    expect(call('{"method":"eth_call"}').idText).toBeNull();
  });

  test('each method has its safety, and one that nobody knows is unknown', () => {
    expect(call('{"id":1,"method":"eth_call"}').safety).toBe('read');
    expect(call('{"id":1,"method":"eth_sendRawTransaction"}').safety).toBe('write');
    expect(call('{"id":1,"method":"\\u0065th_sendRawTransaction"}').safety).toBe('write');
    expect(call('{"id":1,"method":"vendor_thing"}').safety).toBe('unknown');
  });
});
