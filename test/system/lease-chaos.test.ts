// Whatever befalls sidecars and Redis, every gateway sees one publisher at a time, in order.
import { expect, test } from 'vitest';
import { eventsChannel, networkKeys } from '../../packages/shared/src/wire/keys.ts';
import { createRandom } from '../kit/clock.ts';
import type { Gateway } from '../kit/gateway.ts';
import type { RedisServer } from '../kit/redis.ts';
import type { Sidecar } from '../kit/sidecar.ts';
import type { TcpPath } from '../kit/tcp-path.ts';
import { waitFor } from '../kit/wait.ts';
import { wreak } from './chaos.ts';
import { fakeNode, gateway, isLong, PROBE, redisServer, sidecar } from './programs.ts';
import { tcpPath } from './tcp-path.ts';
import { instanceOf, watchRankings } from './watch.ts';

const NAMES = { prefix: 'rpcb', clusterId: 'default' };
const LEASE = networkKeys(NAMES, 'main').lease;

const LOOK_MS = 50;

interface Staged {
  readonly redis: RedisServer;
  readonly config: (url?: string) => object;
  readonly gateways: readonly Gateway[];
}

async function stage(leaseTtlMs: number, gatewayCount = 1): Promise<Staged> {
  const [node, redis] = await Promise.all([fakeNode({ blockTimeMs: 500 }), redisServer()]);
  const config = (url = redis.url) => ({
    redis: { url },
    // So long that a ranking in an old dump would still be read.
    sidecar: { leaseTtl: leaseTtlMs, rankingMaxAge: '10m' },
    networks: { main: { probe: PROBE, upstreams: [{ id: 'geth-a', url: node.url }] } },
  });
  const start = () => gateway({ config: config() });
  return { redis, config, gateways: await Promise.all(Array.from({ length: gatewayCount }, start)) };
}

const ranking = async (one: Gateway) => (await one.status()).networks.main.ranking;

/** Waits until every gateway believes this sidecar; gives the epoch. */
async function publishes(one: Sidecar, gateways: readonly Gateway[]): Promise<number> {
  const rankings = () => Promise.all(gateways.map(ranking));
  const agreed = await waitFor(
    async () => {
      const seen = await rankings();
      return seen.every((each) => each?.publisher === instanceOf(one)) && seen;
    },
    { what: `${instanceOf(one)} to publish` },
  );
  return agreed[0].epoch;
}

/** When this sidecar took the lease with this epoch, as its log says, epoch ms; null: it did not. */
function tookAt(one: Sidecar, epoch: number): number | null {
  const line = new RegExp(`"time":"([^"]+)"[^\\n]*"epoch":${epoch},[^\\n]*holds the lease and publishes`);
  const at = line.exec(one.output)?.[1];
  return at === undefined ? null : Date.parse(at);
}

const ofMain = async (one: Sidecar) => (await one.status()).networks[0];

test('no gateway ever goes back while publishers are killed and paused and Redis loses its data', {
  timeout: 150_000,
}, async () => {
  const seed = 20_240_601;
  const ttlMs = 1000;
  const { redis, config, gateways } = await stage(ttlMs, 3);
  const random = createRandom(seed);
  const start = () =>
    sidecar({ config: config(), runtime: random() < 0.5 ? 'bun' : 'node', timeoutMs: 60_000 });
  const sidecars = await Promise.all([start(), start(), start(), start(), start()]);
  const watch = watchRankings(gateways, 'main', LOOK_MS);
  await waitFor(() => watch.last.every((belief) => belief !== null), { what: 'the first ranking' });

  const { counts, all } = await wreak({
    ...{ durationMs: isLong ? 60_000 : 30_000, ttlMs, random, sidecars, start, redis },
    publisher: () => watch.last[0]?.publisher,
  });

  const lastEpoch = Math.max(...watch.publishers.keys());
  const alive = new Set(sidecars.map(instanceOf));
  await waitFor(
    () =>
      new Set(watch.last.map((belief) => belief?.epoch)).size === 1 &&
      watch.last.every((belief) => belief && alive.has(belief.publisher) && belief.epoch >= lastEpoch),
    { what: 'all gateways to believe one of the living' },
  );
  await watch.stop();
  const epochs = [...watch.publishers.keys()];
  const fenced = all.filter(({ output }) => output.includes('"end":"fenced"'));
  expect(watch.wrong, `seed ${seed}`).toEqual([]);
  expect(epochs.length).toBeGreaterThan(5);
  expect(Math.min(counts.kills, counts.pauses, counts.flushes, counts.restores)).toBeGreaterThan(0);
  expect(fenced.length).toBeGreaterThan(0);
});

