import type { RetryOn } from '@rpc-balancer/shared';
import { describe, expect, test } from 'vitest';
import { answerOf, REST } from '../../test/calls.ts';
import type { Broken, Cancelled, Reply } from './dispatch.ts';
import { type Allowance, judgeAsNginx } from './nginx-outcome.ts';

const broken = (facts: Partial<Broken> = {}): Broken => ({
  ...{ kind: 'broken', phase: 'waiting', timedOut: false, reusedSocket: false },
  error: new Error('other side closed'),
  ...facts,
});

function malformed(reason: string): Error {
  const error = new Error(`Response does not match the HTTP/1.1 protocol (${reason})`);
  error.name = 'HTTPParserError';
  return error;
}

const cancelled = (reason: Cancelled['reason']): Cancelled => ({ kind: 'cancelled', reason, sent: true });

function judge(
  reply: Reply,
  retryOn: readonly RetryOn[],
  allowance: Partial<Omit<Allowance, 'retryOn'>> = {},
) {
  const rest = { triesLeft: 3, timeLeft: true, lone: false, idempotent: false, ...allowance };
  const { verdict, movesOn } = judgeAsNginx(reply, { ...rest, retryOn: new Set(retryOn) });
  return { counts: verdict.counts, movesOn, outcome: verdict.outcome };
}

const STATUSES: readonly (readonly [number, RetryOn, boolean])[] = [
  [500, 'http_500', true],
  [502, 'http_502', true],
  [503, 'http_503', true],
  [504, 'http_504', true],
  [429, 'http_429', true],
  [403, 'http_403', false],
  [404, 'http_404', false],
];

describe('a status', () => {
  test.each(STATUSES)('of %i moves on when it is listed and POST may be repeated', (status, on, counts) => {
    const reply = answerOf('', { status, rest: REST });
    expect(judge(reply, [on, 'non_idempotent'])).toMatchObject({ counts, movesOn: true });
  });

  test.each(STATUSES)('of %i is passed on as a success in any other case', (status, on) => {
    const reply = answerOf('', { status, rest: REST });
    const passedOn = { outcome: 'answered', counts: false, movesOn: false };
    expect(judge(reply, [on])).toEqual(passedOn);
    expect(judge(reply, ['error', 'non_idempotent'])).toEqual(passedOn);
    expect(judge(reply, [on, 'non_idempotent'], { triesLeft: 1 })).toEqual(passedOn);
    expect(judge(reply, [on, 'non_idempotent'], { timeLeft: false })).toEqual(passedOn);
  });

  test.each([200, 204, 301, 400, 401, 410, 501, 505])('of %i is passed on whatever is listed', (status) => {
    const all = [...STATUSES.map(([, on]) => on), 'error', 'non_idempotent'] as const;
    expect(judge(answerOf('', { status }), all)).toMatchObject({ counts: false, movesOn: false });
  });
});

describe('an attempt without an answer', () => {
  test.each<[string, Broken, RetryOn]>([
    ['that was refused', broken({ phase: 'connecting' }), 'error'],
    ['that did not connect in time', broken({ phase: 'connecting', timedOut: true }), 'timeout'],
  ])('%s counts always, and moves on when it is listed, since nothing was sent', (_, reply, on) => {
    expect(judge(reply, [on])).toMatchObject({ counts: true, movesOn: true });
    expect(judge(reply, ['non_idempotent'])).toMatchObject({ counts: true, movesOn: false });
  });

  test.each<[string, Reply, RetryOn]>([
    ['that was reset', broken(), 'error'],
    ['that took too long', broken({ timedOut: true }), 'timeout'],
    ['that outlived all of its time', cancelled('deadline'), 'timeout'],
    ['with a bad header', broken({ error: malformed('Invalid header token') }), 'invalid_header'],
  ])('%s counts always, and moves on when it is listed and POST may be repeated', (_, reply, on) => {
    expect(judge(reply, [on, 'non_idempotent'])).toMatchObject({ counts: true, movesOn: true });
    expect(judge(reply, [on])).toMatchObject({ counts: true, movesOn: false });
    expect(judge(reply, ['non_idempotent'])).toMatchObject({ counts: true, movesOn: false });
    expect(judge(reply, [on, 'non_idempotent'], { triesLeft: 1 })).toMatchObject({ movesOn: false });
    expect(judge(reply, [on, 'non_idempotent'], { timeLeft: false })).toMatchObject({ movesOn: false });
  });

  test.each<[string, Reply]>([
    ['whose header had come', broken({ phase: 'reading' })],
    ['whose body came to a halt', broken({ phase: 'reading', timedOut: true })],
    ['that was answered by something else than HTTP', broken({ error: malformed('Expected HTTP/') })],
    ['that was answered with a status that is none', broken({ error: malformed('Invalid status code') })],
    ['whose client left', cancelled('client')],
  ])('%s neither counts nor moves on', (_, reply) => {
    const all = ['error', 'timeout', 'invalid_header', 'non_idempotent'] as const;
    expect(judge(reply, all)).toMatchObject({ counts: false, movesOn: false });
  });

  test('of a lone upstream neither counts nor moves on, but for a kept connection that was given up', () => {
    const may = ['error', 'non_idempotent'] as const;
    expect(judge(broken(), may, { lone: true, triesLeft: 1 })).toMatchObject({
      counts: false,
      movesOn: false,
    });
    const stale = broken({ reusedSocket: true });
    expect(judge(stale, may, { lone: true, triesLeft: 1 })).toMatchObject({ counts: false, movesOn: true });
  });

  test('on a kept connection that was given up costs no try', () => {
    const may = new Set<RetryOn>(['error', 'non_idempotent']);
    const allowance = { triesLeft: 1, timeLeft: true, lone: false, idempotent: false, retryOn: may };
    expect(judgeAsNginx(broken({ reusedSocket: true }), allowance)).toMatchObject({
      movesOn: true,
      triesLeft: 1,
      verdict: { counts: true },
    });
    expect(judgeAsNginx(broken(), allowance)).toMatchObject({ movesOn: false, triesLeft: 0 });
  });
});
