// A sidecar takes on another configuration under the leases that it holds.
import { type Config, createMemoryStore, type Store } from '@rpc-balancer/shared';
import { expect, test } from 'vitest';
import { waitFor } from '../../../test/kit/wait.ts';
import { monotonicNow } from '../src/runtime.ts';
import { configOf, network, reasonsIn, stage, startNodes } from './stage.ts';

const configured = (id: string) => (ranking: { upstreams: readonly { id: string }[] }) =>
  ranking.upstreams.some((upstream) => upstream.id === id);

/** A sidecar that has published `main` over the first of three nodes, and a change of what it was given. */
async function startOne(change: (config: Config) => void = () => {}) {
  const nodes = await startNodes({}, {}, {});
  const config = configOf({ main: network(nodes.slice(0, 1)) });
  const staged = stage({ config });
  const first = await staged.ranked('the first ranking');
  change(config);
  return { ...staged, nodes, first };
}

test('a network that stays keeps its lease, and its rankings go on under the same epoch', async () => {
  const { sidecar, nodes, first, ranked, rankings } = await startOne();
  sidecar.reload(configOf({ main: network(nodes.slice(0, 2)) }));
  const next = await ranked('a ranking with b', configured('b'));
  await ranked('b to be probed', (ranking) => reasonsIn(ranking).b === null);
  expect(next.epoch).toBe(first.epoch);
  const seqs = rankings.map(({ seq }) => seq);
  expect(seqs).toEqual(seqs.map((_, at) => (seqs[0] ?? 0) + at));
  expect(sidecar.status().networks).toMatchObject([
    { state: 'holder', epoch: first.epoch, configHash: next.configHash },
  ]);
  expect(next.configHash).not.toBe(first.configHash);
});

test('a node that is configured no more is not probed any more, nor told of', async () => {
  const { sidecar, nodes, ranked } = await startOne();
  const [a, b] = nodes;
  sidecar.reload(configOf({ main: network([b ?? { url: '' }]) }));
  await ranked('a ranking after a whole round', ({ seq }) => seq > 3);
  const left = a?.hits();
  const { seq: seen } = await ranked('any ranking');
  await ranked('three more rankings', ({ seq }) => seq > seen + 3);
  expect(a?.hits()).toBe(left);
  sidecar.reload(configOf({ main: network([{ url: b?.url ?? '' }, { url: nodes[2]?.url ?? '' }]) }));
  await ranked('b as another node', configured('b'));
});

test('networks come and go, and each that goes gives its lease back and its metrics up', async () => {
  const { sidecar, nodes, store, ranked } = await startOne();
  const added = network(nodes.slice(1, 2));
  sidecar.reload(configOf({ main: network(nodes.slice(0, 1)), other: added }));
  await ranked('a ranking of the other network', () => true, 'other');
  sidecar.reload(configOf({ other: added }));
  await waitFor(() => store.acquire('main', 'somebody', 60_000), { what: 'the lease of main to be free' });
  expect(sidecar.status().networks.map(({ network: name }) => name)).toEqual(['other']);
  const tells = async () => (await sidecar.metrics()).includes('network="main"');
  await waitFor(async () => !(await tells()), { what: 'no metric of main' });
  expect(await sidecar.metrics()).toContain('lease_held{network="other"} 1');
});

test('a network whose probes are switched off and on again is published again', async () => {
  const { sidecar, nodes, first, ranked } = await startOne();
  sidecar.reload(configOf({ main: network(nodes.slice(0, 1), { probe: 'off' }) }));
  expect(sidecar.status().networks).toMatchObject([{ network: 'main', state: 'off' }]);
  sidecar.reload(configOf({ main: network(nodes.slice(0, 1)) }));
  await ranked('a ranking of a new epoch', ({ epoch }) => epoch > first.epoch);
});

test('a configuration that says the same of a network leaves its cycle alone', async () => {
  const { sidecar, nodes, ranked, rankings } = await startOne();
  sidecar.reload(configOf({ main: network(nodes.slice(0, 1)), other: network(nodes.slice(1, 2)) }));
  await ranked('a ranking of the other network', () => true, 'other');
  const { seq } = await ranked('any ranking');
  await ranked('three more rankings', (ranking) => ranking.seq > seq + 3);
  const main = rankings.filter(({ network: name }) => name === 'main');
  // A cycle that begins anew has no sample yet of anything.
  expect(main.flatMap(({ upstreams }) => upstreams.map(({ reason }) => reason))).not.toContain('unprobed');
});

test('a network that cannot be left properly is logged, and neither ends the process nor keeps the sidecar from its stop', async () => {
  const [node] = await startNodes({});
  if (!node) throw new TypeError('a node was started');
  const memory = createMemoryStore(monotonicNow);
  let fails = true;
  const store: Store = {
    ...memory,
    subscribe(listener) {
      const unsubscribe = memory.subscribe(listener);
      return () => {
        unsubscribe();
        if (fails) {
          fails = false;
          throw new Error('still subscribed');
        }
      };
    },
  };
  const { sidecar, ranked, logged } = stage({ config: configOf({ main: network([node]) }), store });
  await ranked('the first ranking');
  sidecar.reload(configOf({ other: network([node]) }));
  await sidecar.stop();
  expect(logged.filter((line) => line.includes('still subscribed'))).toHaveLength(1);
});
