// Decides: whether exactly one of several sidecars publishes, and another takes over when that one goes.
import {
  BalancerError,
  createMemoryStore,
  encodeAttendance,
  type Lease,
  type Ranking,
  type Store,
} from '@rpc-balancer/shared';
import { expect, test } from 'vitest';
import { freePort } from '../../../test/kit/ports.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import { monotonicNow } from '../src/runtime.ts';
import { configOf, network, reasonsIn, type Staged, says, stage, startNodes, tenuresIn } from './stage.ts';

const holds = ({ sidecar }: Staged) => sidecar.status().networks[0]?.state === 'holder';

function neverGoesBack(rankings: readonly Ranking[]): boolean {
  return rankings.every(({ epoch, seq }, at) => {
    const before = rankings[at - 1];
    return before === undefined || epoch > before.epoch || (epoch === before.epoch && seq > before.seq);
  });
}

test('of three sidecars one probes and publishes, at the rate of one', async () => {
  const [node] = await startNodes({});
  if (!node) throw new TypeError('a node was started');
  const store = createMemoryStore(monotonicNow);
  const config = configOf({ main: network([node]) });
  const staged = ['one', 'two', 'three'].map((instance) => stage({ config, store, instance }));
  const [first] = staged;
  await first?.ranked('ten rankings', ({ seq }) => seq >= 9);
  expect(staged.filter(holds)).toHaveLength(1);
  expect(new Set(first?.rankings.map(({ publisher }) => publisher)).size).toBe(1);
  expect(node.hits('eth_chainId')).toBeLessThanOrEqual((first?.rankings.length ?? 0) + tenuresIn(staged));
});

test('two sidecars of one name do not take each other the lease', async () => {
  const [node] = await startNodes({});
  if (!node) throw new TypeError('a node was started');
  const store = createMemoryStore(monotonicNow);
  const config = configOf({ main: network([node]) });
  const staged = [7, 8].map((seed) => stage({ config, store, seed }));
  await staged[0]?.ranked('twenty rankings', ({ seq }) => seq >= 19);
  expect(staged.filter(holds)).toHaveLength(1);
  expect(new Set(staged[0]?.rankings.map(({ epoch }) => epoch)).size).toBe(1);
});

test('a lease whose answer was lost is asked for again with success', async () => {
  const [node] = await startNodes({});
  if (!node) throw new TypeError('a node was started');
  const store = createMemoryStore(monotonicNow);
  const answers: (Lease | null)[] = [];
  const forgetful: Store = {
    ...store,
    async acquire(...asked) {
      answers.push(await store.acquire(...asked));
      const [, ...heard] = answers;
      return heard.at(-1) ?? Promise.reject(new BalancerError('RPCB_STORE', { detail: 'it was lost' }));
    },
  };
  const config = configOf({ main: network([node]) }, { leaseTtl: 6000 });
  stage({ config, store: forgetful });
  await waitFor(() => answers.length > 1, { what: 'the second question' });
  expect(answers).not.toContain(null);
});

test('a sidecar that the store hears, and that never hears the store, does not keep the lease from another', async () => {
  const [node] = await startNodes({});
  if (!node) throw new TypeError('a node was started');
  const store = createMemoryStore(monotonicNow);
  const config = configOf({ main: network([node]) });
  let asked = 0;
  async function unheard(question: Promise<unknown>): Promise<never> {
    asked++;
    await question;
    throw new BalancerError('RPCB_STORE', { detail: 'the answer was lost' });
  }
  const deaf: Store = {
    ...store,
    acquire: (...question) => unheard(store.acquire(...question)),
    readRanking: (...question) => unheard(store.readRanking(...question)),
  };
  stage({ config, store: deaf, instance: 'deaf' });
  await waitFor(() => asked > 2, { what: 'some questions' });
  await stage({ config, store }).ranked('the other', ({ publisher }) => publisher === 'one');
});

test('a sidecar that stops hands its lease over long before it ends, with a higher epoch', async () => {
  const [node] = await startNodes({});
  if (!node) throw new TypeError('a node was started');
  const store = createMemoryStore(monotonicNow);
  const config = configOf({ main: network([node]) }, { leaseTtl: 60_000 });
  const one = stage({ config, store, instance: 'one' });
  await one.ranked('the first publisher', ({ publisher, seq }) => publisher === 'one' && seq > 0);
  const two = stage({ config, store, instance: 'two' });
  await one.sidecar.stop();
  await two.ranked('the second publisher', ({ publisher }) => publisher === 'two');
  expect(one.sidecar.ready().status).toBe('stopped');
  expect(neverGoesBack(two.rankings)).toBe(true);
});

