import { createMemoryStore, type Log, type Reason, type Store, type StoreEvent } from '@rpc-balancer/shared';
import { expect, onTestFinished, test } from 'vitest';
import { createClock } from '../../../../test/kit/clock.ts';
import { waitFor } from '../../../../test/kit/wait.ts';
import { rankingOf } from '../../test/members.ts';
import { quietNetwork } from '../../test/networks.ts';
import { startFeed } from './feed.ts';

const clock = createClock();

interface Given {
  /** Before the feed starts. */
  readonly ranking?: string;
  readonly network?: Parameters<typeof quietNetwork>[2];
}

/** A feed over a store whose stored text and events the test decides. */
function startBench({ ranking, network }: Given = {}) {
  const lines: string[] = [];
  const write = (_fields: unknown, message: string) => void lines.push(message);
  const log: Log = { debug: write, info: write, warn: write, error: write };
  const net = quietNetwork('net', [{}, {}], network);
  const listeners = new Set<(event: StoreEvent | null) => void>();
  const bench = {
    refusals: 0,
    stored: ranking ?? null,
    reads: 0,
    fails: false,
    /** What every read waits for. */
    open: Promise.resolve(),
  };
  const store: Store = {
    ...createMemoryStore(clock.now),
    async readRanking() {
      bench.reads++;
      await bench.open;
      if (bench.fails) throw new Error('out of reach');
      return bench.stored;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const feed = startFeed({
    networks: () => [net],
    store,
    now: clock.now,
    log,
    onInvalid: () => bench.refusals++,
  });
  onTestFinished(() => feed.stop());
  return {
    ...{ bench, feed, net, lines, listeners },
    emit(event: StoreEvent | null): void {
      for (const listener of listeners) listener(event);
    },
    seq: () => net.state.snapshot?.ranking.seq ?? null,
  };
}

const textOf = (seq: number, reasons: readonly (Reason | null)[] = [null, null]): string =>
  JSON.stringify(rankingOf(reasons, { seq }));
const EVENT: StoreEvent = { type: 'ranking', network: 'net', epoch: 1, seq: 2 };

test('the ranking that is there is read at the start', async () => {
  const { seq } = startBench({ ranking: textOf(4) });
  await waitFor(() => seq() === 4, { what: 'the first snapshot' });
});

test('an event of a ranking replaces the snapshot by the newer one', async () => {
  const { bench, emit, net, seq } = startBench({ ranking: textOf(1) });
  await waitFor(() => seq() === 1, { what: 'the first snapshot' });
  const first = net.state.snapshot;
  bench.stored = textOf(2, ['wrong_chain', null]);
  emit(EVENT);
  await waitFor(() => seq() === 2, { what: 'the second snapshot' });
  expect(net.state.snapshot).not.toBe(first);
  expect(first?.upstreams.get('a')?.reason).toBeNull();
  expect(net.state.snapshot?.upstreams.get('a')?.reason).toBe('wrong_chain');
});

test('a reconnection is followed by a look, since something may have been missed', async () => {
  const { bench, emit, seq } = startBench({ ranking: textOf(1) });
  await waitFor(() => seq() === 1, { what: 'the first snapshot' });
  bench.stored = textOf(2);
  emit(null);
  await waitFor(() => seq() === 2, { what: 'the second snapshot' });
});

test('an older ranking, none and an unreachable store leave the snapshot as it is', async () => {
  const { bench, emit, lines, seq } = startBench({ ranking: textOf(7) });
  await waitFor(() => seq() === 7, { what: 'the first snapshot' });
  for (const [stored, fails] of [
    [textOf(6), false],
    [null, false],
    [textOf(9), true],
  ] as const) {
    Object.assign(bench, { stored, fails });
    const before = bench.reads;
    emit(EVENT);
    await waitFor(() => bench.reads > before, { what: 'a look' });
    expect(seq()).toBe(7);
  }
  await waitFor(() => lines.includes('no ranking could be read'), { what: 'the line about it' });
});

test('a ranking that is no valid document is refused, told and counted', async () => {
  const { bench, emit, lines, seq } = startBench({ ranking: textOf(1) });
  await waitFor(() => seq() === 1, { what: 'the first snapshot' });
  for (const [at, stored] of [
    'no JSON',
    '{}',
    textOf(9).replace('"lagBlocks":null', '"lagBlocks":-1'),
  ].entries()) {
    bench.stored = stored;
    emit(EVENT);
    await waitFor(() => bench.refusals === at + 1, { what: 'the refusal' });
  }
  expect(seq()).toBe(1);
  expect(lines.filter((line) => line.includes('no valid document'))).toHaveLength(3);
});

test('events of other networks and a network without probes cause no look', async () => {
  const off = startBench({ network: { probe: 'off' }, ranking: textOf(1) });
  off.emit(null);
  const other = startBench();
  await waitFor(() => other.bench.reads === 1, { what: 'the look at the start' });
  other.emit({ ...EVENT, network: 'other' });
  await other.feed.stop();
  await off.feed.stop();
  expect(other.bench.reads).toBe(1);
  expect(off.bench.reads).toBe(0);
});

test('a feed that was stopped listens no more', async () => {
  const { feed, listeners } = startBench();
  expect(listeners.size).toBe(1);
  await feed.stop();
  expect(listeners.size).toBe(0);
});

test('however many events come while one is answered, one more read answers them all', async () => {
  const { bench, emit, seq } = startBench();
  const { promise, resolve } = Promise.withResolvers<void>();
  bench.open = promise;
  for (let at = 1; at <= 100; at++) emit({ type: 'ranking', network: 'net', epoch: 1, seq: at });
  bench.stored = textOf(100);
  resolve();
  await waitFor(() => seq() === 100, { what: 'the newest ranking' });
  emit({ type: 'ranking', network: 'net', epoch: 1, seq: 101 });
  bench.stored = textOf(101);
  await waitFor(() => seq() === 101, { what: 'the next ranking' });
  expect(bench.reads).toBeLessThan(10); // Polls come besides.
});
