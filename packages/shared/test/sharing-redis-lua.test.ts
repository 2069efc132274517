// What gateways share, each atomic step against a real server, where keys are missing, old or of another kind.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type RedisServer, startRedis } from '../../../test/kit/redis.ts';
import type { Store } from '../src/index.ts';
import { openStore } from './redis-stores.ts';
import { reportOf } from './sharing-conformance.ts';

const GATEWAYS = 'rpcb:{test:main}:gateways';
const BEATS = 'rpcb:{test:main}:beats';
const USAGES = 'rpcb:{test:main}:usages';
const REPORTS = 'rpcb:{test:main}:reports';
const TRIAL = 'rpcb:{test:main}:trial:usual:a';
const SIDECARS = 'rpcb:{test}:sidecars';
const SIDECAR_BEATS = 'rpcb:{test}:sidecar-beats';
const TTL_MS = 30_000;

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

/** Shortly after the expiry was set. */
async function expectTtl(key: string, ttlMs: number): Promise<void> {
  const left = Number(await server.cli('pttl', key));
  expect(left).toBeGreaterThan(ttlMs - 5000);
  expect(left).toBeLessThanOrEqual(ttlMs);
}

const beat = (instance = 'anna', content: string | null = 'told', usage: string | null = 'used') =>
  store.beat('main', instance, { content, usage }, TTL_MS);

/** A step that finds a foreign value fails with words that say what to change, and is well when that is gone. */
async function expectRefusal(key: string, step: () => Promise<unknown>): Promise<void> {
  await server.cli('rpush', key, 'foreign');
  await expect(step()).rejects.toMatchObject({ code: 'RPCB_STORE', message: /redis\.prefix/ });
  expect(store.health()).toMatchObject({ connected: true, problem: expect.stringContaining('redis.prefix') });
  await server.cli('del', key);
  await step();
  expect(store.health().problem).toBeNull();
}

describe('beat', () => {
  test('lets all of its keys live as long as the gateway, and no longer', async () => {
    await beat();
    await expectTtl(GATEWAYS, TTL_MS);
    await expectTtl(BEATS, TTL_MS);
    await expectTtl(USAGES, TTL_MS);
    expect(await server.cli('hget', BEATS, 'anna')).toBe('told');
    const [seconds] = ([] as unknown[]).concat(await server.cli('time'));
    const until = Number(await server.cli('zscore', GATEWAYS, 'anna'));
    expect(until - Number(seconds) * 1000).toBeGreaterThan(TTL_MS - 5000);
    expect(until - Number(seconds) * 1000).toBeLessThanOrEqual(TTL_MS + 1000);
  });

  test('of sidecars lives under the cluster, as long as the last of them', async () => {
    await store.attend('anna', 'told', TTL_MS);
    await expectTtl(SIDECARS, TTL_MS);
    await expectTtl(SIDECAR_BEATS, TTL_MS);
    expect(await server.cli('hget', SIDECAR_BEATS, 'anna')).toBe('told');
  });

  test('removes whose life is over, and nobody else', async () => {
    await beat('anna');
    await beat('bert');
    await server.cli('zadd', GATEWAYS, 1, 'anna');
    expect(await beat('carl')).toEqual({ known: true, others: { bert: 'told' } });
    expect(await server.cli('hexists', BEATS, 'anna')).toBe(0);
    expect(await server.cli('hexists', USAGES, 'anna')).toBe(0);
    expect(await server.cli('zscore', GATEWAYS, 'anna')).toBeNull();
  });

  test('writes no content that it was not given', async () => {
    await beat('anna', 'first');
    for (const key of [BEATS, USAGES]) await server.cli('hset', key, 'anna', 'changed meanwhile');
    await beat('anna', null, null);
    for (const key of [BEATS, USAGES])
      expect(await server.cli('hget', key, 'anna')).toBe('changed meanwhile');
  });

  test('asks for the content after the loss of all data', async () => {
    await beat();
    await server.cli('flushall');
    expect(await beat('anna', null)).toEqual({ known: false, others: {} });
    expect(await beat('anna', 'told')).toEqual({ known: true, others: {} });
  });

  test.each([GATEWAYS, BEATS, USAGES])('fails on a foreign value in %s', async (key) => {
    await expectRefusal(key, () => beat());
  });
});

describe('readUsages', () => {
  test('counts lives by the clock of the server, also before the next beat has removed the dead', async () => {
    await beat('anna');
    await beat('bert');
    await server.cli('zadd', GATEWAYS, 1, 'anna');
    await server.cli('hset', USAGES, 'bert', 'of bert');
    expect(await store.readUsages('main')).toEqual(['of bert']);
  });

  test.each([GATEWAYS, USAGES])('meets a foreign value in %s with words', async (key) => {
    await beat();
    await server.cli('del', key);
    await expectRefusal(key, () => store.readUsages('main'));
  });
});

describe('report', () => {
  test('lets the reports expire after the last of them', async () => {
    await store.report('main', reportOf('anna'), 5000);
    await store.report('main', reportOf('anna'), TTL_MS);
    await expectTtl(REPORTS, TTL_MS);
  });

  test('fails on a foreign value', async () => {
    await expectRefusal(REPORTS, () => store.report('main', reportOf('anna'), TTL_MS));
  });
});

describe('readReports', () => {
  test('counts the age of a report by the clock of the server', async () => {
    const [seconds] = ([] as unknown[]).concat(await server.cli('time'));
    const id = `${(Number(seconds) - 10) * 1000}-0`;
    await server.cli('xadd', REPORTS, id, 'doc', 'x');
    const [stored] = await store.readReports('main', null);
    expect(stored).toMatchObject({ id, text: 'x' });
    expect(stored?.ageMs).toBeGreaterThanOrEqual(10_000);
    expect(stored?.ageMs).toBeLessThan(20_000);
  });

  test('goes on after the loss of all data with what came since', async () => {
    await store.report('main', reportOf('anna'), TTL_MS);
    const [before] = await store.readReports('main', null);
    await server.cli('flushall');
    expect(await store.readReports('main', before?.id ?? null)).toEqual([]);
    await store.report('main', reportOf('bert'), TTL_MS);
    expect(await store.readReports('main', before?.id ?? null)).toHaveLength(1);
  });

  test('fails on a foreign value', async () => {
    await expectRefusal(REPORTS, () => store.readReports('main', null));
  });
});

describe('takeTrial', () => {
  const take = (holder = 'anna', ttlMs = TTL_MS) =>
    store.takeTrial('main', { upstream: 'a', turn: 'usual', holder }, ttlMs);

  test('writes the holder with its expiry', async () => {
    expect(await take()).toBe(0);
    expect(await server.cli('get', TRIAL)).toBe('anna');
    await expectTtl(TRIAL, TTL_MS);
  });

  test('leaves holder and expiry of another as they are', async () => {
    await take('anna', 10_000);
    expect(await take('bert', 500_000)).toBeLessThanOrEqual(10_000);
    expect(await server.cli('get', TRIAL)).toBe('anna');
    await expectTtl(TRIAL, 10_000);
  });

  test('fails on a foreign value', async () => {
    await expectRefusal(TRIAL, () => take());
  });
});
