import { describe, expect, test } from 'vitest';
import { answerOf, callOf, REST } from '../../test/calls.ts';
import type { Call } from './call.ts';
import type { Broken, Cancelled, Reply } from './dispatch.ts';
import { judgeBatch, judgeSingle } from './judge.ts';

const NOW = 0;
const INTERNAL = '"error":{"code":-32603,"message":"internal"}';

const RESET: Broken = {
  kind: 'broken',
  phase: 'waiting',
  timedOut: false,
  reusedSocket: false,
  error: new Error('reset'),
};
const REFUSED: Broken = { ...RESET, phase: 'connecting' };
const DEADLINE: Cancelled = { kind: 'cancelled', reason: 'deadline', sent: true };

/** What has become of a call: its answer's text, its failure's code, or open. */
function fateOf(call: Call): string {
  if (call.failure) return call.failure.code;
  return call.answer === null ? 'open' : call.answer.toString();
}

function single(call: Call, reply: Reply): { outcome: string; fate: string } {
  const { outcome } = judgeSingle(reply, call, NOW);
  return { outcome, fate: fateOf(call) };
}

describe('one call', () => {
  test('the answer is the bytes of the node', () => {
    const text = ' {"result" : 12345678901234567890123456789012345678901234567890 , "id":7}\n';
    expect(single(callOf('7'), answerOf(text))).toEqual({ outcome: 'answered', fate: text });
  });

  test('a JSON-RPC body decides whatever the status is', () => {
    const text = '{"jsonrpc":"2.0","id":1,"result":"0x"}';
    for (const status of [200, 400, 401, 404, 500]) {
      expect(single(callOf('1'), answerOf(text, { status }))).toEqual({ outcome: 'answered', fate: text });
    }
  });

  test('behind a status of something in front a read goes elsewhere; only the body of a refusal is kept as last resort', () => {
    const text = '{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"busy"}}';
    for (const status of [429, 502, 503, 504]) {
      const call = callOf('1');
      expect(single(call, answerOf(text, { status })).fate).toBe('open');
      expect(call.lastResort?.toString()).toBe(status === 429 ? text : undefined);
    }
  });

  test('a lost answer to a write is told whatever a node said before', () => {
    for (const safety of ['write', 'unknown'] as const) {
      const call = callOf('1', safety);
      const limited = '{"jsonrpc":"2.0","id":1,"error":{"code":-32005,"message":"limit"}}';
      expect(single(call, answerOf(limited)).fate).toBe('open');
      expect(single(call, RESET).fate).toBe('RPCB_FATE_UNKNOWN');
      expect(call.answer).toBeNull();
    }
  });

  test('a refusal of the path, the verb or the size moves on and counts against nobody', () => {
    for (const status of [404, 405, 413, 414, 415, 431]) {
      for (const safety of ['read', 'write'] as const) {
        const call = callOf('1', safety);
        const verdict = judgeSingle(answerOf('no', { status }), call, 0);
        expect(verdict).toMatchObject({ outcome: 'failed', counts: false });
        expect(fateOf(call), `${status} ${safety}`).toBe('open');
      }
    }
    expect(judgeSingle(answerOf('no', { status: 400 }), callOf('1', 'write'), 0).counts).toBe(false);
  });

  test('an answer whose id is spelled in another way gets the id of the client', () => {
    const call = callOf('12345678901234567890');
    single(call, answerOf('{"jsonrpc":"2.0","id":12345678901234567000,"result":1}'));
    expect(call.answer?.toString()).toBe('{"jsonrpc":"2.0","id":12345678901234567890,"result":1}');
  });

  test('the beginning of a large refusal is no last resort', () => {
    const call = callOf('1');
    const text = '{"jsonrpc":"2.0","id":1,"error":{"code":-32005,"message":"limit"}}  ';
    single(call, answerOf(text, { status: 429, rest: REST }));
    expect(call.lastResort).toBeNull();
  });

  test('an error whose text is no text is judged all the same', () => {
    const deep = `${'['.repeat(60_000)}${']'.repeat(60_000)}`;
    for (const error of ['{"code":1,"message":{"toString":1}}', `{"code":1,"message":"no","data":${deep}}`]) {
      const call = callOf('1');
      expect(single(call, answerOf(`{"jsonrpc":"2.0","id":1,"error":${error}}`)).outcome).toBe('answered');
    }
  });

  test('an answer to another call is none', () => {
    for (const id of ['2', '"1"', 'null', '[1]']) {
      const call = callOf('1');
      const text = `{"jsonrpc":"2.0","id":${id},"result":"0x"}`;
      expect(single(call, answerOf(text)), id).toEqual({ outcome: 'failed', fate: 'open' });
    }
    expect(single(callOf('1'), answerOf('{"result":1}')).outcome).toBe('failed');
  });

  test('the id may come back in another spelling, and an error without any', () => {
    expect(single(callOf('1.0'), answerOf('{"id":1,"result":1}')).outcome).toBe('answered');
    expect(single(callOf('"\\u0061"'), answerOf('{"id":"a","result":1}')).outcome).toBe('answered');
    const error = '"error":{"code":-32700,"message":"parse error"}';
    expect(single(callOf('1'), answerOf(`{"id":null,${error}}`)).outcome).toBe('answered');
    expect(single(callOf('1'), answerOf(`{${error}}`)).outcome).toBe('answered');
  });

  test('an id that comes after a large result is not waited for', () => {
    expect(single(callOf('1'), answerOf('{"result":"0xab', { rest: REST })).outcome).toBe('answered');
  });

  test('a read stays open after a failure, what may not be repeated does not', () => {
    expect(single(callOf('1', 'read'), RESET).fate).toBe('open');
    expect(single(callOf('1', 'write'), RESET).fate).toBe('RPCB_FATE_UNKNOWN');
    expect(single(callOf('1', 'unknown'), RESET).fate).toBe('RPCB_FATE_UNKNOWN');
    expect(single(callOf('1', 'write'), REFUSED).fate).toBe('open');
    expect(single(callOf('1', 'write'), answerOf('<html>')).fate).toBe('RPCB_FATE_UNKNOWN');
    expect(single(callOf('1', 'write'), answerOf('', { status: 429 })).fate).toBe('open');
    expect(single(callOf('1', 'write'), answerOf('', { status: 401 })).fate).toBe('open');
  });

  test('the deadline ends a read with its own code and leaves the fate of a write unknown once it was sent', () => {
    expect(single(callOf('1', 'read'), DEADLINE).fate).toBe('RPCB_DEADLINE');
    expect(single(callOf('1', 'write'), DEADLINE).fate).toBe('RPCB_FATE_UNKNOWN');
    expect(single(callOf('1', 'write'), { ...DEADLINE, sent: false }).fate).toBe('RPCB_DEADLINE');
    expect(single(callOf('1', 'read'), { ...DEADLINE, reason: 'closing' }).fate).toBe('RPCB_ATTEMPTS_FAILED');
  });

  test('an internal error is asked about once, then it is the answer', () => {
    const text = `{"jsonrpc":"2.0","id":1,${INTERNAL}}`;
    const call = callOf('1');
    expect(single(call, answerOf(text)).fate).toBe('open');
    expect(single(call, answerOf(text)).fate).toBe(text);
    expect(single(callOf('1', 'write'), answerOf(text)).fate).toBe(text);
  });

  test('a write that a node has not got goes elsewhere', () => {
    const text = '{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no such method"}}';
    expect(single(callOf('1', 'write'), answerOf(text))).toEqual({ outcome: 'unable', fate: 'open' });
  });

  test('a notification is answered by any success', () => {
    expect(single(callOf(undefined), answerOf('', { status: 204 })).outcome).toBe('answered');
    expect(single(callOf(undefined), answerOf('busy', { status: 503 })).fate).toBe('open');
  });
});

