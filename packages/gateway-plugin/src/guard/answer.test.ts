import { BalancerError } from '@rpc-balancer/shared';
import { describe, expect, onTestFinished, test } from 'vitest';
import { callOf } from '../../test/calls.ts';
import { quietNetwork } from '../../test/networks.ts';
import type { Call, Failure } from '../upstream/call.ts';
import { Cancellation } from '../upstream/cancellation.ts';
import { Exchange } from '../upstream/exchange.ts';
import { type Answer, answerBatch, answerError, answerSingle } from './answer.ts';

function exchangeOf(calls: readonly Call[]): Exchange {
  const network = quietNetwork('net', [{}]);
  const exchange = new Exchange(
    network,
    { suffix: '', headers: [], pin: null, cancellation: new Cancellation() },
    calls,
    () => 0,
  );
  onTestFinished(() => exchange.end());
  return exchange;
}

const answered = (id: string | undefined, text: string): Call => ({
  ...callOf(id),
  answer: Buffer.from(text),
});
const failed = (id: string | undefined, code: Failure['code'], detail?: string): Call => ({
  ...callOf(id),
  failure: { code, ...(detail !== undefined && { detail }) },
});
const textOf = ({ body }: Answer): string => String(body);

describe('a single call', () => {
  test('the bytes of the answer are the body', () => {
    const call = answered('1', ' {"x":1} ');
    expect(answerSingle(call, exchangeOf([call]), 'r')).toMatchObject({
      status: 200,
      code: 'ok',
      retryAfterMs: null,
    });
    expect(textOf(answerSingle(call, exchangeOf([call]), 'r'))).toBe(' {"x":1} ');
  });

  test.each([
    ['letters beyond ASCII', Buffer.from('{"x":"\u00fc\u{1f680}"}')],
    ['bytes that are no UTF-8', Buffer.from('7b2278223a22ff80227d', 'hex')],
    ['more than is worth a copy', Buffer.from(`"${'x'.repeat(5000)}"`)],
  ])('%s go out as the bytes that came', (_what, bytes) => {
    const call = { ...callOf('1'), answer: bytes };
    expect(answerSingle(call, exchangeOf([call]), 'r').body).toBe(bytes);
  });

  test('a notification has no content, unless it failed', () => {
    const call = answered(undefined, '');
    expect(answerSingle(call, exchangeOf([call]), 'r')).toMatchObject({ status: 204, body: null });
    const lost = failed(undefined, 'RPCB_ATTEMPTS_FAILED');
    expect(answerSingle(lost, exchangeOf([lost]), 'r')).toMatchObject({
      status: 502,
      code: 'RPCB_ATTEMPTS_FAILED',
    });
  });

  test('a failure carries the id as it was written, network, attempts, reasons and request id', () => {
    const call = failed('"\\u0061"', 'RPCB_NO_UPSTREAM', 'because');
    const exchange = exchangeOf([call]);
    call.attempts = [{ upstream: 'a', outcome: 'failed' }];
    exchange.reasons = { a: 'ejected' };
    exchange.retryAfterMs = 1500;
    const answer = answerSingle(call, exchange, 'request-1');
    expect(answer).toMatchObject({ status: 503, code: 'RPCB_NO_UPSTREAM', retryAfterMs: 1500 });
    expect(textOf(answer)).toContain('"id":"\\u0061"');
    expect(JSON.parse(textOf(answer))).toEqual({
      jsonrpc: '2.0',
      id: 'a',
      error: {
        code: -32603,
        message: 'No upstream is eligible: because',
        data: {
          code: 'RPCB_NO_UPSTREAM',
          network: 'net',
          reasons: { a: 'ejected' },
          attempts: [{ upstream: 'a', outcome: 'failed' }],
          requestId: 'request-1',
        },
      },
    });
  });
});

describe('a batch', () => {
  test('answers and failures stand in the order of the calls, with a good status', () => {
    const calls = [answered('1', '"one"'), failed('2', 'RPCB_FATE_UNKNOWN'), answered('3', '"three"')];
    const answer = answerBatch(calls, exchangeOf(calls), 'r');
    expect(answer).toMatchObject({ status: 200, code: 'RPCB_FATE_UNKNOWN' });
    const [one, two, three] = JSON.parse(textOf(answer));
    expect([one, two.id, two.error.data.code, three]).toEqual(['one', 2, 'RPCB_FATE_UNKNOWN', 'three']);
  });

  test('notifications are left out even when they failed, but not what is no request at all', () => {
    const lost = failed(undefined, 'RPCB_ATTEMPTS_FAILED');
    expect(answerBatch([lost], exchangeOf([lost]), 'r')).toMatchObject({
      status: 204,
      body: null,
      code: 'RPCB_ATTEMPTS_FAILED',
    });
    const calls = [lost, failed(undefined, 'RPCB_INVALID_REQUEST')];
    const answers = JSON.parse(textOf(answerBatch(calls, exchangeOf(calls), 'r')));
    expect(answers.map(({ id }: { id: unknown }) => id)).toEqual([null]);
  });
});

test('an error without a request has a null id', () => {
  const error = new BalancerError('RPCB_PARSE', { retryAfterMs: 5, details: { networks: ['x'] } });
  const answer = answerError(error, null, 'r');
  expect(answer).toMatchObject({ status: 400, code: 'RPCB_PARSE', retryAfterMs: 5 });
  expect(JSON.parse(textOf(answer))).toMatchObject({
    id: null,
    error: { code: -32700, data: { code: 'RPCB_PARSE', networks: ['x'], requestId: 'r' } },
  });
});
