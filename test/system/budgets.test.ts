import { expect, onTestFinished, test } from 'vitest';
import type { FakeNode } from '../kit/fake-node.ts';
import { agreed, createCluster, upstreamIn } from './cluster.ts';
import { redisServer } from './programs.ts';
import { idOf, readThrough, startChain, upstreamsOf } from './upstreams.ts';

const READS_EACH = 20;

/** Probed once, so that it is known exactly what was sent; ranked three times within the age of a ranking. */
const PROBE = { interval: '1h', timeout: '10s', attempts: 1 } as const;

async function startNodes(): Promise<FakeNode[]> {
  const nodes = await startChain({}, {});
  onTestFinished(() => Promise.all(nodes.map((node) => node.stop())).then(() => {}));
  return nodes;
}

test('three replicas and a sidecar tell the sum of what they sent, without that of a replica that was killed', async () => {
  const nodes = await startNodes();
  const networks = { net: { probe: PROBE, maxLagBlocks: 1000, upstreams: upstreamsOf(nodes) } };
  const { url } = await redisServer();
  // The lease outlasts every halt of a machine: another tenure would probe anew.
  const sidecar = { leaseTtl: '1m', rankingMaxAge: '3s' };
  const trio = createCluster({ redis: { url }, sidecar, networks });
  onTestFinished(() => trio.stop());
  await Promise.all([trio.addSidecar(), ...[1, 2, 3].map(() => trio.addGateway())]);
  await trio.wellEverywhere();
  expect(await readThrough(trio.gateways, 'net', READS_EACH)).toEqual([]);

  /** Every replica tells of each node what it has counted itself, less what is to be missing. */
  const all = (missing: readonly number[]) =>
    agreed('all replicas to tell the sum', async () => {
      for (const status of await trio.networks('net')) {
        const used = nodes.map((_, at) => upstreamIn(status, idOf(at)).budget?.attempts);
        expect(used).toEqual(nodes.map((node, at) => node.hits() - (missing[at] ?? 0)));
      }
    });
  await all([0, 0]);
  const probes = nodes.reduce((sum, node) => sum + node.hits() - node.reads, 0);
  expect(probes).toBeGreaterThan(0);
  expect(nodes.reduce((sum, node) => sum + node.reads, 0)).toBe(3 * READS_EACH);

  const [victim] = trio.gateways;
  const [status] = await trio.networks('net');
  if (!victim || !status) throw new Error('there are three');
  const sent = nodes.map((_, at) => upstreamIn(status, idOf(at)).requests);
  expect(sent.reduce((sum, count) => sum + count, 0)).toBe(READS_EACH);
  await trio.kill(victim);
  await all(sent);
});
