import { describe, expect, test } from 'vitest';
import type { Broken, Reply } from './dispatch.ts';
import {
  ABORTED,
  ANSWERED,
  CUT,
  goesOn,
  judgeBatchRefusal,
  judgeEnvelope,
  judgeNoJsonRpc,
  judgeNotification,
  judgeTransport,
  MISSING,
  type Outcome,
  readAnswer,
  type Verdict,
} from './outcome.ts';

const NOW = Date.UTC(2026, 0, 1);

function answered(status: number, headers: Record<string, string | string[]> = {}): Reply {
  return { kind: 'answered', status, headers, body: Buffer.alloc(0), rest: null };
}

function broken(facts: Partial<Broken>): Reply {
  const error = new Error('read ECONNRESET');
  return { kind: 'broken', phase: 'waiting', timedOut: false, reusedSocket: false, error, ...facts };
}

function ofError(error: unknown): Verdict | null {
  return ofText(`{"jsonrpc":"2.0","id":1,"error":${JSON.stringify(error)}}`);
}

function ofText(text: string, cut = false): Verdict | null {
  const body = Buffer.from(text);
  const envelope = readAnswer(body, cut);
  return envelope && judgeEnvelope(body, envelope, null);
}

describe('the table', () => {
  const sent = { sent: true, nothingRan: false, lacks: null, stale: false, retryAfterMs: null };
  const of = (outcome: Outcome, facts: Partial<Verdict> = {}): Verdict => ({
    outcome,
    counts: false,
    lost: false,
    ...sent,
    ...facts,
  });

  test('a read goes elsewhere after every outcome but an answer and an abort', () => {
    const outcomes = {
      answered: 'no',
      unauthorized: 'yes',
      throttled: 'yes',
      unable: 'yes',
      internal: 'once',
      failed: 'yes',
      timed_out: 'yes',
      aborted: 'no',
    } as const satisfies Record<Outcome, string>;
    for (const [outcome, expected] of Object.entries(outcomes) as [Outcome, string][]) {
      expect(goesOn(of(outcome), 'read'), outcome).toBe(expected);
    }
  });

  test('what may not be repeated goes elsewhere only when nothing can have run', () => {
    const outcomes = {
      answered: 'no',
      unauthorized: 'yes',
      throttled: 'yes',
      unable: 'no',
      internal: 'no',
      failed: 'no',
      timed_out: 'no',
      aborted: 'no',
    } as const satisfies Record<Outcome, string>;
    for (const safety of ['write', 'unknown'] as const) {
      for (const [outcome, expected] of Object.entries(outcomes) as [Outcome, string][]) {
        expect(goesOn(of(outcome), safety), outcome).toBe(expected);
      }
      expect(goesOn(of('unable', { nothingRan: true }), safety)).toBe('yes');
      expect(goesOn(of('failed', { sent: false }), safety)).toBe('yes');
      expect(goesOn(of('timed_out', { sent: false }), safety)).toBe('yes');
    }
  });

  test('only what broke or took too long counts against the upstream', () => {
    expect(judgeTransport(broken({}), NOW)).toMatchObject({ counts: true });
    expect(judgeTransport(broken({ timedOut: true }), NOW)).toMatchObject({ counts: true });
    expect(judgeNoJsonRpc(500)).toMatchObject({ counts: true });
    expect(CUT).toMatchObject({ outcome: 'failed', counts: true });
    for (const verdict of [ANSWERED, ABORTED, MISSING, judgeNoJsonRpc(401), ofError({ code: -32603 })]) {
      expect(verdict?.counts, verdict?.outcome).toBe(false);
    }
  });
});

