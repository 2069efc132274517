// Each atomic step against a real server, where its tokens, types and expiries are not as they should be.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type RedisServer, startRedis } from '../../../test/kit/redis.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import { type Drain, decodeDrain, decodeRanking, type Lease, type Store } from '../src/index.ts';
import { openStore } from './redis-stores.ts';
import { rankingOf } from './store-conformance.ts';

const LEASE = 'rpcb:{test:main}:lease';
const EPOCH = 'rpcb:{test:main}:epoch';
const RANKING = 'rpcb:{test:main}:ranking';
const WRITES = 'rpcb:{test:main}:writes';
const DRAINS = 'rpcb:{test:main}:drains';
const TTL_MS = 30_000;

/** More than any clock says for 200 years, and 16 digits, which Lua prints as 9e+15 by itself. */
const LARGE = 9_000_000_000_000_000;

let server: RedisServer;
let store: Store;

beforeAll(async () => {
  server = await startRedis();
  store = openStore({ url: server.url });
});
afterAll(async () => {
  await store.close();
  await server.stop();
});
beforeEach(() => server.cli('flushall'));

async function take(holder = 'anna', ttlMs = TTL_MS): Promise<Lease> {
  const lease = await store.acquire('main', holder, ttlMs);
  if (lease === null) throw new Error('the lease is not free');
  return lease;
}

async function ttlOf(key: string): Promise<number> {
  return Number(await server.cli('pttl', key));
}

/** The server's clock in ms. */
async function serverTime(): Promise<number> {
  const [seconds, micros] = ([] as unknown[]).concat(await server.cli('time')).map(Number);
  return (seconds ?? 0) * 1000 + Math.floor((micros ?? 0) / 1000);
}

/** Without its data the server has only its clock, so the same millisecond would give the same epoch. */
function clockPasses({ epoch }: Lease): Promise<unknown> {
  return waitFor(async () => (await serverTime()) > epoch, { what: 'the next millisecond' });
}

/** An answer of PTTL shortly after the expiry was set. */
function expectTtl(actual: number, ttlMs: number): void {
  expect(actual).toBeGreaterThan(ttlMs - 5000);
  expect(actual).toBeLessThanOrEqual(ttlMs);
}

describe('acquire', () => {
  test('writes holder and epoch as integers, a lease that expires and an epoch that does not', async () => {
    const { epoch } = await take();
    expect(await server.cli('get', LEASE)).toBe(`anna|${epoch}`);
    expect(await server.cli('get', EPOCH)).toBe(String(epoch));
    expectTtl(await ttlOf(LEASE), TTL_MS);
    expect(await ttlOf(EPOCH)).toBe(-1);
  });

  test('takes the clock of the server for its first epoch', async () => {
    const before = await serverTime();
    const { epoch } = await take();
    expect(epoch).toBeGreaterThanOrEqual(before);
    expect(epoch).toBeLessThanOrEqual(await serverTime());
  });

  test('goes on from a stored epoch that is ahead of the clock, and prints it whole', async () => {
    await server.cli('set', EPOCH, LARGE);
    expect((await take()).epoch).toBe(LARGE + 1);
    expect(await server.cli('get', LEASE)).toBe('anna|9000000000000001');
    expect(await server.cli('get', EPOCH)).toBe('9000000000000001');
  });

  test('leaves lease and epoch of another holder as they are', async () => {
    const { epoch } = await take('anna', 5000);
    expect(await store.acquire('main', 'bert', 500_000)).toBeNull();
    expect(await server.cli('get', LEASE)).toBe(`anna|${epoch}`);
    expect(await server.cli('get', EPOCH)).toBe(String(epoch));
    expect(await ttlOf(LEASE)).toBeLessThanOrEqual(5000);
  });

  test('treats an epoch that is no number as lost', async () => {
    await server.cli('set', EPOCH, 'nonsense');
    expect((await take()).epoch).toBeGreaterThan(1_600_000_000_000);
  });

  test.each([LEASE, EPOCH])('fails on a foreign value in %s and says what to change', async (key) => {
    await server.cli('rpush', key, 'foreign');
    await expect(take()).rejects.toMatchObject({ code: 'RPCB_STORE', message: /redis\.prefix/ });
    expect(store.health()).toMatchObject({
      connected: true,
      problem: expect.stringContaining('redis.prefix'),
    });
    await server.cli('del', key);
    await take();
    expect(store.health().problem).toBeNull();
  });

  test.each([
    ['FLUSHALL', () => server.cli('flushall')],
    ['a reload of the data', () => server.cli('debug', 'reload')],
    ['the loss of the epoch alone', () => server.cli('del', EPOCH, LEASE)],
    ['SCRIPT FLUSH', () => server.cli('script', 'flush')],
  ])('gives a higher epoch after %s', async (_, disturb) => {
    const lease = await take();
    await disturb();
    await clockPasses(lease);
    if ((await server.cli('exists', LEASE)) === 1) await store.release(lease);
    expect((await take()).epoch).toBeGreaterThan(lease.epoch);
  });
});

