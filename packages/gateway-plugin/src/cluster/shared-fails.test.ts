import { createMemoryStore, type Report, type Store } from '@rpc-balancer/shared';
import { expect, onTestFinished, test } from 'vitest';
import { createClock } from '../../../../test/kit/clock.ts';
import { waitFor } from '../../../../test/kit/wait.ts';
import { memberOf } from '../../test/members.ts';
import { quietNetwork } from '../../test/networks.ts';
import { isFailed, recordFailure, recordSuccess } from '../balance/ejection.ts';
import { noteEnd } from '../balance/shared-health.ts';
import { startSharedFails } from './shared-fails.ts';

const clock = createClock();
const silent = () => {};
const log = { debug: silent, info: silent, warn: silent, error: silent };

/** A replica over a store; `fails` makes its reports fail. */
function startReplica(instance: string, store: Store) {
  const ejections: string[] = [];
  const open = () => ({ ...quietNetwork('net', [{}, {}, {}], { probe: 'off' }), onEjection });
  const net = open();
  const networks = [net];
  function onEjection(_network: string, upstream: string, ejected: boolean): void {
    ejections.push(`${upstream} ${ejected ? 'ejected' : 'admitted'}`);
  }
  let failures = 0;
  const fails = startSharedFails({
    ...{ networks: () => networks, store, instance, now: clock.now, log },
    onReportFailure: () => failures++,
  });
  onTestFinished(() => fails.stop());
  const end = (at: number, how: 'failure' | 'success') => {
    clock.advance(1);
    const member = memberOf(net.state, at);
    const before = isFailed(member, 3);
    if (how === 'failure') recordFailure(member, clock.now());
    else recordSuccess(member, clock.now());
    if (noteEnd(net.state, member, before, clock.now())) net.state.tell();
  };
  /** Taken away and back again, as two changes of the configuration do. */
  const reopen = () => void networks.splice(0, 1, open());
  return { ejections, end, net, reopen, stop: () => fails.stop(), failures: () => failures };
}

/** As failures of an upstream that others see. */
function fail(replica: ReturnType<typeof startReplica>, count: number): void {
  for (let failure = 0; failure < count; failure++) replica.end(0, 'failure');
  replica.end(1, 'success');
}

const report = (by: string, fails: number): Report => ({
  by,
  upstreams: [{ id: 'a', admitted: false, fails, streak: fails, ageMs: 0, ejected: fails >= 3 }],
});

test('what one replica tells excludes an upstream at another one, and the end of it admits it there', async () => {
  const store = createMemoryStore(clock.now);
  const [anna, bert] = [startReplica('anna', store), startReplica('bert', store)];
  fail(anna, 2);
  fail(bert, 1);
  await waitFor(() => anna.ejections.length === 1 && bert.ejections.length === 1, { what: 'both to eject' });
  clock.advance(40_000);
  memberOf(bert.net.state, 0).checkedAt = clock.now(); // As a trial that begins.
  bert.end(0, 'success');
  await waitFor(() => anna.ejections.length === 2, { what: 'the admission' });
  expect(anna.ejections).toEqual(['a ejected', 'a admitted']);
});

test('failures that come together go in one report', async () => {
  const store = createMemoryStore(clock.now);
  const anna = startReplica('anna', store);
  fail(anna, 1);
  fail(anna, 1);
  await waitFor(async () => (await store.readReports('net', null)).length > 0, { what: 'the report' });
  const reports = await store.readReports('net', null);
  expect(reports.map(({ text }) => JSON.parse(text).upstreams)).toMatchObject([[{ id: 'a', fails: 2 }]]);
});

test('a lost event is repaired by the next look', async () => {
  const store = createMemoryStore(clock.now);
  const deaf: Store = { ...store, subscribe: () => () => {} };
  const bert = startReplica('bert', deaf);
  await store.report('net', report('x', 2), 60_000);
  await store.report('net', report('y', 1), 60_000);
  await waitFor(() => bert.ejections.length > 0, { what: 'the exclusion' });
});

test('what is no report of ours and what is its own report change nothing', async () => {
  const store = createMemoryStore(clock.now);
  const texts = ['nonsense', JSON.stringify({ version: 1, ...report('anna', 9) })];
  let reads = 0;
  const anna = startReplica('anna', {
    ...store,
    async readReports(_network, after) {
      reads++;
      return texts
        .map((text, at) => ({ id: String(at + 1), ageMs: 0, text }))
        .filter(({ id }) => Number(id) > Number(after));
    },
  });
  await waitFor(() => reads >= 2, { what: 'a second look' });
  expect(anna.ejections).toEqual([]);
});

test('a replica that starts takes over an exclusion and not a single failure', async () => {
  const store = createMemoryStore(clock.now);
  await store.report('net', report('x', 3), 60_000);
  const other = { ...report('y', 2).upstreams[0], id: 'b' } as Report['upstreams'][number]; // Exists just above.
  await store.report('net', { by: 'y', upstreams: [other] }, 60_000);
  const bert = startReplica('bert', store);
  await waitFor(() => bert.ejections.length > 0, { what: 'the exclusion' });
  expect(bert.ejections).toEqual(['a ejected']);
});

test('a network that was taken away and comes back takes over the exclusions that hold', async () => {
  const store = createMemoryStore(clock.now);
  await store.report('net', report('x', 3), 60_000);
  const bert = startReplica('bert', store);
  await waitFor(() => bert.ejections.length === 1, { what: 'the exclusion' });
  bert.reopen();
  await waitFor(() => bert.ejections.length === 2, { what: 'the exclusion in the network that came back' });
  expect(bert.ejections).toEqual(['a ejected', 'a ejected']);
});

test('a report that cannot be sent is counted, and the own exclusion stays', async () => {
  const store = createMemoryStore(clock.now);
  const anna = startReplica('anna', {
    ...store,
    report: async () => {
      throw new Error('out of reach');
    },
  });
  fail(anna, 3);
  await waitFor(() => anna.failures() === 1, { what: 'the failure' });
  expect(isFailed(memberOf(anna.net.state, 0), 3)).toBe(true);
});

test('a replica that stops tells what it has not told yet', async () => {
  const store = createMemoryStore(clock.now);
  const anna = startReplica('anna', store);
  fail(anna, 1);
  await anna.stop();
  expect(await store.readReports('net', null)).toHaveLength(1);
});