test('a sidecar says that it holds the lease no more before it gives it back', async () => {
  const [node] = await startNodes({});
  if (!node) throw new TypeError('a node was started');
  const store = createMemoryStore(monotonicNow);
  let holdsAtRelease: boolean | undefined;
  const watched: Store = {
    ...store,
    release(lease) {
      holdsAtRelease = holds(staged);
      return store.release(lease);
    },
  };
  const staged = stage({ config: configOf({ main: network([node]) }), store: watched });
  await staged.ranked('its rankings', ({ seq }) => seq > 0);
  await staged.sidecar.stop();
  expect(holdsAtRelease).toBe(false);
});

test('a sidecar never says that it holds a lease that may be over by its own clock', async () => {
  const [node] = await startNodes({});
  if (!node) throw new TypeError('a node was started');
  let jumpMs = 0;
  const now = () => monotonicNow() + jumpMs;
  const staged = stage({ config: configOf({ main: network([node]) }, { leaseTtl: 60_000 }), now });
  await staged.ranked('its rankings', ({ seq }) => seq > 0);
  expect(holds(staged)).toBe(true);
  // As when the process was paused: nothing of it has run yet, and somebody asks.
  jumpMs = 60_000;
  expect(staged.sidecar.status().networks[0]).toMatchObject({ state: 'waiting', epoch: null });
});

test('each network has a lease of its own', async () => {
  const [node] = await startNodes({});
  if (!node) throw new TypeError('a node was started');
  const store = createMemoryStore(monotonicNow);
  const taken = await store.acquire('other', 'somebody', 60_000);
  const { ranked, sidecar } = stage({
    config: configOf({ main: network([node]), other: network([node]) }),
    store,
  });
  await ranked('its network', ({ seq }) => seq > 2);
  expect(taken).not.toBeNull();
  expect(sidecar.status().networks.map(({ state }) => state)).toEqual(['holder', 'waiting']);
});

test('a sidecar whose lease went to another is fenced, stops at once and competes again', async () => {
  const [node] = await startNodes({});
  if (!node) throw new TypeError('a node was started');
  // Only the store's clock jumps, as when the sidecar's process was paused: it still believes in its lease.
  let jumpMs = 0;
  const store = createMemoryStore(() => monotonicNow() + jumpMs);
  const config = configOf({ main: network([node]) }, { leaseTtl: 30_000 });
  const staged = stage({ config, store });
  await staged.ranked('its rankings', ({ seq }) => seq > 1);
  jumpMs = 30_001;
  const intruder = await store.acquire('main', 'intruder', 30_000);
  if (intruder === null) throw new TypeError('the lease ran out');
  await waitFor(() => staged.sidecar.status().networks[0]?.fencedCount === 1, { what: 'the refusal' });
  expect(await staged.sidecar.metrics()).toContain('rpc_balancer_sidecar_fenced_total{network="main"} 1');
  await waitFor(() => !holds(staged), { what: 'the end of its work' });
  await store.release(intruder);
  await staged.ranked('its return', ({ epoch }) => epoch > intruder.epoch);
  expect(neverGoesBack(staged.rankings)).toBe(true);
});

test('a sidecar stops by its own clock while the store is out of reach, and goes on afterwards', async () => {
  const [node] = await startNodes({});
  if (!node) throw new TypeError('a node was started');
  const memory = createMemoryStore(monotonicNow);
  let lost = false;
  const reached = <Value>(call: () => Promise<Value>) => {
    return lost ? Promise.reject<Value>(new BalancerError('RPCB_STORE')) : call();
  };
  const store: Store = {
    ...memory,
    acquire: (...args) => reached(() => memory.acquire(...args)),
    renew: (...args) => reached(() => memory.renew(...args)),
    release: (...args) => reached(() => memory.release(...args)),
    publish: (...args) => reached(() => memory.publish(...args)),
    readRanking: (...args) => reached(() => memory.readRanking(...args)),
  };
  const staged = stage({ config: configOf({ main: network([node]) }, { leaseTtl: 3000 }), store });
  await staged.ranked('its rankings', ({ seq }) => seq > 8);
  lost = true;
  const hasEnded = () => staged.logged.some((line) => line.startsWith('holds the lease no more'));
  await waitFor(hasEnded, { what: 'the end of its work' });
  lost = false;
  await staged.ranked('its return', ({ epoch }) => epoch > (staged.rankings[0]?.epoch ?? 0));
  expect(neverGoesBack(staged.rankings)).toBe(true);
  expect(staged.logged.some((line) => line.includes('mistake of ours'))).toBe(false);
});