test('each killed publisher is followed by one other, with a higher epoch', {
  timeout: 120_000,
}, async () => {
  const ttlMs = 2000;
  const { config, gateways } = await stage(ttlMs, 3);
  const waiting = [await sidecar({ config: config() }), await sidecar({ config: config() })];
  let epoch = 0;
  for (let round = 0; round < 3; round++) {
    const [publisher] = await waitFor(
      async () => {
        const { publisher: name } = await ranking(gateways[0] as Gateway); // There are three.
        const found = waiting.filter((one) => instanceOf(one) === name);
        return found.length > 0 && found;
      },
      { what: 'a publisher' },
    );
    if (publisher === undefined) throw new TypeError('one was found');
    epoch = Math.max(epoch, await publishes(publisher, gateways));
    waiting.splice(waiting.indexOf(publisher), 1);
    waiting.push(await sidecar({ config: config() }));
    await publisher.kill();
    const next = await waitFor(
      async () => {
        const seen = await Promise.all(gateways.map(ranking));
        return seen.every((each) => each.epoch > epoch) && seen;
      },
      { what: 'the next epoch', everyMs: LOOK_MS },
    );
    expect(new Set(next.map((each) => each.epoch)).size).toBe(1);
    expect(waiting.filter((one) => tookAt(one, next[0].epoch) !== null)).toHaveLength(1);
  }
});

test('a publisher that is asked to stop hands over at once', async () => {
  // Far longer than is waited below, also for the next question by itself.
  const { config, gateways } = await stage(300_000);
  const leaving = await sidecar({ config: config() });
  const epoch = await publishes(leaving, gateways);
  const following = await sidecar({ config: config() });
  await following.process.waitForOutput(/listening/);
  await waitFor(async () => (await following.status()).store.connected, { what: 'its connection to Redis' });
  const stopped = leaving.stop();
  expect(await publishes(following, gateways)).toBeGreaterThan(epoch);
  expect(await stopped).toEqual({ code: 0, signal: null });
});

test('a publisher that was paused while its lease went to another is fenced when it wakes', async () => {
  // So long that no renewal comes in between: the sleeper believes in its lease until Redis refuses it.
  const { config, gateways, redis } = await stage(60_000);
  const sleeper = await sidecar({ config: config() });
  const epoch = await publishes(sleeper, gateways);
  const other = await sidecar({ config: config() });
  await waitFor(async () => (await other.status()).store.connected, { what: 'its connection to Redis' });
  sleeper.process.kill('SIGSTOP');
  await redis.cli('flushall');
  await redis.cli('publish', eventsChannel(NAMES), JSON.stringify({ type: 'released', network: 'main' }));
  const next = await publishes(other, gateways);
  expect(next).toBeGreaterThan(epoch);
  sleeper.process.kill('SIGCONT');
  await waitFor(async () => (await ofMain(sleeper)).fencedCount === 1, { what: 'the refusal' });
  expect(await sleeper.metrics()).toContain('rpc_balancer_sidecar_fenced_total{network="main"} 1');
  await waitFor(async () => (await ofMain(sleeper)).state === 'waiting', { what: 'the end of its work' });
  const [owner = '', held] = String(await redis.cli('get', LEASE)).split('|');
  expect([owner.startsWith(`${instanceOf(other)}/`), Number(held)]).toEqual([true, next]);
  expect((await ranking(gateways[0] as Gateway)).epoch).toBe(next);
});

const LOSSES: readonly { readonly how: string; lose(path: TcpPath): void; mend(path: TcpPath): void }[] = [
  { how: 'gets no answer from', lose: (path) => path.hold(), mend: (path) => path.release() },
  { how: 'is cut off from', lose: (path) => path.cut(), mend: (path) => path.mend() },
];

test.each(LOSSES)(
  'a publisher that alone $how Redis stops before another begins, and nothing of it counts later',
  async ({ lose, mend }) => {
    // It stops a tenth before the end, which is more than this process is late to see what it sends.
    const { config, gateways, redis } = await stage(6000);
    const path = await tcpPath(redis.port, '"upstreams"');
    const cutOff = await sidecar({ config: config(`redis://127.0.0.1:${path.port}`) });
    const epoch = await publishes(cutOff, gateways);
    const other = await sidecar({ config: config() });
    const watch = watchRankings(gateways, 'main', LOOK_MS);

    lose(path);
    const holdings = await waitFor(
      async () => {
        // In this order: who has it now, and who still believes so a moment later.
        const now = (await ofMain(other)).state;
        const still = (await ofMain(cutOff)).state;
        return now === 'holder' && still;
      },
      { what: 'the other to take over' },
    );
    expect(holdings).toBe('waiting');
    const { epoch: nextEpoch } = await ofMain(other);
    expect(path.lastSentAt()).toBeGreaterThan(0);
    expect(path.lastSentAt()).toBeLessThan(tookAt(other, nextEpoch) ?? 0);

    const next = await publishes(other, gateways);
    mend(path);
    await waitFor(async () => (await cutOff.status()).store.connected, { what: 'its way back to Redis' });
    const isLater = () => watch.last.every((belief) => belief && belief.epoch >= next && belief.seq > 5);
    await waitFor(isLater, { what: 'more rankings' });
    await watch.stop();
    expect(watch.wrong).toEqual([]);
    expect([...watch.publishers.keys()]).toEqual([epoch, next]);
  },
);
