import { describe, expect, test } from 'vitest';
import type { FakeNode } from '../../../test/kit/fake-node.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import { type Front, startFront, startNodes } from './front.ts';

/** A read that waits for its timeout waits longer than a test may take. */
const TIMEOUTS = { readTimeout: '2m', deadline: '5m' } as const;

async function start(network: object = {}, upstreams: readonly object[] = []) {
  const [a, b] = (await startNodes({}, {})) as [FakeNode, FakeNode];
  const front = await startFront([a, b], { network, upstreams });
  return { front, a, b };
}

/** Enough answers for the gateway to know how long such a call takes. */
async function learn(front: Front, method: string, calls = 30): Promise<void> {
  for (let call = 0; call < calls; call++) await front.call(method);
}

const HANG = () => ({ hang: true }) as const;

describe('an upstream that goes silent', () => {
  test('gives the reads in flight there to another after a second, is asked nothing new, and costs no failed read', async () => {
    const { front, a, b } = await start(TIMEOUTS);
    await learn(front, 'eth_gasPrice');
    a.answer = HANG;
    b.answer = () => ({ result: '0x1', afterMs: 100 }); // So that each gets half, which is more than may be hedged.
    const answers = await Promise.all(Array.from({ length: 20 }, () => front.call('eth_gasPrice')));
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200));
    expect(a.hits()).toBeLessThan(30);
    const [asked, served] = [a.hits(), b.hits()];
    await learn(front, 'eth_gasPrice', 5);
    expect([a.hits(), b.hits()]).toEqual([asked, served + 5]);
    await waitFor(() => a.inFlight === 0, { what: 'the hanging attempts to be given up' });
    expect(front.upstream('a').inFlight).toBe(0);
  });

  test('may still answer first: then the other attempt is given up, and nobody is blamed', async () => {
    const { front, a, b } = await start({ silence: 100 }, [{}, { tier: 'fallback' }]);
    a.answer = () => ({ result: '0xa', afterMs: 500 });
    b.answer = HANG;
    expect((await front.call('eth_gasPrice')).json.result).toBe('0xa');
    expect(b.hits()).toBe(1);
    for (const id of ['a', 'b']) expect(front.upstream(id)).toMatchObject({ fails: 0, inFlight: 0 });
  });

  test('counts its silence as failures, so that one trial brings it back', async () => {
    const { front, a } = await start({ failTimeout: 2000, silence: 100 });
    a.answer = HANG;
    await Promise.all(Array.from({ length: 8 }, () => front.call('eth_gasPrice')));
    expect(front.upstream('a')).toMatchObject({ reason: 'ejected', inFlight: 0 });
    a.answer = undefined;
    await waitFor(async () => (await front.call('eth_gasPrice')) && front.upstream('a').reason === null, {
      what: 'the trial to bring it back',
    });
  });

  test('is silent by name until it answers', async () => {
    const { front, a } = await start({ silence: 100, maxFails: 0, failTimeout: 60_000 }, [
      {},
      { tier: 'fallback' },
    ]);
    a.answer = ({ method }) => (method === 'eth_gasPrice' ? { hang: true } : { result: '0x1', afterMs: 600 });
    const write = front.call('eth_sendRawTransaction', ['0x00']);
    const read = front.call('eth_gasPrice');
    await front.reason('a', 'silent');
    expect((await read).status).toBe(200);
    expect(front.upstream('a').reason).toBe('silent');
    expect((await write).json.result).toBe('0x1');
    expect(front.upstream('a').reason).toBeNull();
  });

  test('keeps a write in flight there to itself', async () => {
    const { front, a, b } = await start({ silence: 100 }, [{}, { tier: 'fallback' }]);
    a.answer = ({ method }) =>
      method === 'eth_sendRawTransaction' ? { result: '0x2', afterMs: 500 } : { hang: true };
    const [write, read] = await Promise.all([
      front.call('eth_sendRawTransaction', ['0x00']),
      front.call('eth_gasPrice'),
    ]);
    expect([write.json.result, read.status]).toEqual(['0x2', 200]);
    expect([b.hits('eth_sendRawTransaction'), b.hits('eth_gasPrice')]).toEqual([0, 1]);
  });

  test('is none while a slow but healthy call is alone there: that is not asked twice', async () => {
    const { front, a, b } = await start({}, [{}, { tier: 'fallback' }]);
    await learn(front, 'eth_gasPrice');
    a.answer = ({ method }) =>
      method === 'debug_traceTransaction' ? { result: [], afterMs: 1500 } : undefined;
    const answer = await front.call('debug_traceTransaction', ['0x1']);
    expect(answer.json.result).toEqual([]);
    expect([b.hits(), front.upstream('a').fails]).toEqual([0, 0]);
  });

  test('is none while others of its answers come', async () => {
    const { front, a, b } = await start({ silence: 400, maxFails: 1 }, [{}, { tier: 'fallback' }]);
    a.answer = ({ method }) => (method === 'eth_getLogs' ? { result: [], afterMs: 900 } : undefined);
    let done = false;
    const slow = front.call('eth_getLogs', [{}]).finally(() => {
      done = true;
    });
    while (!done) await front.call('eth_gasPrice');
    expect((await slow).json.result).toEqual([]);
    expect(b.hits()).toBe(0);
  });

  test('is none while this process itself was halted and heard nobody', async () => {
    const { front, a } = await start({ silence: 300 }, [{}, { tier: 'fallback' }]);
    a.answer = () => {
      const endsAt = performance.now() + 1000;
      while (performance.now() < endsAt);
      return { result: '0xa', afterMs: 50 };
    };
    expect((await front.call('eth_gasPrice')).json.result).toBe('0xa');
    expect(front.upstream('b').requests).toBe(0);
    expect(front.upstream('a')).toMatchObject({ reason: null, fails: 0 });
  });

  test('is none while an answer comes, however slowly', async () => {
    const settings = { silence: 100, readTimeout: 2000 };
    const { front, a, b } = await start(settings, [{}, { tier: 'fallback' }]);
    a.mode = 'stall';
    const begunAt = performance.now();
    expect((await front.call('eth_gasPrice')).status).toBe(200);
    expect(performance.now() - begunAt).toBeGreaterThan(1000); // Between two bytes the read timeout counts.
    expect(b.hits()).toBe(1);
  });

  test('off, reads wait for their timeout', async () => {
    const { front, a, b } = await start({ silence: 'off', readTimeout: 700, connectTimeout: 100 }, [
      {},
      { tier: 'fallback' },
    ]);
    await learn(front, 'eth_gasPrice');
    a.answer = HANG;
    expect((await front.call('eth_gasPrice')).status).toBe(200);
    expect(b.hits()).toBe(1);
    expect(front.upstream('a').fails).toBe(1);
  });
});