describe('renew', () => {
  test('sets the new expiry and nothing else', async () => {
    const lease = await take('anna', 5000);
    const before = await server.cli('get', LEASE);
    expect(await store.renew(lease, TTL_MS)).toBe(true);
    expectTtl(await ttlOf(LEASE), TTL_MS);
    expect(await server.cli('get', LEASE)).toBe(before);
  });

  test('with an old token leaves the expiry as it is', async () => {
    const lease = await take('anna', 5000);
    expect(await store.renew({ ...lease, epoch: lease.epoch - 1 }, 500_000)).toBe(false);
    expect(await ttlOf(LEASE)).toBeLessThanOrEqual(5000);
  });

  test('of a missing lease creates none', async () => {
    const lease = await take();
    await server.cli('del', LEASE);
    expect(await store.renew(lease, TTL_MS)).toBe(false);
    expect(await server.cli('exists', LEASE)).toBe(0);
  });

  test('matches an epoch of sixteen digits', async () => {
    await server.cli('set', EPOCH, LARGE);
    expect(await store.renew(await take(), TTL_MS)).toBe(true);
  });

  test('fails on a foreign value', async () => {
    const lease = await take();
    await server.cli('del', LEASE);
    await server.cli('rpush', LEASE, 'foreign');
    await expect(store.renew(lease, TTL_MS)).rejects.toMatchObject({ code: 'RPCB_STORE' });
    await server.cli('del', LEASE);
    expect(await store.renew(await take(), TTL_MS)).toBe(true);
  });
});

describe('release', () => {
  test('deletes the lease and keeps the epoch', async () => {
    const lease = await take();
    await store.release(lease);
    expect(await server.cli('exists', LEASE)).toBe(0);
    expect(await server.cli('get', EPOCH)).toBe(String(lease.epoch));
  });

  test('with an old token or another holder deletes nothing', async () => {
    const lease = await take();
    await store.release({ ...lease, epoch: lease.epoch - 1 });
    await store.release({ ...lease, holder: 'bert' });
    expect(await server.cli('exists', LEASE)).toBe(1);
  });

  test('of a missing lease is no error', async () => {
    const lease = await take();
    await server.cli('del', LEASE);
    await store.release(lease);
    expect(await server.cli('exists', LEASE)).toBe(0);
  });
});

describe('publish', () => {
  test('writes token and document as integers and text, with the expiry asked for', async () => {
    await server.cli('set', EPOCH, LARGE);
    const lease = await take();
    expect(await store.publish(lease, rankingOf('main', 3), TTL_MS)).toBe('accepted');
    expect(await server.cli('hmget', RANKING, 'epoch', 'seq')).toEqual(['9000000000000001', '3']);
    expect(await server.cli('hlen', RANKING)).toBe(3);
    expect(decodeRanking(String(await server.cli('hget', RANKING, 'doc')))).toMatchObject({
      epoch: LARGE + 1,
      seq: 3,
    });
    expectTtl(await ttlOf(RANKING), TTL_MS);
  });

  test('compares tokens as numbers: ten is newer than nine', async () => {
    const lease = await take();
    await store.publish(lease, rankingOf('main', 9), TTL_MS);
    expect(await store.publish(lease, rankingOf('main', 10), TTL_MS)).toBe('accepted');
  });

  test('under a lease that ended writes nothing, whoever holds it now', async () => {
    const lease = await take();
    await server.cli('del', LEASE);
    expect(await store.publish(lease, rankingOf('main', 1), TTL_MS)).toBe('fenced');
    await take('bert');
    expect(await store.publish(lease, rankingOf('main', 2), TTL_MS)).toBe('fenced');
    expect(await server.cli('exists', RANKING)).toBe(0);
  });

  test('is fenced by a stored ranking of a higher epoch, and leaves its expiry', async () => {
    const lease = await take();
    await server.cli('hset', RANKING, 'epoch', lease.epoch + 1, 'seq', 1, 'doc', 'newer');
    expect(await store.publish(lease, rankingOf('main', 5), TTL_MS)).toBe('fenced');
    expect(await store.readRanking('main')).toBe('newer');
    expect(await ttlOf(RANKING)).toBe(-1);
  });

  test('replaces a ranking whose token is damaged', async () => {
    const lease = await take();
    await server.cli('hset', RANKING, 'epoch', 'nonsense', 'doc', 'broken');
    expect(await store.publish(lease, rankingOf('main', 1), TTL_MS)).toBe('accepted');
  });

  test('fails on a foreign value and is well again when that is gone', async () => {
    const lease = await take();
    await server.cli('set', RANKING, 'foreign');
    await expect(store.publish(lease, rankingOf('main', 1), TTL_MS)).rejects.toMatchObject({
      code: 'RPCB_STORE',
    });
    await expect(store.readRanking('main')).rejects.toMatchObject({ message: /redis\.prefix/ });
    await server.cli('del', RANKING);
    expect(await store.publish(lease, rankingOf('main', 1), TTL_MS)).toBe('accepted');
    expect(await store.readRanking('main')).toContain('"seq":1');
    expect(store.health().problem).toBeNull();
  });

  test('after FLUSHALL is fenced until a new lease, whose ranking is newer', async () => {
    const lease = await take();
    await store.publish(lease, rankingOf('main', 100), TTL_MS);
    await server.cli('flushall');
    await clockPasses(lease);
    expect(await store.publish(lease, rankingOf('main', 101), TTL_MS)).toBe('fenced');
    const next = await take();
    expect(next.epoch).toBeGreaterThan(lease.epoch);
    expect(await store.publish(next, rankingOf('main', 1), TTL_MS)).toBe('accepted');
  });
});

