import { createMemoryStore, type Store } from '@rpc-balancer/shared';
import { expect, onTestFinished, test } from 'vitest';
import { createClock } from '../../../../test/kit/clock.ts';
import { waitFor } from '../../../../test/kit/wait.ts';
import { memberOf } from '../../test/members.ts';
import { quietNetwork } from '../../test/networks.ts';
import { beginAttempt, endAttempt, recordFailure, recordSuccess } from '../balance/ejection.ts';
import { reasonsNow } from '../balance/network-state.ts';
import { startTrials } from './trials.ts';

const FAIL_TIMEOUT_MS = 30_000;

/** Replicas over one store, each of which excludes `a` since longer ago than failTimeout. */
function startBench(size: number, change: (store: Store) => Partial<Store> = () => ({})) {
  const clock = createClock();
  const shared = createMemoryStore(clock.now);
  const store: Store = { ...shared, ...change(shared) };
  const replicas = ['anna', 'bert', 'carl'].slice(0, size).map((instance) => {
    const net = quietNetwork('net', [{}, {}], { probe: 'off', maxFails: 1 });
    const a = memberOf(net.state, 0);
    recordFailure(a, clock.now());
    net.state.askedAt = clock.now() + FAIL_TIMEOUT_MS;
    const silent = () => {};
    const log = { debug: silent, info: silent, warn: silent, error: silent };
    const trials = startTrials({ networks: () => [net], store, instance, now: clock.now, log });
    onTestFinished(() => trials.stop());
    return { net, a, mayTry: () => reasonsNow(net.state, clock.now())[0] === null };
  });
  clock.advance(FAIL_TIMEOUT_MS + 1);
  const holder = () => replicas.find(({ mayTry }) => mayTry());
  const won = () => waitFor(holder, { what: 'a replica to win the trial' });
  /** What another instance hears that asks for the trial. */
  const leftMs = () => shared.takeTrial('net', { upstream: 'a', turn: 'usual', holder: 'x' }, 1);
  return { clock, replicas, holder, won, leftMs };
}

test('of several replicas for which a trial is due one wins it, and the others wait', async () => {
  const { replicas, won } = startBench(3);
  await won();
  await waitFor(() => replicas.filter(({ a }) => a.view.askAt.usual > 0).length === 3, {
    what: 'all to ask',
  });
  expect(replicas.filter(({ mayTry }) => mayTry())).toHaveLength(1);
});

test('a trial that has begun is held for failTimeout, so that nobody else begins one', async () => {
  const { clock, won, holder, leftMs } = startBench(3);
  const { a } = await won();
  beginAttempt(a, clock.now(), FAIL_TIMEOUT_MS);
  expect(holder()).toBeUndefined();
  await waitFor(async () => (await leftMs()) > FAIL_TIMEOUT_MS / 2, { what: 'the trial to be held' });
});

test('a trial that was won and not begun goes to another replica after a second', async () => {
  const { clock, won, replicas } = startBench(2);
  const first = await won();
  first.net.state.askedAt = clock.now() - FAIL_TIMEOUT_MS; // Nobody asks it for anything any more.
  clock.advance(1001);
  expect((await won()).net).toBe(replicas.find((one) => one !== first)?.net);
});

test('a trial that has ended well is held no longer', async () => {
  const { clock, won, leftMs } = startBench(1);
  const { a } = await won();
  beginAttempt(a, clock.now(), FAIL_TIMEOUT_MS);
  endAttempt(a);
  clock.advance(1);
  recordSuccess(a, clock.now());
  await waitFor(() => !a.view.trialBegun, { what: 'the next look' });
  expect(await leftMs()).toBeLessThanOrEqual(1000);
});

test('a store that refuses leaves the trial to the time alone', async () => {
  const { won } = startBench(1, () => ({
    takeTrial: async () => {
      throw new Error('out of reach');
    },
  }));
  await won();
});

test('while the store is out of reach nobody is asked, and each replica tries when the time is over', async () => {
  const health = { ...createMemoryStore(Date.now).health(), connected: true };
  let asked = 0;
  const { replicas } = startBench(2, (store) => ({
    health: () => health,
    takeTrial(...args) {
      asked++;
      return store.takeTrial(...args);
    },
  }));
  health.connected = false;
  await waitFor(() => replicas.every(({ mayTry }) => mayTry()), { what: 'both to try' });
  expect(replicas.map(({ net }) => net.state.ticketed)).toEqual([false, false]);
  expect(asked).toBeLessThanOrEqual(2); // By the looks before that.
});