test('reads in flight on an upstream that is ejected meanwhile go to another at once', async () => {
  const settings = { ...TIMEOUTS, silence: 'off', maxFails: 2, failTimeout: 60_000 };
  const { front, a } = await start(settings, [{}, { tier: 'fallback' }]);
  a.answer = ({ method }) => (method === 'eth_getLogs' ? { hang: true } : { status: 500, body: 'broken' });
  const waiting = Promise.all(Array.from({ length: 4 }, () => front.call('eth_getLogs', [{}])));
  await waitFor(() => a.inFlight === 4, { what: 'the reads to hang there' });
  for (let call = 0; call < 2; call++) expect((await front.call('eth_gasPrice')).status).toBe(200);
  expect(front.upstream('a').reason).toBe('ejected');
  expect((await waiting).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
});

test('reads in flight on an upstream whose probes time out meanwhile go to another at once', async () => {
  const probe = { interval: '100ms', timeout: '300ms', attempts: 1 };
  const { front, a, b } = await start({ ...TIMEOUTS, silence: 'off', probe }, [{}, { tier: 'fallback' }]);
  await front.reason('a', null);
  await front.reason('b', 'standby');
  a.answer = HANG;
  const answers = await Promise.all(Array.from({ length: 4 }, () => front.call('eth_getLogs', [{}])));
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  expect([a.hits('eth_getLogs'), b.hits('eth_getLogs')]).toEqual([4, 4]);
  expect(front.upstream('a')).toMatchObject({ reason: 'probe_timeout', inFlight: 0, fails: 0 });
});

test('reads sent to upstreams of which none answers its probes are not doubled for that', async () => {
  const probe = { interval: '100ms', timeout: '100ms', attempts: 1 };
  const { front, a, b } = await start({ probe });
  const answer: FakeNode['answer'] = ({ method }) =>
    method === 'eth_getLogs' ? { result: [], afterMs: 500 } : { hang: true };
  for (const node of [a, b]) node.answer = answer;
  for (const id of ['a', 'b']) await front.reason(id, 'probe_timeout');
  expect((await front.call('eth_getLogs', [{}])).json.result).toEqual([]);
  expect(a.hits('eth_getLogs') + b.hits('eth_getLogs')).toBe(1);
});

describe('hedging', () => {
  const SLOW = { afterMs: 3000, result: '0xa' } as const;
  /** JSON-RPC, and what is passed through. */
  const PATHS = ['/net', '/net/x'];

  async function startFor(path: string, network: object, upstreams: readonly object[] = []) {
    const isUri = path !== '/net';
    const bench = await start({ ...network, ...(isUri && { protocol: 'http' }) }, upstreams);
    for (const node of [bench.a, bench.b]) node.anyVerb = true;
    const { front } = bench;
    let count = 0; // Paths are compared by their verb, since each may be asked for but once.
    return {
      ...bench,
      ask: () =>
        isUri ? front.send(`${path}/${count++}`, null, { verb: 'GET' }) : front.call('eth_gasPrice'),
    };
  }

  test('a slow read is asked of a second upstream, the first answer counts and the other attempt is given up without blame', async () => {
    const settings = { hedge: { after: 30 }, readTimeout: '25s' };
    const { front, a, b } = await start(settings, [{}, { tier: 'fallback' }]);
    a.answer = HANG; // For longer than is waited below.
    b.answer = () => ({ result: '0xb' });
    expect((await front.call('eth_gasPrice')).json.result).toBe('0xb');
    await waitFor(() => a.inFlight === 0, { what: 'the slow attempt to be given up' });
    expect(front.upstream('a')).toMatchObject({ fails: 0, inFlight: 0, reason: null });
  });

  test('a second attempt that fails does not end the wait for the first', async () => {
    const { front, a, b } = await start({ hedge: { after: 30 } }, [{}, { tier: 'fallback' }]);
    a.answer = () => ({ result: '0xa', afterMs: 300 });
    b.answer = () => ({ status: 500, body: 'broken' });
    expect((await front.call('eth_gasPrice')).json.result).toBe('0xa');
    expect([b.hits(), front.upstream('b').fails]).toEqual([1, 1]);
  });

  test('a write is never hedged, nor a method that nobody knows', async () => {
    const { front, a, b } = await start({ hedge: { after: 30 } }, [{}, { tier: 'fallback' }]);
    a.answer = () => ({ result: '0xa', afterMs: 200 });
    for (const method of ['eth_sendRawTransaction', 'made_up']) await front.call(method);
    expect(b.hits()).toBe(0);
  });

  test('no more than one in twenty is hedged', async () => {
    const { front, a, b } = await start({ hedge: { after: 10 } }, [{}, { tier: 'fallback' }]);
    a.answer = () => ({ result: '0xa', afterMs: 30 });
    for (let call = 0; call < 60; call++) await front.call('eth_gasPrice');
    expect(b.hits()).toBeGreaterThan(1);
    expect(b.hits()).toBeLessThanOrEqual(1 + 60 / 20);
  });

  test('by a percentile, it learns nothing from failures, which are fast', async () => {
    const settings = { hedge: { after: 'p95' }, maxFails: 0, tries: 1 };
    const { front, a, b } = await start(settings, [{}, { tier: 'fallback' }]);
    a.mode = 'http500';
    await learn(front, 'eth_gasPrice');
    a.mode = 'ok';
    a.answer = () => ({ result: '0xa', afterMs: 200 });
    expect((await front.call('eth_gasPrice')).json.result).toBe('0xa');
    expect(b.hits()).toBe(0);
  });

  test.each(PATHS)('by a percentile, it begins when that is known, for %s', async (path) => {
    const { a, b, ask } = await startFor(path, { hedge: { after: 'p95' } }, [{}, { tier: 'fallback' }]);
    for (let call = 0; call < 30; call++) await ask();
    const before = b.hits();
    a.answer = () => SLOW;
    await ask();
    expect(b.hits()).toBe(before + 1);
  });

  test.each(PATHS)(
    'an upstream that lost is known to be slow, although it never answered %s',
    async (path) => {
      const network = { hedge: { after: 1000 }, strategy: 'latency', readTimeout: '5s', silence: 'off' };
      const { a, ask } = await startFor(path, network);
      a.answer = HANG;
      while (a.hits() === 0) expect((await ask()).status).toBe(200);
      // Of which nothing is known would get the next as soon as it has nothing in flight.
      for (let at = 0; at < 5; at++) expect((await ask()).status).toBe(200);
      expect(a.hits()).toBe(1);
    },
  );

  test.each(PATHS)(
    'by a percentile, it learns how long a client waited, and not how long the second attempt took: %s',
    async (path) => {
      const network = { hedge: { after: 'p95' }, silence: 1000, maxFails: 0, failTimeout: 300 };
      const { front, a, b, ask } = await startFor(path, network, [{}, { tier: 'fallback' }]);
      a.answer = HANG;
      await Promise.all(Array.from({ length: 30 }, ask));
      expect(b.hits()).toBeGreaterThan(20); // Each after a second of silence.
      a.answer = undefined;
      const isBack = async () => (await ask()) && front.upstream('a').reason === null;
      await waitFor(isBack, { what: 'the silent one to be asked again' });
      const before = [a.hits(), b.hits()] as const;
      a.answer = () => ({ result: '0xa', afterMs: 200 });
      await ask();
      expect([a.hits(), b.hits()]).toEqual([before[0] + 1, before[1]]);
    },
  );
});
