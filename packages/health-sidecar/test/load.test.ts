// Decides: whether loads are read as configured, and hold up nothing else, over real sockets and the memory store.
import { type LocatedUpstream, redactorOf, validateConfig } from '@rpc-balancer/shared';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type FakePage, startFakePage } from '../../../test/kit/fake-page.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import { readLoad } from '../src/probes/load.ts';
import { createLoads } from '../src/probes/loads.ts';
import { createFetcher, monotonicNow } from '../src/runtime.ts';
import { configOf, network, reasonsIn, stage, startNodes } from './stage.ts';

async function startPage(text = 'node_load1 1.5\n'): Promise<FakePage> {
  const page = await startFakePage(text);
  onTestFinished(() => page.stop());
  return page;
}

async function read(load: object) {
  const upstream = { id: 'a', url: 'http://127.0.0.1:1', load };
  const config = validateConfig({ networks: { main: { upstreams: [upstream] } } });
  const configured = config.networks.main?.upstreams[0]?.load;
  if (!configured) throw new TypeError('the load was given in the line above');
  const fetcher = await createFetcher();
  onTestFinished(() => fetcher.close());
  return readLoad(configured, {
    fetcher,
    signal: new AbortController().signal,
    redact: redactorOf(config),
  });
}

describe('a load', () => {
  test('is read of a metric, with the path, query, user and password of its URL', async () => {
    const page = await startPage();
    const url = `${page.url.replace('//', '//user:p%40ss@')}/metrics/?key=1`;
    expect(await read({ url, metric: 'node_load1' })).toEqual({ load: 1.5 });
    const [request] = page.requests;
    expect(request).toMatchObject({ path: '/metrics/?key=1' });
    const basic = Buffer.from('user:p@ss').toString('base64');
    expect(request?.headers.authorization).toBe(`Basic ${basic}`);
  });

  test('is read where a JSON pointer leads', async () => {
    const page = await startPage('{"cpu":[{"load":0.25}]}');
    expect(await read({ url: page.url, pointer: '/cpu/0/load' })).toEqual({ load: 0.25 });
    expect(await read({ url: page.url, pointer: '/cpu' })).toEqual({
      problem: 'what stands there is no number from 0 up',
    });
  });

  test.each<[string, Partial<Pick<FakePage, 'mode' | 'status' | 'text'>>, object, RegExp]>([
    ['an exporter that hangs', { mode: 'hang' }, { metric: 'm' }, /^no answer within 100 ms$/],
    ['an answer that stalls', { mode: 'stall' }, { metric: 'm' }, /^no answer within 100 ms$/],
    ['a refusal', { status: 401 }, { metric: 'm' }, /^HTTP 401$/],
    ['a page instead of JSON', { text: '<html>' }, { pointer: '/load' }, /^the answer is no JSON$/],
  ])('is unknown after %s', async (_, facts, source, problem) => {
    const page = Object.assign(await startPage(), facts);
    const timeout = facts.mode === undefined ? 10_000 : 100; // Only these give no answer.
    expect(await read({ url: page.url, timeout, ...source })).toEqual({
      problem: expect.stringMatching(problem),
    });
  });

  test('of an answer without end is unknown, and no more of it is read than a few megabytes', async () => {
    const page = await startPage();
    page.mode = 'endless';
    const reading = await read({ url: page.url, timeout: 60_000, metric: 'node_load1' });
    expect(reading).toEqual({ problem: 'more than 4194304 bytes' });
    expect(page.endlessBytes).toBeLessThan(40_000_000);
  });

  test('of an exporter that nobody reaches says why, without the secrets of its URL', async () => {
    const page = await startPage();
    await page.stop();
    const reading = await read({ url: `${page.url}/s3cretPath`, metric: 'm' });
    expect(reading).toEqual({ problem: expect.stringMatching(/\S/) });
    expect(JSON.stringify(reading)).not.toContain('s3cretPath');
  });
});

/** Upstreams `a`, `b` … of one node each, with these pages. */
async function startLoaded(
  pages: readonly (FakePage | null)[],
  load: Partial<LocatedUpstream['load']> = {},
  more: Parameters<typeof network>[1] = {},
) {
  const nodes = await startNodes(...pages.map(() => ({})));
  const plain = network(nodes, more);
  const upstreams = plain.upstreams.map((upstream, at) => {
    const url = pages[at]?.url;
    return { ...upstream, ...(url && { load: { url, metric: 'node_load1', ...load } }) };
  });
  // Longer than a machine ever pauses: another tenure would read anew.
  return stage({ config: configOf({ main: { ...plain, upstreams } }, { leaseTtl: 30_000 }) });
}

const loadsIn = (ranking: { upstreams: readonly { id: string; load: number | null }[] }) =>
  Object.fromEntries(ranking.upstreams.map(({ id, load }) => [id, load]));

