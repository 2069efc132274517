// A Redis that may evict control keys is said so, and traffic goes on.
import { expect, test } from 'vitest';
import type { Program } from '../kit/program.ts';
import type { RedisServer } from '../kit/redis.ts';
import { waitFor } from '../kit/wait.ts';
import { callText, fakeNode, gateway, PROBE, post, redisServer, sidecar } from './programs.ts';

const RISK =
  'Redis may evict leases and epochs: its maxmemory-policy is allkeys-lru; set it to noeviction or volatile-*';

async function clusterOver(policy: string) {
  const [node, redis] = await Promise.all([
    fakeNode(),
    redisServer({ args: ['--maxmemory', '64mb', '--maxmemory-policy', policy] }),
  ]);
  const config = {
    redis: { url: redis.url },
    sidecar: { leaseTtl: '1s' },
    networks: { main: { probe: PROBE, upstreams: [{ id: 'geth-a', url: node.url }] } },
  };
  const [front, side] = await Promise.all([gateway({ config }), sidecar({ config })]);
  await waitFor(async () => (await front.ready()).body.networks.main.problems.length === 0, {
    what: 'a ranking',
  });
  await askedTwice(redis);
  return { front, side };
}

/** Cuts every connection, so that gateway and sidecar connect and look again, and waits until both have looked. */
async function askedTwice(redis: RedisServer): Promise<void> {
  const lookedAtLeast = (count: number) =>
    waitFor(
      async () =>
        Number(/cmdstat_info:calls=(\d+)/.exec(String(await redis.cli('info', 'commandstats')))?.[1]) >=
        count,
      { what: `${count} looks at the policy` },
    );
  // Our own look counts from the second time on.
  await lookedAtLeast(2);
  await redis.cli('config', 'resetstat');
  await redis.cli('client', 'kill', 'type', 'normal', 'skipme', 'yes');
  const looks = async () =>
    Number(/cmdstat_info:calls=(\d+)/.exec(String(await redis.cli('info', 'commandstats')))?.[1] ?? 0);
  let ours = 0;
  await waitFor(async () => (await looks()) - ours++ >= 2, { what: 'both to look at the policy again' });
}

const warnings = (one: Program): number => one.output.split(RISK).length - 1;
const metric = async (one: Program, name: string) =>
  new RegExp(`^${name} (\\d)$`, 'm').exec(await one.metrics())?.[1];