describe('a batch', () => {
  const ok = (at: number, result = '"0x"') => `{"jsonrpc":"2.0","id":${at},"result":${result}}`;

  function batch(calls: readonly Call[], reply: Reply): { outcome: string; fates: string[] } {
    const { outcome } = judgeBatch(reply, calls, NOW);
    return { outcome, fates: calls.map(fateOf) };
  }

  test('each call gets the element with its number, under its own id', () => {
    const calls = [callOf('"a"'), callOf('7')];
    expect(batch(calls, answerOf(`[${ok(1)},${ok(0)}]`))).toEqual({
      outcome: 'answered',
      fates: ['{"jsonrpc":"2.0","id":"a","result":"0x"}', '{"jsonrpc":"2.0","id":7,"result":"0x"}'],
    });
  });

  test('a missing element stays open for a read and has an unknown fate otherwise', () => {
    const calls = [callOf('1'), callOf('2'), callOf('3', 'unknown')];
    const { outcome, fates } = batch(calls, answerOf(`[${ok(0)}]`));
    expect(outcome).toBe('answered');
    expect(fates.slice(1)).toEqual(['open', 'RPCB_FATE_UNKNOWN']);
  });

  test('an element that is no JSON-RPC answer is as good as missing', () => {
    const calls = [callOf('1'), callOf('2')];
    const { fates } = batch(calls, answerOf(`[${ok(0)},{"id":1,"error":"no code"}]`));
    expect(fates[1]).toBe('open');
  });

  test('refused and unable elements alone stay open', () => {
    const refused = '{"id":1,"error":{"code":429,"message":"slow down"}}';
    const unable = '{"id":2,"error":{"code":-32601,"message":"no"}}';
    const calls = [callOf('1'), callOf('2'), callOf('3')];
    const { outcome, fates } = batch(calls, answerOf(`[${ok(0)},${refused},${unable}]`));
    expect(outcome).toBe('throttled'); // What one element met is a limit of the upstream.
    expect(fates.slice(1)).toEqual(['open', 'open']);
    expect(calls[2]?.lastResort?.toString()).toBe(unable.replace('"id":2', '"id":3'));
  });

  test('an attempt that failed as a whole leaves every read open', () => {
    const replies = [RESET, answerOf('[]'), answerOf(`[${ok(0)}`), answerOf('<html>'), answerOf(ok(0))];
    for (const reply of replies) {
      const calls = [callOf('1'), callOf('2', 'unknown')];
      expect(batch(calls, reply)).toEqual({ outcome: 'failed', fates: ['open', 'RPCB_FATE_UNKNOWN'] });
    }
    const throttled = batch([callOf('1'), callOf('2', 'unknown')], answerOf('', { status: 429 }));
    expect(throttled).toEqual({ outcome: 'throttled', fates: ['open', 'open'] });
  });

  test('an element that is no answer is as good as missing', () => {
    for (const element of [
      '{"jsonrpc":"2.0","id":1}',
      '{"id":1,"method":"eth_call","params":[]}',
      '{"id":1,"ID":1,"result":1}',
    ]) {
      const calls = [callOf('1'), callOf('2')];
      expect(batch(calls, answerOf(`[${ok(0)},${element}]`)).fates[1]).toBe('open');
    }
  });

  test('an answer of which not one element fits what is held is too large, and no failure of the node', () => {
    const call = callOf('1');
    const { outcome, fates } = batch(
      [call],
      answerOf('[{"jsonrpc":"2.0","id":0,"result":"0x00', { rest: REST }),
    );
    expect({ outcome, fates }).toEqual({ outcome: 'answered', fates: ['RPCB_TOO_LARGE'] });
  });

  test('one error for the whole batch that does not say that nothing ran is the answer of its writes', () => {
    const write = callOf('1', 'write');
    const text = '{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"request timed out"}}';
    expect(batch([write, callOf('2')], answerOf(text)).fates[1]).toBe('open');
    expect(write.answer?.toString()).toContain('"id":1,');
  });

  test('one result for the whole batch is the answer of none of its calls', () => {
    const calls = [callOf('"a"'), callOf('2', 'unknown')];
    const { outcome, fates } = batch(calls, answerOf('{"id":0,"result":"0x1","error":null}'));
    expect({ outcome, fates }).toEqual({ outcome: 'failed', fates: ['open', 'RPCB_FATE_UNKNOWN'] });
    expect(calls[0]?.lastResort).toBeNull();
  });

  test('one error for the whole batch means that nothing of it ran', () => {
    const calls = [callOf('"a"'), callOf('2', 'write')];
    const text = '{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"batch too large"}}';
    expect(batch(calls, answerOf(text))).toEqual({ outcome: 'unable', fates: ['open', 'open'] });
    expect(calls[0]?.lastResort?.toString()).toBe(text.replace('null', '"a"'));
    const limit = text.replace('-32600', '429');
    expect(batch([callOf('1')], answerOf(limit)).outcome).toBe('throttled');
  });

  test('one internal error for the whole batch leaves the fate of its writes unknown', () => {
    const calls = [callOf('1'), callOf('2', 'write')];
    const { fates } = batch(calls, answerOf(`{"jsonrpc":"2.0","id":null,${INTERNAL}}`));
    expect(fates[0]).toBe('open');
    expect(fates[1]).not.toBe('open');
  });

  test('elements beyond what is held get an error that says what to do', () => {
    const calls = [callOf('1'), callOf('2')];
    for (const call of calls) call.lacked = 'method'; // As another node had said.
    const { outcome, fates } = batch(calls, answerOf(`[${ok(0)},{"id":1,"result":"0xab`, { rest: REST }));
    expect(outcome).toBe('answered');
    expect(calls.map(({ lacked }) => lacked)).toEqual([null, null]);
    expect(fates[1]).toBe('RPCB_TOO_LARGE');
    expect(calls[1]?.failure?.detail).toContain('batchAnswerLimit');
  });

  test('notifications are done when the batch was taken', () => {
    const mixed = [callOf(undefined), callOf('1')];
    expect(batch(mixed, answerOf(`[${ok(1)}]`)).fates[0]).toBe('');
    expect(batch([callOf(undefined)], answerOf('')).outcome).toBe('answered');
    expect(batch([callOf(undefined)], answerOf('', { status: 500 })).fates).toEqual(['open']);
  });
});
