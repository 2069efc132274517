// Decides: how tests start a master with a replica under a Sentinel, and a Redis Cluster.
// Must not know: what is stored in them.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { temporaryDirectory } from './paths.ts';
import { freePort } from './ports.ts';
import { type RedisServer, startRedis } from './redis.ts';
import { launchRedis } from './redis-launch.ts';
import { waitFor } from './wait.ts';

/** The bus of a Cluster node listens 10000 above its port. */
const CLUSTER_PORT_MAX = 65_535 - 10_000;

const SLOTS = 16_384;

export interface Sentinel {
  readonly port: number;
  /** host:port, as the configuration takes it. */
  readonly address: string;
  readonly name: string;
  stop(): Promise<void>;
}

export interface SentinelOptions {
  readonly master: RedisServer;
  readonly name?: string;
  readonly port?: number;
}

/** One Sentinel that decides alone; resolves when it knows the master and its replicas. */
export async function startSentinel({
  master,
  name = 'main',
  ...options
}: SentinelOptions): Promise<Sentinel> {
  const port = options.port ?? (await freePort());
  const dir = temporaryDirectory();
  const file = join(dir, 'sentinel.conf');
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${dir}`,
    `sentinel monitor ${name} 127.0.0.1 ${master.port} 1`,
    `sentinel down-after-milliseconds ${name} 500`,
    `sentinel failover-timeout ${name} 2000`,
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  const sentinel = await launchRedis([file, '--sentinel'], dir);
  const replicas = async (): Promise<boolean> => {
    const wanted = /connected_slaves:(\d+)/.exec(String(await master.cli('info', 'replication')))?.[1];
    const known = await ask(port, 'sentinel', 'replicas', name);
    return Array.isArray(known) && known.length === Number(wanted);
  };
  await waitFor(replicas, { what: 'the Sentinel to know the replicas', timeoutMs: 20_000, everyMs: 100 });
  return { port, address: `127.0.0.1:${port}`, name, stop: () => sentinel.end('SIGTERM') };
}

/** A replica of this master that has its data. */
export async function startReplica(master: RedisServer): Promise<RedisServer> {
  const replica = await startRedis({ args: ['--replicaof', '127.0.0.1', String(master.port)] });
  const synced = async () => /master_link_status:up/.test(String(await replica.cli('info', 'replication')));
  await waitFor(synced, { what: 'the replica to be in sync', timeoutMs: 20_000 });
  return replica;
}

export interface RedisCluster {
  /** host:port of each master, as the configuration takes it. */
  readonly addresses: readonly string[];
  readonly nodes: readonly RedisServer[];
  stop(): Promise<void>;
}

/** Three masters; resolves when each of them serves all slots. */
export async function startRedisCluster(masterCount = 3): Promise<RedisCluster> {
  const ports: number[] = [];
  while (ports.length < masterCount) {
    const port = await freePort();
    if (port <= CLUSTER_PORT_MAX) ports.push(port);
  }
  const args = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000'];
  const nodes = await Promise.all(ports.map((port) => startRedis({ port, args })));
  await Promise.all(
    nodes.map((node, index) => {
      const from = Math.floor((index * SLOTS) / masterCount);
      const to = Math.floor(((index + 1) * SLOTS) / masterCount);
      const slots = Array.from({ length: to - from }, (_, slot) => from + slot);
      return node.cli('cluster', 'addslots', ...slots);
    }),
  );
  const [first] = nodes;
  for (const node of nodes.slice(1)) await first?.cli('cluster', 'meet', '127.0.0.1', node.port);
  const whole = async (): Promise<boolean> => {
    const texts = await Promise.all(nodes.map(async (node) => String(await node.cli('cluster', 'info'))));
    return texts.every(
      (text) => text.includes('cluster_state:ok') && text.includes(`cluster_known_nodes:${masterCount}`),
    );
  };
  await waitFor(whole, { what: 'the Cluster to be whole', timeoutMs: 30_000, everyMs: 50 });
  return {
    addresses: ports.map((port) => `127.0.0.1:${port}`),
    nodes,
    async stop() {
      await Promise.all(nodes.map((node) => node.stop()));
    },
  };
}

/** Moves the slot of this key from its shard to the next, key by key, as an operator does. */
export async function moveSlot({ nodes }: RedisCluster, key: string): Promise<void> {
  const [first] = nodes;
  const slot = Number(await first?.cli('cluster', 'keyslot', key));
  const ids = await Promise.all(nodes.map(async (node) => String(await node.cli('cluster', 'myid'))));
  const from = Math.floor((slot * nodes.length) / SLOTS);
  const to = (from + 1) % nodes.length;
  const [source, target] = [nodes[from], nodes[to]];
  if (!source || !target) throw new TypeError('both are shards of the Cluster');
  await target.cli('cluster', 'setslot', slot, 'importing', String(ids[from]));
  await source.cli('cluster', 'setslot', slot, 'migrating', String(ids[to]));
  const keysLeft = async (): Promise<string[]> =>
    [await source.cli('cluster', 'getkeysinslot', slot, 100)].flat().map(String);
  for (let left = await keysLeft(); left.length > 0; left = await keysLeft()) {
    await source.cli('migrate', '127.0.0.1', target.port, '', 0, 5000, 'replace', 'keys', ...left);
  }
  for (const node of [target, source, ...nodes]) {
    await node.cli('cluster', 'setslot', slot, 'node', String(ids[to]));
  }
  const isThere = async () => (await target.cli('exists', key)) === 1;
  await waitFor(isThere, { what: `${key} at its new shard` });
}

async function ask(port: number, command: string, ...args: readonly string[]): Promise<unknown> {
  const client = new Redis({ port, lazyConnect: true, enableReadyCheck: false, retryStrategy: null });
  client.on('error', () => {}); // The call itself rejects.
  try {
    await client.connect();
    return await client.call(command, ...args);
  } finally {
    client.disconnect();
  }
}