describe('transport', () => {
  test('a connection that was refused has sent nothing', () => {
    const verdict = judgeTransport(broken({ phase: 'connecting' }), NOW);
    expect(verdict).toMatchObject({ outcome: 'failed', sent: false, stale: false });
  });

  test('a connection that broke after the request was written may have executed it', () => {
    for (const phase of ['waiting', 'reading'] as const) {
      expect(judgeTransport(broken({ phase }), NOW)).toMatchObject({ outcome: 'failed', sent: true });
    }
  });

  test('a reset of a reused socket is marked as stale', () => {
    expect(judgeTransport(broken({ reusedSocket: true }), NOW)).toMatchObject({ stale: true });
  });

  test('an attempt that ran out of its own time is timed out, connecting or waiting', () => {
    expect(judgeTransport(broken({ timedOut: true }), NOW)).toMatchObject({
      outcome: 'timed_out',
      sent: true,
    });
    expect(judgeTransport(broken({ timedOut: true, phase: 'connecting' }), NOW)).toMatchObject({
      outcome: 'timed_out',
      sent: false,
    });
  });

  test('a cancelled attempt is aborted and keeps whether it was sent', () => {
    for (const sent of [true, false]) {
      const verdict = judgeTransport({ kind: 'cancelled', reason: 'client', sent }, NOW);
      expect(verdict).toMatchObject({ outcome: 'aborted', sent });
    }
  });

  test('statuses of something in front of the node decide by themselves', () => {
    for (const status of [502, 503, 504]) {
      expect(judgeTransport(answered(status), NOW), String(status)).toMatchObject({ outcome: 'failed' });
    }
    expect(judgeTransport(answered(429), NOW)).toMatchObject({ outcome: 'throttled' });
  });

  test('every other status leaves the word to the body', () => {
    for (const status of [200, 201, 204, 301, 400, 401, 403, 404, 413, 418, 500, 501, 505]) {
      expect(judgeTransport(answered(status), NOW), String(status)).toBeNull();
    }
  });

  test('without a JSON-RPC body credentials are refused and everything else has failed', () => {
    expect(judgeNoJsonRpc(401).outcome).toBe('unauthorized');
    expect(judgeNoJsonRpc(403).outcome).toBe('unauthorized');
    for (const status of [200, 204, 301, 400, 404, 500, 501, 505]) {
      expect(judgeNoJsonRpc(status).outcome, String(status)).toBe('failed');
    }
  });

  test('a notification is taken with any success and refused or failed otherwise', () => {
    expect(judgeNotification(200)).toBe(ANSWERED);
    expect(judgeNotification(204)).toBe(ANSWERED);
    expect(judgeNotification(403).outcome).toBe('unauthorized');
    expect(judgeNotification(300).outcome).toBe('failed');
    expect(judgeNotification(500).outcome).toBe('failed');
  });

  test('the time that a refusal asks for is read in seconds or as a date', () => {
    const cases: readonly [string | string[] | undefined, number | null][] = [
      ['2', 2000],
      [' 0 ', 0],
      [['3', '9'], 3000],
      [new Date(NOW + 5000).toUTCString(), 5000],
      [new Date(NOW - 5000).toUTCString(), 0],
      ['soon', null],
      [undefined, null],
    ];
    for (const [header, expected] of cases) {
      const reply = answered(429, header === undefined ? {} : { 'retry-after': header });
      expect(judgeTransport(reply, NOW)?.retryAfterMs, String(header)).toBe(expected);
    }
  });
});

describe('bodies that are JSON-RPC', () => {
  test('any result is an answer, null included', () => {
    for (const result of ['null', '"0x1"', '[]', '{}', 'false']) {
      expect(ofText(`{"jsonrpc":"2.0","id":1,"result":${result}}`), result).toBe(ANSWERED);
    }
  });

  test('a JSON-RPC 1.0 answer with both members is what the one that is not null says', () => {
    expect(ofText('{"id":1,"result":"0x1","error":null}')).toBe(ANSWERED);
    expect(ofText('{"id":1,"result":null,"error":{"code":-32601,"message":"no"}}')?.outcome).toBe('unable');
  });

  test('an error object without a numeric code is no JSON-RPC answer', () => {
    for (const error of ['{"message":"x"}', '{"code":"5"}', '"text"', 'null', '[]', '7']) {
      expect(ofText(`{"jsonrpc":"2.0","id":1,"error":${error}}`), error).toBeNull();
    }
  });

  test('what has neither result nor error, is a request, ambiguous or followed by more is none', () => {
    const texts = [
      '{}',
      '{"id":1}',
      '[]',
      'null',
      '"text"',
      '',
      '<html>',
      '{"id":1,"result":1} x',
      '{"id":1,"result":1,"result":2}',
      '{"id":1,"method":"eth_subscription","result":1}',
      '{"id":1,"result":"0x',
    ];
    for (const text of texts) expect(readAnswer(Buffer.from(text), false), text).toBeNull();
  });

  test('the beginning of an answer that is larger than what is held is believed once its result began', () => {
    expect(ofText('{"jsonrpc":"2.0","id":1,"result":"0xab', true)).toBe(ANSWERED);
    expect(ofText('{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"data":"0xab', true)).toBe(ANSWERED);
    expect(readAnswer(Buffer.from('{"jsonrpc":"2.0","id":1,'), true)).toBeNull();
    expect(readAnswer(Buffer.from('{"id":1,"result":1} x'), true)).toBeNull();
  });
});

