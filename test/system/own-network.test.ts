// A sidecar that loses its own way to the nodes takes none of them away from anybody.
import { expect, test } from 'vitest';
import type { Gateway } from '../kit/gateway.ts';
import { waitFor } from '../kit/wait.ts';
import { fakeNode, gateway, PROBE, redisServer, sidecar } from './programs.ts';
import { startReads } from './reads.ts';
import { tcpPath } from './tcp-path.ts';
import { instanceOf, watchRankings } from './watch.ts';

/** Three gateways that reach the nodes, and two sidecars, of which the first has a way of its own there. */
async function stage() {
  const [redis, ...nodes] = await Promise.all([
    redisServer(),
    fakeNode({ blockTimeMs: 250 }),
    fakeNode({ blockTimeMs: 250 }),
  ]);
  const paths = await Promise.all(nodes.map(({ port }) => tcpPath(port)));
  const config = (ports: readonly { readonly port: number }[]) => ({
    redis: { url: redis.url },
    sidecar: { leaseTtl: '2s', rankingMaxAge: '10m' },
    networks: {
      main: {
        probe: PROBE,
        upstreams: ports.map(({ port }, at) => ({ id: `node-${at}`, url: `http://127.0.0.1:${port}` })),
      },
    },
  });
  const gateways = await Promise.all(Array.from({ length: 3 }, () => gateway({ config: config(nodes) })));
  const blind = await sidecar({ config: config(paths) });
  const watch = watchRankings(gateways, 'main', 50);
  const believes = (instance: string) => () => watch.last.every((belief) => belief?.publisher === instance);
  await waitFor(believes(instanceOf(blind)), { what: 'the first publisher', timeoutMs: 20_000 });
  const seeing = await sidecar({ config: config(nodes) });
  await seeing.process.waitForOutput(/"msg":"the store is connected"/);
  return { paths, gateways, blind, seeing, watch, believes };
}

/** Every reason that a gateway ever gave for an upstream since the call, looked for until stopped. */
function watchReasons(gateways: readonly Gateway[]) {
  const seen = new Set<string>();
  let stopped = false;
  const looking = waitFor(
    async () => {
      for (const { networks } of await Promise.all(gateways.map((one) => one.status())))
        for (const { id, reason } of networks.main.upstreams)
          if (reason !== null) seen.add(`${id} ${reason}`);
      return stopped;
    },
    { what: 'the end of the test', timeoutMs: 60_000, everyMs: 20 },
  );
  return {
    async stop() {
      stopped = true;
      await looking;
      return [...seen];
    },
  };
}

test('a sidecar whose ways to the nodes are cut or swallow everything excludes none of them, and another publishes', {
  timeout: 60_000,
}, async () => {
  const { paths, gateways, blind, seeing, watch, believes } = await stage();
  const reads = startReads(gateways, 'main');
  await reads.more(20);
  const reasons = watchReasons(gateways);
  // Both ways swallow everything first, until no answer is under way: none comes after the other way is cut.
  for (const path of paths) path.hold();
  const published = async (): Promise<number> => (await blind.status()).networks[0].publishedCount;
  const count = await published();
  await waitFor(async () => (await published()) > count + 1, { what: 'the end of a round' });
  paths[0]?.cut();
  await waitFor(believes(instanceOf(seeing)), { what: 'the other to publish', timeoutMs: 20_000 });
  const seqs = watch.last.map((belief) => belief?.seq ?? 0);
  // Long enough to be handed a lease again, if anybody counted on it.
  const later = () => watch.last.every((belief, at) => (belief?.seq ?? 0) > (seqs[at] ?? 0) + 15);
  await waitFor(later, { what: 'more of its rankings', timeoutMs: 20_000 });
  expect(believes(instanceOf(seeing))()).toBe(true);
  expect(await reasons.stop()).toEqual([]);
  await watch.stop();
  expect(watch.wrong).toEqual([]);
  expect([...watch.publishers.values()]).toEqual([instanceOf(blind), instanceOf(seeing)]);
  expect(reads.problems).toEqual([]);
});
