// A drain that was said to one replica holds for all of them, over restarts and over the loss of everything in Redis.
import { describe, expect, onTestFinished, test } from 'vitest';
import type { FakeNode } from '../../../test/kit/fake-node.ts';
import { type RedisServer, startRedis } from '../../../test/kit/redis.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import { configOf, type Front, startFront, startNodes } from './front.ts';

const DRAINS = 'rpcb:{default:net}:drains';

/** The replicas look for drains every two seconds by themselves: so many changes would then take longer than a test may. */
const CHANGES = 60;

interface Stage {
  readonly redis: RedisServer;
  readonly nodes: readonly FakeNode[];
  addReplica(): Promise<Front>;
}

async function startStage(): Promise<Stage> {
  const redis = await startRedis();
  onTestFinished(() => redis.stop());
  const nodes = await startNodes({}, {});
  const config = { ...configOf(nodes), redis: { url: redis.url } };
  return { redis, nodes, addReplica: () => startFront(nodes, { plugin: { config } }) };
}

async function startTrio() {
  const stage = await startStage();
  const replicas = await Promise.all([stage.addReplica(), stage.addReplica(), stage.addReplica()]);
  const [first, second, third] = replicas as [Front, Front, Front];
  return { ...stage, replicas, first, second, third };
}

const reasonOf = (front: Front) => front.upstream('a').reason;

async function all(replicas: readonly Front[], reason: 'drained' | null): Promise<void> {
  await Promise.all(replicas.map((front) => front.reason('a', reason)));
}

/** The words that Redis has, as one text. */
async function stored(redis: RedisServer): Promise<string> {
  return JSON.stringify(await redis.cli('hvals', DRAINS));
}

describe('three replicas', () => {
  test('a drain through one replica is seen by all at once, and so is its end through another', async () => {
    const { replicas, first, second, third, nodes } = await startTrio();
    await first.app.rpcBalancer.drain('net', 'a', { by: 'anna', reason: 'disk' });
    expect(reasonOf(first)).toBe('drained');
    await all(replicas, 'drained');
    expect(third.upstream('a').drained).toMatchObject({ by: 'anna', reason: 'disk' });
    for (const front of replicas) expect((await front.call('eth_gasPrice')).status).toBe(200);
    expect(nodes.map((node) => node.hits())).toEqual([0, 3]);
    await second.app.rpcBalancer.undrain('net', 'a');
    await all(replicas, null);
    for (let change = 0; change < CHANGES / 2; change++) {
      await first.app.rpcBalancer.drain('net', 'a');
      await all(replicas, 'drained');
      await second.app.rpcBalancer.undrain('net', 'a');
      await all(replicas, null);
    }
  });

  test('a drain outlives all gateways: those that start later give the node not one request', async () => {
    const { replicas, first, nodes, addReplica } = await startTrio();
    await first.app.rpcBalancer.drain('net', 'a');
    await Promise.all(replicas.map(({ app }) => app.close()));
    const next = await addReplica();
    expect(reasonOf(next)).toBe('drained');
    expect((await next.call('eth_gasPrice')).status).toBe(200);
    expect(nodes.map((node) => node.hits())).toEqual([0, 1]);
  });

  test('after FLUSHALL a drain is stored again by those who know it', async () => {
    const { redis, replicas, first, addReplica } = await startTrio();
    await first.app.rpcBalancer.drain('net', 'a', { reason: 'disk' });
    await all(replicas, 'drained');
    await redis.cli('flushall');
    await waitFor(async () => (await stored(redis)).includes('disk'), {
      what: 'the drain to be stored again',
    });
    expect(reasonOf(await addReplica())).toBe('drained');
    expect(replicas.map(reasonOf)).toEqual(['drained', 'drained', 'drained']);
  });

  test('a drain that was lifted does not come back, whatever Redis loses or remembers', async () => {
    const { redis, replicas, first, second } = await startTrio();
    await first.app.rpcBalancer.drain('net', 'a');
    const old = await redis.cli('hget', DRAINS, 'a');
    await all(replicas, 'drained');
    await second.app.rpcBalancer.undrain('net', 'a');
    await all(replicas, null);
    await redis.cli('flushall');
    await waitFor(async () => (await stored(redis)).includes('drained'), {
      what: 'the last word to be stored',
    });
    expect(await stored(redis)).not.toContain('\\"drained\\":true');
    await redis.cli('hset', DRAINS, 'a', String(old)); // As a restore of an old copy would.
    await waitFor(async () => !(await stored(redis)).includes('\\"drained\\":true'), {
      what: 'the later word to be stored over the old one',
    });
    expect(replicas.map(reasonOf)).toEqual([null, null, null]);
  });

  test('what two replicas say at the same moment ends as one word everywhere', async () => {
    const { replicas, first, second } = await startTrio();
    await Promise.all([
      first.app.rpcBalancer.drain('net', 'a'),
      second.app.rpcBalancer.undrain('net', 'a'),
      first.app.rpcBalancer.drain('net', 'b'),
      second.app.rpcBalancer.drain('net', 'b'),
    ]);
    await waitFor(() => new Set(replicas.map(reasonOf)).size === 1, { what: 'one word about a' });
    await Promise.all(replicas.map((front) => front.reason('b', 'drained')));
  });
});

describe('without Redis', () => {
  test('a drain holds here at once, is told as not stored, and is stored when Redis is back', async () => {
    const { redis, addReplica } = await startStage();
    const [first, second] = [await addReplica(), await addReplica()];
    await redis.kill();
    const draining = first.app.rpcBalancer.drain('net', 'a');
    expect(reasonOf(first)).toBe('drained');
    await expect(draining).rejects.toMatchObject({ code: 'RPCB_STORE' });
    expect([reasonOf(first), reasonOf(second)]).toEqual(['drained', null]);
    await redis.restart();
    await second.reason('a', 'drained', { timeoutMs: 20_000 });
  });

  test('a gateway starts without knowing the drains, and learns them when Redis comes', async () => {
    const { redis, addReplica } = await startStage();
    const before = await addReplica();
    await before.app.rpcBalancer.drain('net', 'a');
    await redis.kill();
    const after = await addReplica();
    expect(reasonOf(after)).toBeNull();
    await redis.restart();
    await after.reason('a', 'drained', { timeoutMs: 20_000 });
  });
});
