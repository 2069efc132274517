import {
  createMemoryStore,
  decodeUsage,
  encodeBeat,
  encodeUsage,
  type Log,
  type Store,
} from '@rpc-balancer/shared';
import { expect, onTestFinished, test } from 'vitest';
import { createClock, createRandom } from '../../../../test/kit/clock.ts';
import { waitFor } from '../../../../test/kit/wait.ts';
import { memberOf } from '../../test/members.ts';
import { quietNetwork } from '../../test/networks.ts';
import { beginAttempt, endAttempt } from '../balance/ejection.ts';
import { startHeartbeat } from './heartbeat.ts';

const LONG_MS = 60_000;

/** One replica, over a store that writes down what it is given, and others whose beats are the test's. */
function startBench() {
  const clock = createClock();
  const shared = createMemoryStore(clock.now);
  const net = quietNetwork('net', [{}, {}]);
  const bench = {
    contents: [] as (string | null)[],
    usages: [] as (string | null)[],
    fails: false,
    failures: 0,
    durations: [] as number[],
    takesMs: 7,
    networks: [net],
    /** Beats end when this does. */
    until: Promise.resolve(),
  };
  const store: Store = {
    ...shared,
    async beat(network, instance, told, lifeMs) {
      if (bench.fails) throw new Error('out of reach');
      bench.contents.push(told.content);
      bench.usages.push(told.usage);
      await bench.until;
      clock.advance(bench.takesMs);
      return shared.beat(network, instance, told, lifeMs);
    },
  };
  const silent = () => {};
  const log: Log = { debug: silent, info: silent, warn: silent, error: silent };
  const heartbeat = startHeartbeat({
    ...{
      networks: () => bench.networks,
      store,
      instance: 'anna',
      now: clock.now,
      random: createRandom(1),
      log,
    },
    onBeat: (_network, durationMs) => bench.durations.push(durationMs),
    onBeatFailure: () => bench.failures++,
  });
  onTestFinished(() => heartbeat.stop());
  const a = memberOf(net.state, 0);
  return {
    ...{ bench, clock, a, state: net.state, heartbeat },
    begin: () => beginAttempt(a, clock.now(), LONG_MS),
    tell: (by: string, inFlight: Record<string, number>) =>
      shared.beat('net', by, { content: encodeBeat(inFlight), usage: null }, LONG_MS),
    /** So many further beats, each of which has heard the others. */
    async beats(count: number) {
      const goal = bench.contents.length + count + 1;
      await waitFor(() => bench.contents.length >= goal, { what: 'further beats' });
    },
    sees: (count: number) => waitFor(() => a.inFlightElsewhere === count, { what: `${count} elsewhere` }),
  };
}

test('a heartbeat carries what is in flight when that has changed, and nothing otherwise', async () => {
  const { bench, begin, beats, a } = startBench();
  begin();
  await beats(3);
  endAttempt(a);
  await beats(2);
  const told = bench.contents.filter((content) => content !== null);
  expect(told).toEqual([encodeBeat({}), encodeBeat({ a: 1 }), encodeBeat({})]);
  expect(bench.contents.length).toBeGreaterThan(told.length);
});

test('what is used of limits is told when it has changed, and of upstreams with nothing to tell nothing', async () => {
  const { bench, begin, beats, clock, a } = startBench();
  await beats(1);
  expect(bench.usages[0]).toBe(encodeUsage({}));
  begin();
  a.usage.throttled(clock.now());
  a.throttledUntil = clock.now() + 1_000_000;
  await beats(2);
  expect(bench.usages.slice(1).every((usage) => usage === null)).toBe(true);
  clock.advance(1000);
  await beats(2);
  const told = bench.usages.filter((usage) => usage !== null);
  const word = { left: null, limit: null, resetAt: null };
  const used = { attempts: 1, throttled: 1, retryAt: a.throttledUntil, ...word };
  expect(told).toEqual([encodeUsage({}), encodeUsage({ a: used })]);
});

test('a heartbeat tells how long the store took for it', async () => {
  const { bench, beats } = startBench();
  await beats(1);
  expect(bench.durations[0]).toBe(7);
});

test('the store counts as late when it was for a second of beats, until it is not for one', async () => {
  const { bench, beats, state } = startBench();
  await beats(2);
  bench.takesMs = 300;
  await beats(2);
  expect(state.storeDelayMs).toBeLessThan(300);
  await waitFor(() => state.storeDelayMs === 300, { what: 'the delay to be noticed' });
  bench.takesMs = 7;
  await waitFor(() => state.storeDelayMs === 7, { what: 'the delay to be over' });
});

test('an attempt that ended before the next heartbeat is never told', async () => {
  const { bench, begin, beats, a } = startBench();
  for (let beat = 0; beat < 3; beat++) {
    begin();
    endAttempt(a);
    await beats(1);
  }
  expect(new Set(bench.contents)).toEqual(new Set([encodeBeat({}), null]));
});

test('what others tell counts by its mean, and a heartbeat that cannot be read counts for none in flight', async () => {
  const { tell, sees } = startBench();
  await tell('bert', { a: 4, b: 1 });
  await sees(4);
  await tell('carl', { a: 8 });
  await sees(6);
  await tell('carl', { zz: 9 });
  await sees(2);
});

test('of a mean between two numbers now the lower counts and now the higher', async () => {
  const { tell, sees } = startBench();
  await tell('bert', { a: 3 });
  await tell('carl', {});
  await sees(1);
  await sees(2);
  await sees(1);
});

test('a store out of reach is counted, what others told is forgotten, and all is told anew afterwards', async () => {
  const { bench, clock, begin, tell, sees, beats } = startBench();
  begin();
  await tell('bert', { a: 2 });
  await sees(2);
  await beats(1);
  bench.fails = true;
  await waitFor(() => bench.failures > 0, { what: 'a failure' });
  clock.advance(3000);
  await sees(0);
  bench.contents.length = 0;
  bench.fails = false;
  await waitFor(() => bench.contents.length > 0, { what: 'the next beat' });
  expect(bench.contents[0]).toBe(encodeBeat({ a: 1 }));
  expect(decodeUsage(bench.usages.at(-bench.contents.length) ?? '')).toMatchObject({ a: { attempts: 1 } });
});

test('what was told of a network goes with it: one that comes in its place is told of at once, and the stop waits for both', async () => {
  const { bench, beats, begin, heartbeat } = startBench();
  begin();
  await beats(3);
  const { promise, resolve } = Promise.withResolvers<void>();
  bench.until = promise;
  await beats(0);
  bench.contents.length = 0;
  bench.networks = [quietNetwork('net', [{}])];
  await waitFor(() => bench.contents.length > 0, { what: 'the beat of the other network' });
  expect(bench.contents).toEqual([encodeBeat({})]);
  bench.networks = [];
  const stopped = heartbeat.stop().then(() => bench.durations.length);
  const before = bench.durations.length;
  resolve();
  expect(await stopped).toBe(before + 2);
});