test('a sidecar that reaches no upstream lets another publish instead of saying so', async () => {
  const [node] = await startNodes({});
  if (!node) throw new TypeError('a node was started');
  const store = createMemoryStore(monotonicNow);
  const nowhere = { url: `http://127.0.0.1:${await freePort()}` };
  // It asks first, so it gets the lease.
  const blind = stage({ config: configOf({ main: network([nowhere]) }), store, instance: 'blind' });
  const seeing = stage({ config: configOf({ main: network([node]) }), store, instance: 'seeing' });
  await seeing.ranked('five rankings', ({ seq }) => seq > 4);
  expect(new Set(seeing.rankings.map(({ publisher }) => publisher))).toEqual(new Set(['seeing']));
  expect(blind.rankings.some(says('a', 'unreachable'))).toBe(false);
});

test('a sidecar that reaches no upstream while another hangs lets another publish instead of saying so', async () => {
  const [node, hung] = await startNodes({}, { mode: 'hang' });
  if (!node || !hung) throw new TypeError('two nodes were started');
  const store = createMemoryStore(monotonicNow);
  const nowhere = { url: `http://127.0.0.1:${await freePort()}` };
  const probe = { interval: 100, timeout: 60_000, attempts: 1 };
  const blinded = network([nowhere, hung], { probe });
  const blind = stage({ config: configOf({ main: blinded }), store, instance: 'blind' });
  const seeing = stage({ config: configOf({ main: network([node, node]) }), store, instance: 'seeing' });
  await seeing.ranked('five rankings', ({ seq }) => seq > 4);
  expect(new Set(seeing.rankings.map(({ publisher }) => publisher))).toEqual(new Set(['seeing']));
  expect(blind.rankings.some(says('a', 'unreachable'))).toBe(false);
});

test('a sidecar whose network breaks while it leaves the only other upstream alone lets another publish instead of saying so', async () => {
  const [limited, mortal, node] = await startNodes({ mode: 'http429', retryAfter: 60 }, {}, {});
  if (!limited || !mortal || !node) throw new TypeError('three nodes were started');
  const store = createMemoryStore(monotonicNow);
  const blinded = configOf({ main: network([limited, mortal]) });
  const blind = stage({ config: blinded, store, instance: 'blind' });
  const seeing = stage({ config: configOf({ main: network([node, node]) }), store, instance: 'seeing' });
  await blind.ranked('its rankings', (all) => says('a', 'throttled')(all) && says('b', null)(all));
  const counted = async () => (await blind.sidecar.metrics()).includes('rpc_balancer_sidecar_sidecars 2');
  await waitFor(counted, { what: 'the other sidecar' });
  await mortal.kill();
  await seeing.ranked('the other publisher', ({ publisher }) => publisher === 'seeing');
  expect(blind.rankings.some(says('b', 'unreachable'))).toBe(false);
});

test('a sidecar that has left its lease to another does not take it back at once', async () => {
  const ttlMs = 2000;
  const store = createMemoryStore(monotonicNow);
  const content = encodeAttendance({ held: 0, takes: ['main'] });
  await store.attend('heir that sleeps', content, 60_000);
  let leftAt = Number.POSITIVE_INFINITY;
  const askedAt: number[] = [];
  const watched: Store = {
    ...store,
    acquire(...args) {
      askedAt.push(monotonicNow());
      return store.acquire(...args);
    },
    async release(...args) {
      await store.release(...args);
      leftAt = Math.min(leftAt, monotonicNow());
    },
  };
  const nowhere = { url: `http://127.0.0.1:${await freePort()}` };
  stage({ config: configOf({ main: network([nowhere]) }, { leaseTtl: ttlMs }), store: watched });
  await waitFor(() => askedAt.length > 1, { what: 'its next question' });
  expect((askedAt[1] ?? 0) - leftAt).toBeGreaterThan(ttlMs - 10); // Timers may be a few milliseconds early.
});

test('a sidecar that reaches no upstream and is alone says so at once', async () => {
  const nowhere = { url: `http://127.0.0.1:${await freePort()}` };
  const { ranked, rankings } = stage({ config: configOf({ main: network([nowhere]) }) });
  const ranking = await ranked('its verdict', ({ seq }) => seq > 2);
  expect(reasonsIn(ranking)).toEqual({ a: 'unreachable' });
  expect(new Set(rankings.map(({ epoch }) => epoch)).size).toBe(1);
});

test('a network that is down for all sidecars is said so by the last of them, and stays with it', async () => {
  const nowhere = { url: `http://127.0.0.1:${await freePort()}` };
  const store = createMemoryStore(monotonicNow);
  const config = configOf({ main: network([nowhere]) });
  const staged = ['one', 'two', 'three'].map((instance) => stage({ config, store, instance }));
  const [first] = staged;
  await first?.ranked('its verdict', ({ seq }) => seq > 10);
  expect(first?.rankings.every(says('a', 'unreachable'))).toBe(true);
  expect(new Set(first?.rankings.map(({ epoch }) => epoch)).size).toBe(1);
  const handed = staged.map(({ logged }) => logged.filter((line) => line.includes('hand_over')).length);
  expect(handed.toSorted()).toEqual([0, 1, 1]);
});
