// Decides: whether the sidecar probes the addresses that names have now, and ranks each of them.
import { describe, expect, onTestFinished, test } from 'vitest';
import { type FakeDns, startDns } from '../../../test/kit/dns.ts';
import type { FakeNode } from '../../../test/kit/fake-node.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import { configOf, network, reasonsIn, type Staged, stage, startNodes } from './stage.ts';

const NAME = 'nodes.test';
const hostOf = (at: number) => `127.0.0.${at + 1}`;

/** Nodes at 127.0.0.1, 127.0.0.2 … with one port, which is the name's; further upstreams `b`, `c` … by their address. */
async function namedStage(
  resolve: 'one' | 'each',
  count: number,
  { others = [], intervalMs = 100 }: { others?: readonly FakeNode[]; intervalMs?: number } = {},
): Promise<Staged & { readonly dns: FakeDns; readonly nodes: readonly FakeNode[] }> {
  const dns = await startDns();
  onTestFinished(() => dns.stop());
  const [first] = await startNodes({});
  if (first === undefined) throw new TypeError('one node was just asked for');
  const rest = Array.from({ length: count - 1 }, (_, at) => ({ host: hostOf(at + 1), port: first.port }));
  const nodes = [first, ...(await startNodes(...rest))];
  dns.set(NAME, ...nodes.map((_, at) => hostOf(at)));
  const urls = [{ url: `http://${NAME}:${first.port}` }, ...others];
  const probe = { interval: intervalMs, timeout: 5000, attempts: 1 };
  const config = configOf({ main: network(urls, { resolve, probe }) });
  return { ...stage({ config, resolver: dns.resolver }), dns, nodes };
}

describe('with resolve: each', () => {
  test('every address is ranked by its own id, asked by the name, and forgotten when the name loses it', async () => {
    const { dns, nodes, ranked, sidecar } = await namedStage('each', 3);
    const first = await ranked('three addresses', ({ upstreams }) => upstreams.length === 3);
    const ids = nodes.map((_, at) => `a@${hostOf(at)}`);
    expect(first.upstreams.map(({ id }) => id).toSorted()).toEqual(ids);
    await ranked('all to be well', (one) => Object.values(reasonsIn(one)).every((reason) => reason === null));
    for (const node of nodes) expect(node.requests[0]?.headers.host).toBe(`${NAME}:${node.port}`);

    await nodes[2]?.kill();
    await ranked('the dead one', (one) => reasonsIn(one)[`a@${hostOf(2)}`] === 'unreachable');
    dns.set(NAME, hostOf(1), hostOf(0));
    const later = await ranked('two addresses', ({ upstreams }) => upstreams.length === 2);
    expect(reasonsIn(later)).toEqual({ [`a@${hostOf(0)}`]: null, [`a@${hostOf(1)}`]: null });
    expect(sidecar.status().networks[0]?.upstreams.map(({ id }) => id)).not.toContain(`a@${hostOf(2)}`);
    const metrics = await sidecar.metrics();
    expect(metrics).toContain(`upstream="a@${hostOf(1)}"`);
    expect(metrics).not.toContain(`upstream="a@${hostOf(2)}"`);
    dns.set(NAME, hostOf(0));
    await waitFor(() => nodes[1]?.openSockets === 0, {
      what: 'the sockets of the lost address to be closed',
    });
  });

  test('the first ranking knows the addresses already', async () => {
    const { ranked, rankings } = await namedStage('each', 2, { intervalMs: 5000 });
    await ranked('a ranking');
    expect(rankings[0]?.upstreams).toHaveLength(2);
  });

  test('who goes by another name is listened to on the same socket when an address comes or goes', async () => {
    const [pushing] = await startNodes({ pushMode: 'heads' });
    if (pushing === undefined) throw new TypeError('one node was just asked for');
    const { dns, ranked } = await namedStage('each', 2, { others: [pushing] });
    await waitFor(() => pushing.webSockets.subscribed === 1, { what: 'the subscription' });
    dns.set(NAME, hostOf(0));
    const { seq } = await ranked('two upstreams', ({ upstreams }) => upstreams.length === 2);
    await ranked('some rounds', (later) => later.seq > seq + 5);
    expect(pushing.webSockets).toMatchObject({ asked: 1, subscribed: 1 });
  });

  test('the addresses of a name outvote nobody', async () => {
    const others = await startNodes({}, {});
    const { nodes, ranked } = await namedStage('each', 4, { others });
    for (const node of nodes) node.mode = 'lie';
    const liars = Object.fromEntries(nodes.map((_, at) => [`a@${hostOf(at)}`, 'suspect']));
    const ranking = await ranked('the liars', (one) => Object.values(reasonsIn(one)).includes('suspect'));
    expect(reasonsIn(ranking)).toEqual({ ...liars, b: null, c: null });
    expect(ranking.head).toMatchObject({ number: 1000, confirmations: 3 });
  });
});

test('with resolve: one the probes go where the name has gone, and leave no socket behind', async () => {
  const { dns, nodes, ranked } = await namedStage('one', 2);
  const [old, next] = nodes as [FakeNode, FakeNode]; // Two were asked for.
  dns.set(NAME, hostOf(0));
  await ranked('the first address', (one) => reasonsIn(one).a === null);
  dns.set(NAME, hostOf(1));
  await waitFor(() => next.hits('eth_blockNumber') > 2, { what: 'probes at the new address' });
  await waitFor(() => old.openSockets === 0, { what: 'the old sockets to be closed' });
  const before = old.hits();
  const hits = next.hits('eth_blockNumber');
  await waitFor(() => next.hits('eth_blockNumber') > hits + 2, { what: 'further probes' });
  expect(old.hits()).toBe(before);
});
