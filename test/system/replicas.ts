// Decides: how a system test runs replicas of a gateway in its own process, over a real Redis and real sockets.
// Must not know: what is asserted. Cheaper than programs where a replica need not die.
import { setTimeout as delay } from 'node:timers/promises';
import Fastify from 'fastify';
import { onTestFinished } from 'vitest';
import {
  type RpcBalancer,
  rpcBalancer,
  type UpstreamStatus,
} from '../../packages/gateway-plugin/src/index.ts';
import type { RedisServer } from '../kit/redis.ts';
import type { Networks } from './cluster.ts';
import { addressOf } from './upstreams.ts';

export interface Replica {
  readonly balancer: RpcBalancer;
  /** Messages of the log that concern an exclusion, in their order. */
  readonly exclusions: readonly string[];
  upstream(id: string): UpstreamStatus;
  metrics(): Promise<string>;
}

export interface ReplicaOptions {
  readonly redis: Pick<RedisServer, 'url'>;
  readonly net: Networks[string];
}

/** A gateway of network `net` without sidecars, which ends with the test. */
export async function startReplica({ redis, net }: ReplicaOptions): Promise<Replica> {
  const exclusions: string[] = [];
  const note = ({ upstream }: Readonly<Record<string, unknown>>, message: string) => {
    if (/^(ejected|admitted)/.test(message))
      exclusions.push(`${String(upstream)} ${message.split(/[ :]/)[0]}`);
  };
  const app = Fastify({ logger: false });
  const config = { redis: { url: redis.url }, networks: { net: { probe: 'off', ...net } } } as const;
  const logger = { debug: () => {}, info: note, warn: note, error: note };
  await app.register(rpcBalancer, { config, logger, ops: '/ops' });
  await app.ready();
  onTestFinished(async () => {
    await app.close();
  });
  return {
    balancer: app.rpcBalancer,
    exclusions,
    upstream(id) {
      const found = app.rpcBalancer.status().networks.net?.upstreams.find((one) => one.id === id);
      if (!found) throw new Error(`there is no upstream ${id}`);
      return found;
    },
    metrics: async () => (await app.inject('/ops/metrics')).body,
  };
}

export interface Reading {
  /** Of each replica: reads that failed. */
  readonly failures: readonly string[][];
  /** Durations of the reads that ended since the last call of this, in ms, the shortest first. */
  lap(): number[];
  stop(): Promise<void>;
}

/** Reads through the replicas in turn at a steady rate, until stopped; the test's end stops it, too. */
export function startReading(replicas: readonly Replica[], ratePerS: number): Reading {
  const failures: string[][] = replicas.map(() => []);
  const running = new Set<Promise<void>>();
  let durations: number[] = [];
  let stopped = false;

  async function read(index: number): Promise<void> {
    const at = index % replicas.length;
    const begunAt = performance.now();
    try {
      await replicas[at]?.balancer.call('net', 'eth_getBalance', [addressOf(index % 1000), 'latest']);
    } catch (error) {
      failures[at]?.push(String(error));
    }
    durations.push(performance.now() - begunAt);
  }

  async function loop(): Promise<void> {
    const everyMs = 1000 / ratePerS;
    let dueAt = performance.now();
    for (let index = 0; !stopped; index++) {
      // After a halt of this machine it goes on at the rate: a burst would be another test.
      dueAt = Math.max(dueAt + everyMs, performance.now() - everyMs);
      const earlyMs = dueAt - performance.now();
      if (earlyMs > 1) await delay(earlyMs);
      const one: Promise<void> = read(index).finally(() => running.delete(one));
      running.add(one);
    }
    await Promise.all(running);
  }

  const ended = loop();
  const stop = () => {
    stopped = true;
    return ended;
  };
  onTestFinished(stop);
  return {
    failures,
    lap() {
      const lap = durations.toSorted((a, b) => a - b);
      durations = [];
      return lap;
    },
    stop,
  };
}
