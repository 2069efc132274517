import { describe, expect, test } from 'vitest';
import { BalancerError, ERRORS, type ErrorCode } from './errors.ts';

describe('the registry of errors', () => {
  // The table of design 4: what, HTTP status, JSON-RPC code.
  test.each<[ErrorCode, number, number]>([
    ['RPCB_PARSE', 400, -32700],
    ['RPCB_CONTENT_TYPE', 415, -32600],
    ['RPCB_INVALID_REQUEST', 400, -32600],
    ['RPCB_UNKNOWN_NETWORK', 404, -32600],
    ['RPCB_NOT_FOUND', 404, -32600],
    ['RPCB_TOO_LARGE', 413, -32600],
    ['RPCB_OVERLOADED', 503, -32005],
    ['RPCB_NO_UPSTREAM', 503, -32603],
    ['RPCB_ATTEMPTS_FAILED', 502, -32603],
    ['RPCB_DEADLINE', 504, -32603],
    ['RPCB_FATE_UNKNOWN', 502, -32000],
  ])('%s answers HTTP %i and JSON-RPC %i', (code, statusCode, jsonRpcCode) => {
    expect(ERRORS[code]).toMatchObject({ statusCode, jsonRpcCode });
    expect(new BalancerError(code)).toMatchObject({ code, statusCode, jsonRpcCode });
  });

  test('gives a code that clients repeat to nothing that may have been executed', () => {
    const repeated = [-32603, -32005, 429, -1];
    expect(repeated).not.toContain(ERRORS.RPCB_FATE_UNKNOWN.jsonRpcCode);
  });

  test('has a message of its own for every code, without a full stop or a URL', () => {
    const messages = Object.values(ERRORS).map(({ message }) => message);
    expect(new Set(messages).size).toBe(messages.length);
    for (const message of messages) expect(message).toMatch(/^[A-Z][^:/]+[^.:/]$/);
  });
});

describe('a BalancerError', () => {
  test('says what happened, keeps its cause and its details, and names its place in the documents', () => {
    const cause = new Error('socket');
    const error = new BalancerError('RPCB_OVERLOADED', {
      detail: 'network "main"',
      details: { network: 'main' },
      cause,
      retryAfterMs: 1500,
    });
    expect(error.message).toBe('Every upstream is at its limit; try again later: network "main"');
    expect(error).toMatchObject({ name: 'BalancerError', cause, retryAfterMs: 1500 });
    expect(error.details).toEqual({ network: 'main' });
    expect(error.docs).toBe('docs/errors.md#rpcb_overloaded');
    expect(error).toBeInstanceOf(Error);
  });

  test('has neither cause nor details unless they were given', () => {
    const error = new BalancerError('RPCB_PARSE');
    expect('cause' in error).toBe(false);
    expect([error.details, error.retryAfterMs, error.message]).toEqual([
      undefined,
      undefined,
      ERRORS.RPCB_PARSE.message,
    ]);
  });
});