describe('errors of nodes', () => {
  test('errors about the request itself are answers', () => {
    const errors = [
      { code: 3, message: 'execution reverted', data: '0x08c379a0' },
      { code: -32000, message: 'nonce too low' },
      { code: -32000, message: 'insufficient funds for gas * price + value' },
      { code: -32602, message: 'invalid argument 0: hex string without 0x prefix' },
      { code: -32600, message: 'invalid request' },
      { code: -32700, message: 'parse error' },
      { code: 4001, message: 'whatever comes in the future' },
      { code: -32005, message: 'query returned more than 10000 results' },
      { code: -32005, message: 'block range is too wide' },
      { code: 1010, message: 'Invalid Transaction', data: 'Transaction is outdated' },
      { code: 1013, message: 'Transaction is already imported' },
      { code: 4002, message: 'count exceeds maximum value. value: 2000, max: 1000' },
      { code: -32602, message: 'Invalid params', data: 'error converting json params to arguments' },
    ];
    for (const error of errors) expect(ofError(error), error.message).toBe(ANSWERED);
  });

  test('a revert is an answer whatever code and place it comes in', () => {
    const errors = [
      { code: -32603, message: 'VM Exception while processing transaction: revert' },
      { code: -32603, message: 'Internal error', data: 'Reverted 0x' },
      { code: -32603, message: 'Internal error', data: '0x08c379a00000' },
      { code: -32603, message: 'Internal error', data: { output: '0x4e487b710000' } },
      { code: -32000, message: 'execution reverted' },
    ];
    for (const error of errors) expect(ofError(error), JSON.stringify(error)).toBe(ANSWERED);
  });

  test('a method that the node has not got ran nowhere', () => {
    expect(ofError({ code: -32601, message: 'the method x does not exist' })).toMatchObject({
      outcome: 'unable',
      nothingRan: true,
    });
  });

  test('a method that a node was told not to serve is remembered as one that it has not got', () => {
    const errors = [
      { code: -32601, message: 'RPC call is unsafe to be called externally' },
      { code: -32603, message: 'Internal error', data: 'transaction indexing is disabled' },
      { code: -32603, message: 'Internal error', data: 'block indexing is disabled' },
    ];
    for (const error of errors)
      expect(ofError(error), error.data).toMatchObject({ outcome: 'unable', lacks: 'method' });
  });

  test('a batch that a node does not take was not read, and is no limit', () => {
    const errors = [
      { code: -32005, message: 'Batched requests are not supported by this server' },
      { code: -32010, message: 'The batch request was too large' },
      { code: -32600, message: 'Invalid Request', data: 'batch request exceeds maximum (10)' },
    ];
    for (const error of errors) {
      const body = Buffer.from(`{"jsonrpc":"2.0","id":null,"error":${JSON.stringify(error)}}`);
      const envelope = readAnswer(body, false);
      expect(envelope && judgeBatchRefusal(body, envelope, null), error.message).toMatchObject({
        outcome: 'unable',
        nothingRan: true,
      });
    }
  });

  test('a transaction that a CometBFT node has not got, said with status 500, is worth one second opinion', () => {
    expect(judgeTransport(answered(500), NOW)).toBeNull();
    const error = { code: -32603, message: 'Internal error', data: 'tx (0A1B) not found' };
    expect(ofError(error)?.outcome).toBe('internal');
  });

  test('limits are refusals whichever code says them', () => {
    expect(ofError({ code: -32005, message: 'daily request count exceeded' })?.outcome).toBe('throttled');
    const others = [
      { code: 429, message: 'Your app has exceeded its compute units' },
      { code: -32999, message: 'RPC rate limit exceeded' },
      { code: -32009, message: 'Server is busy, try again later' },
    ];
    for (const error of others) expect(ofError(error)?.outcome, error.message).toBe('throttled');
  });

  test('every wording of missing history or a missing block sends a read elsewhere', () => {
    const texts = [
      'missing trie node 5a3f (path ) state 0x5a3f is not available',
      'header not found',
      'Unknown block',
      'block not found: 0x1',
      'historical state 0x5a3f is not available',
      'state 0x5a3f is not available',
      'state at block #5 is pruned',
      'pruned history unavailable',
      'history has been pruned for this block',
      'No state available for block 5',
      'BlockOutOfRangeError: block height is 5 but requested was 9',
      'requested data is in ancient data store',
      'Client error: UnknownBlock: State already discarded for 0x5a3f',
      'Client error: UnknownBlock: Header was not found in the database: 0x5a3f',
      'State already discarded for BlockId::Hash(0x5a3f)',
      'Client error: Api called for an unknown Block: State already discarded for BlockId::Hash(0x5a3f)',
    ];
    for (const message of texts) {
      expect(ofError({ code: -32000, message }), message).toMatchObject({
        outcome: 'unable',
        nothingRan: false,
      });
    }
    expect(ofError({ code: -32603, message: 'x', data: 'header not found' })?.outcome).toBe('unable');
    const data = [
      'height 5 is not available, lowest height is 100',
      'height 105 must be less than or equal to the current blockchain height 104',
      "min height 105 can't be greater than max height 104",
      'could not find results for height #5',
      'could not find consensus params for height #5',
      "couldn't find validators at height 5 (height 5 was originally requested): value retrieved from db is empty",
      'node is not persisting finalize block responses',
    ];
    for (const text of data)
      expect(ofError({ code: -32603, message: 'Internal error', data: text }), text).toMatchObject({
        outcome: 'unable',
        lacks: 'history',
      });
  });

  test('an internal error without a revert is worth one second opinion', () => {
    expect(ofError({ code: -32603, message: 'Internal error' })?.outcome).toBe('internal');
    expect(ofError({ code: -32603 })?.outcome).toBe('internal');
  });
});