describe('drain', () => {
  const drainOf = (revision: number): Drain => {
    return { version: 1, upstream: 'a', revision, drained: true, since: 1, by: null, reason: null };
  };
  const storedRevisions = async () =>
    (await store.readDrains('main')).map((text) => decodeDrain(text)?.revision ?? text);

  test('writes one field for each upstream, in a key that does not expire', async () => {
    await store.writeDrain('main', drainOf(1000));
    expect(await server.cli('hkeys', DRAINS)).toEqual(['a']);
    expect(await ttlOf(DRAINS)).toBe(-1);
  });

  test('compares revisions of sixteen digits to the last one', async () => {
    expect(await store.writeDrain('main', drainOf(LARGE))).toBe(true);
    expect(await store.writeDrain('main', drainOf(LARGE - 1))).toBe(false);
    expect(await store.writeDrain('main', drainOf(LARGE + 1))).toBe(true);
    expect(await storedRevisions()).toEqual([LARGE + 1]);
  });

  test('replaces a word that is damaged', async () => {
    await server.cli('hset', DRAINS, 'a', 'broken');
    expect(await storedRevisions()).toEqual(['broken']);
    expect(await store.writeDrain('main', drainOf(5))).toBe(true);
    expect(await storedRevisions()).toEqual([5]);
  });

  test('fails on a foreign value and leaves it', async () => {
    await server.cli('set', DRAINS, 'foreign');
    await expect(store.writeDrain('main', drainOf(5))).rejects.toMatchObject({ code: 'RPCB_STORE' });
    await expect(store.readDrains('main')).rejects.toMatchObject({ message: /redis\.prefix/ });
    expect(await server.cli('get', DRAINS)).toBe('foreign');
  });
});

describe('note-write', () => {
  test('keeps each write until its own end, and all of them no longer than the last', async () => {
    await store.noteWrite('main', { upstream: 'a', subjects: ['0x1'] }, TTL_MS);
    expectTtl(await ttlOf(WRITES), TTL_MS);
    const [, score] = ([] as unknown[]).concat(
      await server.cli('zrangebyscore', WRITES, '-inf', '+inf', 'withscores'),
    );
    expectTtl(Number(score) - (await serverTime()), TTL_MS);
    expect(String(score)).toMatch(/^\d+$/);
  });

  test('forgets writes whose time is over', async () => {
    await server.cli('zadd', WRITES, 1, '{"upstream":"a","subjects":["0xold"]}');
    expect(await store.readWrites('main')).toEqual([]);
    await store.noteWrite('main', { upstream: 'a', subjects: ['0x1'] }, TTL_MS);
    expect(await server.cli('zcard', WRITES)).toBe(1);
  });

  test('says what is wrong when something else has its name', async () => {
    await server.cli('set', WRITES, 'x');
    await expect(store.noteWrite('main', { upstream: 'a', subjects: ['0x1'] }, TTL_MS)).rejects.toMatchObject(
      {
        code: 'RPCB_STORE',
      },
    );
    await expect(store.readWrites('main')).rejects.toMatchObject({ code: 'RPCB_STORE' });
  });
});
