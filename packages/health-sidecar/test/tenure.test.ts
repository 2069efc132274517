// Decides: what a tenure that ends leaves undone, and how long a sidecar that saw nothing keeps away from a network.
import { once } from 'node:events';
import { createMemoryStore, createNames, type Lease, type Store, systemResolver } from '@rpc-balancer/shared';
import { expect, onTestFinished, test } from 'vitest';
import { createRandom } from '../../../test/kit/clock.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import { createCycle } from '../src/cycle.ts';
import { keepLease, type WorkEnd } from '../src/lease.ts';
import { createFetcher, monotonicNow } from '../src/runtime.ts';
import { configOf, network } from './stage.ts';

const silent = () => {};
const LOG = { debug: silent, info: silent, warn: silent, error: silent };
const COMMON = { network: 'main', now: monotonicNow, log: LOG, redact: (text: string) => text };

/** Nobody listens there. */
const NOWHERE = { url: 'http://127.0.0.1:2' };

function cycleOver(store: Store) {
  const config = configOf({ main: network([NOWHERE]) }).networks.main;
  if (!config?.probe) throw new TypeError('it was given in the line above');
  const names = createNames({
    network: 'main',
    config,
    resolver: systemResolver,
    log: LOG,
    onChange: silent,
  });
  onTestFinished(() => names.close());
  return createCycle({
    ...{ ...COMMON, config, probe: config.probe, names, store, random: createRandom(1) },
    ...{ configHash: '', publisher: 'anna', rankingMaxAgeMs: 60_000, fetcherOf: () => createFetcher() },
    ...{ onSample: silent, onLoad: silent, onPushed: silent, onPublished: silent },
  });
}

test.each([{ isHeld: true }, { isHeld: false }])(
  'nothing is published of a lease that ran out while somebody was looked for who could have it: it is held: $isHeld',
  async ({ isHeld }) => {
    const lease: Lease = { network: 'main', holder: 'anna', epoch: 1 };
    const ending = new AbortController();
    let held = true;
    let published = 0;
    const store: Store = {
      ...createMemoryStore(monotonicNow),
      async publish() {
        published++;
        ending.abort();
        held = false;
        return 'accepted';
      },
    };
    const end = await cycleOver(store)({
      ...{ lease, signal: ending.signal, nextSeq: () => 0, isHeld: () => held },
      async hasHeir() {
        held = isHeld;
        return false;
      },
    });
    expect([end, published]).toEqual(['over', isHeld ? 1 : 0]);
  },
);

test('the more often a sidecar saw nothing of a network, the longer the others leave it alone, until it sees something', async () => {
  const ttlMs = 20;
  const shunned: number[] = [];
  const ends: WorkEnd[] = [
    'hand_over',
    'hand_over',
    'hand_over',
    'hand_over',
    'hand_over',
    'over',
    'hand_over',
  ];
  const seat = {
    ...{ hold: silent, leave: silent, heir: () => null, findHeir: async () => 'bert' },
    shun: (forMs: number) => void shunned.push(forMs / ttlMs),
  };
  const keeper = keepLease({
    ...{ ...COMMON, ttlMs, holder: 'anna', store: createMemoryStore(monotonicNow), random: createRandom(1) },
    ...{ join: () => seat, onChange: silent, onFenced: silent },
    async work({ hasHeir, signal }) {
      await hasHeir();
      const end = ends.shift();
      if (end === undefined) await once(signal, 'abort');
      return end ?? 'over';
    },
  });
  onTestFinished(() => keeper.stop());
  await waitFor(() => ends.length === 0 && shunned.length === 6, { what: 'every tenure' });
  expect(shunned).toEqual([12, 24, 48, 96, 96, 12]);
});

test.each([{ failing: 'begin' }, { failing: 'end' }])(
  'a lease is given back and competed for again when who is told of it fails: at its $failing',
  async ({ failing }) => {
    const logged: unknown[] = [];
    const seats: boolean[] = [];
    const epochs: number[] = [];
    const released: number[] = [];
    const memory = createMemoryStore(monotonicNow);
    const store: Store = {
      ...memory,
      release(lease, heir) {
        released.push(lease.epoch);
        return memory.release(lease, heir);
      },
    };
    const seat = { leave: silent, shun: silent, heir: () => null, findHeir: async () => null };
    let fails = true;
    const keeper = keepLease({
      ...{ ...COMMON, ttlMs: 6000, holder: 'anna', store },
      ...{ random: createRandom(1), onFenced: silent },
      log: { ...LOG, error: (fields) => void logged.push(fields.problem) },
      join: () => ({ ...seat, hold: (held) => void seats.push(held) }),
      onChange(held) {
        if (held) epochs.push(held.lease.epoch);
        if (!fails || (held === null) !== (failing === 'end')) return;
        fails = false;
        throw new Error('the listener failed');
      },
      async work({ signal }) {
        if (!fails) await once(signal, 'abort');
        return 'over';
      },
    });
    onTestFinished(() => keeper.stop());
    await waitFor(() => epochs.length > 1, { what: 'the next tenure' });
    expect(logged).toEqual(['the listener failed']);
    expect(seats.slice(-2)).toEqual([false, true]);
    expect(released).toEqual(epochs.slice(0, 1));
    expect(epochs[1]).toBeGreaterThan(epochs[0] ?? 0);
  },
);
