import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { type Anvil, startAnvil } from '../kit/anvil.ts';
import type { Gateway } from '../kit/gateway.ts';
import { agreed, LONG, PATIENT_PROBE, sidecarNetwork, startTrio, type Trio } from './cluster.ts';
import { type SteadyClient, startSteadyClient } from './steady-client.ts';
import { idOf, upstreamsOf } from './upstreams.ts';

const CHAIN_ID = 31_337;
const ROUNDS = Array.from({ length: LONG ? 5 : 1 }, (_, at) => at + 1);
const NODES = ROUNDS.flatMap((round) => [0, 1, 2].map((at) => ({ round, at, id: idOf(at) })));

/** The shortest with which the ranking survives a change of publisher. */
const RANKING_MAX_AGE = '6s';

const CLIENTS_PER_REPLICA = 2;

/** Reads of each client before and after a fault. */
const READS = 20;

const startNode = (port?: number): Promise<Anvil> =>
  startAnvil({ blockTimeS: 1, chainId: CHAIN_ID, ...(port !== undefined && { port }) });

describe('three replicas over Redis, three real nodes and two sidecars', () => {
  let nodes: Anvil[] = [];
  let trio: Trio;
  let killed: Set<Gateway>;
  let clients: SteadyClient[] = [];

  beforeAll(async () => {
    nodes = await Promise.all([startNode(), startNode(), startNode()]);
    trio = await startTrio(
      {
        net: {
          identity: String(CHAIN_ID),
          probe: PATIENT_PROBE,
          failTimeout: '1s',
          upstreams: upstreamsOf(nodes),
        },
      },
      { rankingMaxAge: RANKING_MAX_AGE },
    );
    await trio.wellEverywhere();
  });

  afterAll(async () => {
    await trio?.stop();
    await Promise.all(nodes.map((node) => node.stop()));
  });

  /** Clients on each replica, reading through the whole test. */
  beforeEach(async () => {
    killed = new Set();
    const places = Array.from({ length: CLIENTS_PER_REPLICA }, () => [...trio.gateways.keys()]).flat();
    clients = places.map((at) => startSteadyClient(trio.gateways, killed, 'net', at));
    onTestFinished(() => Promise.all(clients.map((client) => client.stop())).then(() => {}));
    await moreReads();
  });

  const moreReads = () => Promise.all(clients.map((client) => client.more(READS)));

  async function noReadFailed(lost = 0): Promise<void> {
    await moreReads();
    await Promise.all(clients.map((client) => client.stop()));
    expect(clients.flatMap(({ problems }) => problems)).toEqual([]);
    expect(clients.reduce((sum, client) => sum + client.lost, 0)).toBeLessThanOrEqual(lost);
  }

  const epochs = async () => (await trio.networks('net')).map(({ ranking }) => ranking?.epoch ?? 0);

  test.each(NODES)(
    'a killed node is missed by no client, and is back after its restart ($id, round $round)',
    async ({ at, id }) => {
      const node = nodes[at];
      const other = nodes[(at + 1) % nodes.length];
      if (!node || !other) throw new Error('there is no such node');
      await node.kill();
      await trio.reason('net', id, 'unreachable', 'ejected');
      await moreReads();

      const restarted = await startNode(node.port);
      nodes[at] = restarted;
      // It begins with an empty chain, so it has to catch up as a real one would.
      await restarted.mine(Number(await other.rpc('eth_blockNumber')));
      await trio.wellEverywhere();
      await noReadFailed();
    },
  );

  test.each(ROUNDS)(
    'a killed publisher is followed by the other sidecar, with a higher epoch (round %s)',
    async () => {
      const first = await trio.publisher('net');
      const before = (await sidecarNetwork(first, 'net')).epoch ?? 0;
      await trio.kill(first);
      await agreed('all replicas to have a ranking of the other sidecar', async () => {
        for (const epoch of await epochs()) expect(epoch).toBeGreaterThan(before);
      });
      const second = await trio.publisher('net');
      expect((await sidecarNetwork(second, 'net')).epoch).toBeGreaterThan(before);

      await trio.addSidecar();
      await trio.wellEverywhere();
      await noReadFailed();
    },
  );

  test.each(ROUNDS)(
    'a killed replica costs its clients what it had in flight, and nobody else anything (round %s)',
    async () => {
      const [victim] = trio.gateways;
      if (!victim) throw new Error('there is no replica');
      killed.add(victim);
      await trio.kill(victim);
      await moreReads();

      await trio.addGateway();
      await trio.wellEverywhere();
      await noReadFailed(CLIENTS_PER_REPLICA); // Each had at most one read in flight.
    },
  );

  test.each(
    ROUNDS.flatMap((round) => [
      { round, how: 'killed', lose: () => trio.redis.kill(), restore: () => trio.redis.restart() },
      { round, how: 'hanging', lose: () => trio.redis.pause(), restore: () => trio.redis.resume() },
    ]),
  )(
    'a $how Redis is missed by no client, is told by /ready, and is used again when it is back (round $round)',
    async ({ lose, restore }) => {
      await lose();
      await replicasSay('degraded', /redis\.url/);
      const before = await epochs();
      await moreReads();
      await agreed('no sidecar to hold a lease any more', async () => {
        for (const one of trio.sidecars) expect((await sidecarNetwork(one, 'net')).state).not.toBe('holder');
      });

      await restore();
      await replicasSay('ready', /^$/);
      await agreed('all replicas to have the ranking of a new lease', async () => {
        for (const [at, epoch] of (await epochs()).entries()) expect(epoch).toBeGreaterThan(before[at] ?? 0);
      });
      await trio.wellEverywhere();
      await noReadFailed();
    },
  );

  test.each(ROUNDS)(
    'the death of all sidecars is missed by no client, is told by /ready, and over with the next sidecar (round %s)',
    async () => {
      for (const sidecar of [...trio.sidecars]) await trio.kill(sidecar);
      await replicasSay('degraded', /publisher_missing.*start a sidecar/);
      await moreReads();

      await Promise.all([trio.addSidecar('bun'), trio.addSidecar('node')]);
      await trio.wellEverywhere();
      await replicasSay('ready', /^$/);
      await noReadFailed();
    },
  );

  /** Waits until /ready of every replica is 200 with this status, and its problems are of this kind. */
  const replicasSay = (status: string, problems: RegExp) =>
    agreed(`all replicas to be ${status}`, async () => {
      for (const { statusCode, body } of await Promise.all(trio.gateways.map((gateway) => gateway.ready()))) {
        expect({ statusCode, status: body.status }).toEqual({ statusCode: 200, status });
        expect([...body.problems, ...body.networks.net.problems].join('; ')).toMatch(problems);
      }
    });
});
