import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { FakeNode } from '../kit/fake-node.ts';
import { type RedisServer, startRedis } from '../kit/redis.ts';
import { agreed, type Networks, PATIENT_PROBE, startTrio, type Trio, upstreamIn } from './cluster.ts';
import { BLOCK_MS, idOf, readThrough, startChain, upstreamsOf } from './upstreams.ts';

const BEHIND_BLOCKS = 1000;
const READS = 20;

interface Row {
  readonly network: string;
  readonly what: string;
  readonly start: () => Promise<FakeNode[]>;
  /** The last node stays well; what is said of the others, by position. */
  readonly goBad: (nodes: readonly FakeNode[]) => Promise<void>;
  readonly reasons: readonly (readonly (string | null)[])[];
}

/** Two nodes, of which the first goes bad. */
function pair(
  network: string,
  what: string,
  reasons: readonly string[],
  goBad: (node: FakeNode) => void | Promise<void>,
): Row {
  return {
    network,
    what,
    start: () => startChain({}, {}),
    goBad: async ([bad]) => {
      if (bad) await goBad(bad);
    },
    reasons: [reasons],
  };
}

const ROWS: readonly Row[] = [
  pair('lies', 'one of two upstreams lies about its head', ['suspect'], (bad) => {
    bad.mode = 'lie';
  }),
  pair('stands', 'one of two upstreams stands still', ['stalled', 'lagging'], (bad) => {
    bad.mode = 'frozen';
  }),
  pair('dies', 'one of two upstreams dies', ['unreachable', 'ejected'], (bad) => bad.kill()),
  {
    network: 'behind',
    what: 'one of three upstreams is dead and one far behind but moving',
    start: () => startChain({}, { now: () => Date.now() - BEHIND_BLOCKS * BLOCK_MS }, {}),
    goBad: async ([dead]) => dead?.kill(),
    reasons: [['unreachable', 'ejected'], ['lagging']],
  },
];

describe('when nodes are few', () => {
  const nodes = new Map<string, FakeNode[]>();
  let redis: RedisServer;
  let trio: Trio;

  beforeAll(async () => {
    redis = await startRedis();
    for (const { network, start } of ROWS) nodes.set(network, await start());
    trio = await startTrio(networks(), { redis });
  });

  afterAll(async () => {
    await trio?.stop();
    await redis?.stop();
    await Promise.all([...nodes.values()].flat().map((node) => node.stop()));
  });

  const networks = (): Networks =>
    Object.fromEntries(
      ROWS.map(({ network }) => [
        network,
        { probe: PATIENT_PROBE, upstreams: upstreamsOf(nodes.get(network) ?? []) },
      ]),
    );

  /** The last node alone is eligible, and never was anything else; every read comes from it and is right. */
  async function lastOneServes({ network, reasons }: Row): Promise<void> {
    const all = nodes.get(network) ?? [];
    const goodId = idOf(all.length - 1);
    const seen = new Set<string | null>();
    await agreed(`every replica to leave all but ${goodId}`, async () => {
      const statuses = await trio.networks(network);
      for (const status of statuses) seen.add(upstreamIn(status, goodId).reason);
      for (const status of statuses) {
        expect(upstreamIn(status, goodId).reason).toBe(null);
        for (const [at, accepted] of reasons.entries()) {
          expect(accepted).toContain(upstreamIn(status, idOf(at)).reason);
        }
      }
    });
    expect([...seen].filter((reason) => reason !== null && reason !== 'unprobed')).toEqual([]);

    const before = all.map(({ reads }) => reads);
    expect(await readThrough(trio.gateways, network, READS)).toEqual([]);
    const served = all.map(({ reads }, at) => reads - (before[at] ?? 0));
    expect(served).toEqual(all.map((_, at) => (at === all.length - 1 ? READS * trio.gateways.length : 0)));
  }

  const epochs = async () => {
    const all = await Promise.all(ROWS.map(({ network }) => trio.networks(network)));
    return all.flat().map(({ ranking }) => ranking?.epoch ?? 0);
  };

  describe('while it runs', () => {
    beforeAll(async () => {
      for (const { network } of ROWS) {
        await trio.reason(network, 'a', null);
        await trio.reason(network, idOf((nodes.get(network)?.length ?? 1) - 1), null);
      }
      await Promise.all(ROWS.map(({ network, goBad }) => goBad(nodes.get(network) ?? [])));
    });

    test.each(ROWS)('the good one serves when $what', lastOneServes);
  });

  describe('after Redis has lost all its data', () => {
    beforeAll(async () => {
      const before = await epochs();
      await redis.cli('FLUSHALL');
      await agreed('every network to be published anew', async () => {
        for (const [at, epoch] of (await epochs()).entries()) expect(epoch).toBeGreaterThan(before[at] ?? 0);
      });
    });

    test.each(ROWS)('the good one goes on to serve when $what', lastOneServes);
  });

  describe('after a fresh start of everything over an empty Redis', () => {
    beforeAll(async () => {
      await trio.stop();
      await redis.cli('FLUSHALL');
      trio = await startTrio(networks(), { redis });
    });

    test.each(ROWS)('the good one serves from the start when $what', lastOneServes);
  });
});