test('the load of each upstream stands in the ranking, the status and the metrics', async () => {
  const staged = await startLoaded([await startPage('node_load1 0.5\n'), await startPage(), null]);
  const ranking = await staged.ranked('both loads', (one) => {
    const { a, b } = loadsIn(one);
    return a === 0.5 && b === 1.5;
  });
  expect(loadsIn(ranking).c).toBeNull();
  const [main] = staged.sidecar.status().networks;
  expect(main?.upstreams.find(({ id }) => id === 'b')).toMatchObject({ load: 1.5, loadDetail: null });
  expect(await staged.sidecar.metrics()).toContain(
    'rpc_balancer_sidecar_upstream_load{network="main",upstream="b"} 1.5',
  );
});

test('an exporter that hangs delays no probe and no ranking, its own upstream included (incident 16)', async () => {
  const [hung, good] = [await startPage(), await startPage()];
  hung.mode = 'hang';
  const probe = { interval: 100, timeout: 10_000, attempts: 1 };
  const { ranked } = await startLoaded([hung, good], { timeout: 60_000 }, { probe });
  const ranking = await ranked('six rankings', ({ seq }) => seq >= 5);
  expect(reasonsIn(ranking)).toEqual({ a: null, b: null });
  expect(loadsIn(ranking)).toEqual({ a: null, b: 1.5 });
  expect(hung.requests).toHaveLength(1);
});

test('a load that can be read no more is unknown soon, counted and explained, and comes back', async () => {
  const page = await startPage();
  const probe = { interval: 100, timeout: 1000, attempts: 1 }; // A load counts as long as a sample.
  const staged = await startLoaded([page], {}, { probe });
  const is = (load: number | null) => (one: Parameters<typeof loadsIn>[0]) => loadsIn(one).a === load;
  await staged.ranked('the load', is(1.5));
  page.status = 500;
  await staged.ranked('its end', is(null));
  const [main] = staged.sidecar.status().networks;
  expect(main?.upstreams[0]).toMatchObject({ reason: null, load: null, loadDetail: 'HTTP 500' });
  expect(await staged.sidecar.metrics()).toMatch(/load_failures_total\{network="main",upstream="a"\} [1-9]/);
  Object.assign(page, { status: 200, text: 'node_load1 3\n' });
  await staged.ranked('the next load', is(3));
  await waitFor(() => staged.sidecar.status().networks[0]?.upstreams[0]?.loadDetail === null, {
    what: 'the problem to be over',
  });
});

test.each([
  { where: 'at the host of its upstream', host: '127.0.0.1', isLent: true },
  { where: 'elsewhere', host: 'localhost', isLent: false },
])('an exporter $where gets the certificates of the upstream: $isLent', async ({ host, isLent }) => {
  const page = await startPage();
  const load = { url: page.url, metric: 'node_load1' };
  const config = configOf({ main: { upstreams: [{ id: 'a', url: `http://${host}:1`, load }] } });
  const [upstream] = config.networks.main?.upstreams ?? [];
  if (!upstream) throw new TypeError('it was given in the line above');
  let lentCount = 0;
  const loads = createLoads({
    ...{ intervalMs: 1000, signal: new AbortController().signal, now: monotonicNow, redact: (text) => text },
    async fetcherOf() {
      lentCount++;
      const fetcher = await createFetcher();
      onTestFinished(() => fetcher.close());
      return fetcher;
    },
    onLoad: () => {},
  });
  onTestFinished(() => loads.idle());
  loads.start([{ ...upstream, voter: 'a', addresses: [] }]);
  await waitFor(() => loads.since(0).get('a') === 1.5, { what: 'the load' });
  expect(lentCount).toBe(isLent ? 1 : 0);
});

test('what is read of an upstream that is gone meanwhile is forgotten', async () => {
  const page = await startPage();
  const load = { url: page.url, metric: 'node_load1' };
  const config = configOf({ main: { upstreams: [{ id: 'a', url: page.url, load }] } });
  const [upstream] = config.networks.main?.upstreams ?? [];
  if (!upstream) throw new TypeError('it was given in the line above');
  const told: string[] = [];
  const fetcher = await createFetcher();
  onTestFinished(() => fetcher.close());
  const loads = createLoads({
    ...{ intervalMs: 1000, signal: new AbortController().signal, now: monotonicNow, redact: (text) => text },
    fetcherOf: async () => fetcher,
    onLoad: (id) => void told.push(id),
  });
  loads.start([{ ...upstream, voter: 'a', addresses: [] }]);
  loads.start([]);
  await loads.idle();
  expect(page.requests).toHaveLength(1);
  expect([told, [...loads.since(0)]]).toEqual([[], []]);
});

test('no load is read of an upstream that is disabled', async () => {
  const [page, other] = [await startPage(), await startPage()];
  const nodes = await startNodes({}, {});
  const plain = network(nodes);
  const upstreams = plain.upstreams.map((upstream, at) => ({
    ...upstream,
    disabled: at === 0,
    load: { url: (at === 0 ? page : other).url, metric: 'node_load1' },
  }));
  const { ranked } = stage({ config: configOf({ main: { ...plain, upstreams } }) });
  await ranked('the other load', (one) => loadsIn(one).b === 1.5);
  expect(page.requests).toEqual([]);
});
