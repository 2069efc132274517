// Decides: what every store does, whatever it is made of.
// Must not know: which store it is.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { waitFor } from '../../../test/kit/wait.ts';
import {
  type Drain,
  decodeDrain,
  decodeRanking,
  type Lease,
  type Ranking,
  type Store,
  type StoreEvent,
} from '../src/index.ts';
import { sharingConformance } from './sharing-conformance.ts';
import { writesConformance } from './writes-conformance.ts';

export interface Harness {
  /** One more view of the same data, as another process has it. */
  open(clusterId: string): Store;
  /** Lets time pass where the store's clock is the test's; a real clock moves by itself. */
  advance(ms: number): void;
  /** True for a store that says `null` when it begins to hear others. */
  readonly announces: boolean;
  stop(): Promise<void>;
}

/** Outlives every test. */
const LONG_MS = 60_000;

/** Ends within a test, and is long enough for a slow machine to act before that. */
const SHORT_MS = 300;

export function rankingOf(network: string, seq: number, publisher = 'anna'): Ranking {
  return {
    version: 1,
    network,
    epoch: 0,
    seq,
    publisher,
    generatedAt: 1_704_067_200_000,
    configHash: 'abc',
    identity: '1',
    head: null,
    finalized: null,
    blockIntervalMs: null,
    upstreams: [],
  };
}

function drainOf(upstream: string, revision: number, drained = true): Drain {
  return { version: 1, upstream, revision, drained, since: revision, by: 'anna', reason: null };
}

let clusterCount = 0;

export function storeConformance(name: string, start: () => Promise<Harness>): void {
  describe(name, () => {
    let harness: Harness;
    let opened: Store[] = [];
    const announced = new WeakSet<Store>();
    let clusterId = '';

    beforeAll(async () => {
      harness = await start();
    });
    afterEach(async () => {
      await Promise.all(opened.map((store) => store.close()));
      opened = [];
    });
    afterAll(() => harness.stop());

    /** Two processes of one cluster that nobody else uses. */
    function openTwo(): { anna: Store; bert: Store } {
      clusterCount += 1;
      clusterId = `conformance-${process.pid}-${clusterCount}`;
      return { anna: open(clusterId), bert: open(clusterId) };
    }

    function open(id: string): Store {
      const store = harness.open(id);
      opened.push(store);
      store.subscribe((event) => {
        if (event === null) announced.add(store);
      });
      return store;
    }

    async function take(store: Store, holder: string, ttlMs = LONG_MS, network = 'main'): Promise<Lease> {
      const lease = await store.acquire(network, holder, ttlMs);
      if (lease === null) throw new Error('the lease is not free');
      return lease;
    }

    async function takeExpired(store: Store, holder: string): Promise<Lease> {
      harness.advance(SHORT_MS);
      return waitFor(() => store.acquire('main', holder, LONG_MS), { what: 'the lease to end' });
    }

    /** What this store hears from now on. */
    async function listen(store: Store): Promise<(StoreEvent | null)[]> {
      const events: (StoreEvent | null)[] = [];
      store.subscribe((event) => events.push(event));
      if (harness.announces) await waitFor(() => announced.has(store), { what: 'the subscription' });
      events.length = 0;
      return events;
    }

    async function storedSeq(store: Store): Promise<unknown> {
      const text = await store.readRanking('main');
      const ranking = text === null ? null : decodeRanking(text);
      return ranking !== null && 'seq' in ranking ? ranking.seq : ranking;
    }

    test('a lease that is held is given to nobody else, whoever has a similar name', async () => {
      const { anna, bert } = openTwo();
      await take(anna, 'anna');
      for (const holder of ['bert', 'ann', 'annabel', ''])
        expect(await bert.acquire('main', holder, LONG_MS)).toBeNull();
    });

    test('a lease whose holder did not hear of it is given to it again, and the one before is worth nothing', async () => {
      const { anna, bert } = openTwo();
      const unheard = await take(anna, 'anna');
      const lease = await take(anna, 'anna');
      expect(lease.epoch).toBeGreaterThan(unheard.epoch);
      expect(await anna.renew(unheard, LONG_MS)).toBe(false);
      expect(await anna.renew(lease, LONG_MS)).toBe(true);
      expect(await bert.acquire('main', 'bert', LONG_MS)).toBeNull();
    });

    test('of many who want a lease at once one gets it', async () => {
      const { anna, bert } = openTwo();
      const wishes = Array.from({ length: 20 }, (_, index) =>
        (index % 2 === 0 ? anna : bert).acquire('main', `holder-${index}`, LONG_MS),
      );
      expect((await Promise.all(wishes)).filter((lease) => lease !== null)).toHaveLength(1);
    });

    test('a lease says its network, its holder and an epoch that is a time in ms', async () => {
      const { anna } = openTwo();
      const lease = await take(anna, 'anna');
      expect(lease).toEqual({ network: 'main', holder: 'anna', epoch: expect.any(Number) });
      expect(Number.isSafeInteger(lease.epoch)).toBe(true);
      expect(lease.epoch).toBeGreaterThan(1_600_000_000_000);
    });

    test('each lease has a higher epoch than the one before, also within a millisecond', async () => {
      const { anna, bert } = openTwo();
      const epochs: number[] = [];
      for (const store of [anna, bert, anna, bert]) {
        const lease = await take(store, 'somebody');
        epochs.push(lease.epoch);
        await store.release(lease);
      }
      expect(epochs).toEqual([...new Set(epochs)].sort((a, b) => a - b));
    });

    test('a lease that ended is given to the next with a higher epoch', async () => {
      const { anna, bert } = openTwo();
      const old = await take(anna, 'anna', SHORT_MS);
      const next = await takeExpired(bert, 'bert');
      expect(next.epoch).toBeGreaterThan(old.epoch);
    });

    test('a renewed lease outlives one of the same length that was taken later', async () => {
      const { anna, bert } = openTwo();
      const renewed = await take(anna, 'anna', SHORT_MS, 'renewed');
      expect(await anna.renew(renewed, LONG_MS)).toBe(true);
      await take(anna, 'anna', SHORT_MS, 'main');
      await takeExpired(bert, 'bert');
      expect(await bert.acquire('renewed', 'bert', LONG_MS)).toBeNull();
    });

    test('a lease can be renewed to end sooner', async () => {
      const { anna, bert } = openTwo();
      expect(await anna.renew(await take(anna, 'anna'), SHORT_MS)).toBe(true);
      await takeExpired(bert, 'bert');
    });

    test('a lease that ended cannot be renewed, and the attempt does not revive it', async () => {
      const { anna, bert } = openTwo();
      const old = await take(anna, 'anna', SHORT_MS);
      const next = await takeExpired(bert, 'bert');
      await bert.release(next);
      expect(await anna.renew(old, LONG_MS)).toBe(false);
      expect(await bert.acquire('main', 'bert', LONG_MS)).not.toBeNull();
    });

    test('a lease cannot be renewed under an old epoch or by another holder', async () => {
      const { anna } = openTwo();
      const lease = await take(anna, 'anna');
      expect(await anna.renew({ ...lease, epoch: lease.epoch - 1 }, LONG_MS)).toBe(false);
      expect(await anna.renew({ ...lease, holder: 'bert' }, LONG_MS)).toBe(false);
      expect(await anna.renew(lease, LONG_MS)).toBe(true);
    });

    test('a released lease is free at once and those who listen are told', async () => {
      const { anna, bert } = openTwo();
      const events = await listen(bert);
      await anna.release(await take(anna, 'anna'));
      expect(await bert.acquire('main', 'bert', LONG_MS)).not.toBeNull();
      await waitFor(() => events.length > 0, { what: 'the event' });
      expect(events).toEqual([{ type: 'released', network: 'main' }]);
    });

    test('a lease that is released for an heir names the heir to those who listen', async () => {
      const { anna, bert } = openTwo();
      const events = await listen(bert);
      await anna.release(await take(anna, 'anna'), 'bert');
      await waitFor(() => events.length > 0, { what: 'the event' });
      expect(events).toEqual([{ type: 'released', network: 'main', heir: 'bert' }]);
    });

    test('the release of a lost lease leaves the lease of the successor and says nothing', async () => {
      const { anna, bert } = openTwo();
      const old = await take(anna, 'anna', SHORT_MS);
      const next = await takeExpired(bert, 'bert');
      const events = await listen(bert);
      await anna.release(old);
      expect(await bert.renew(next, LONG_MS)).toBe(true);
      await bert.release(next); // Comes after anything that the first release could have sent.
      await waitFor(() => events.length > 0, { what: 'the event' });
      expect(events).toHaveLength(1);
    });

    test('a published ranking is read by others, with the epoch of its lease', async () => {
      const { anna, bert } = openTwo();
      const lease = await take(anna, 'anna');
      const ranking = rankingOf('main', 7);
      expect(await anna.publish(lease, ranking, LONG_MS)).toBe('accepted');
      expect(decodeRanking((await bert.readRanking('main')) ?? '')).toEqual({
        ...ranking,
        epoch: lease.epoch,
      });
    });

    test('a publication is announced with its token to other processes and to its own', async () => {
      const { anna, bert } = openTwo();
      const heard = [await listen(anna), await listen(bert)];
      const lease = await take(anna, 'anna');
      await anna.publish(lease, rankingOf('main', 1), LONG_MS);
      await waitFor(() => heard.every((events) => events.length > 0), { what: 'the events' });
      const event = { type: 'ranking', network: 'main', epoch: lease.epoch, seq: 1 };
      expect(heard).toEqual([[event], [event]]);
    });

    test('a publication that is not newer is fenced and changes nothing', async () => {
      const { anna } = openTwo();
      const lease = await take(anna, 'anna');
      await anna.publish(lease, rankingOf('main', 10), LONG_MS);
      expect(await anna.publish(lease, rankingOf('main', 10, 'again'), LONG_MS)).toBe('fenced');
      expect(await anna.publish(lease, rankingOf('main', 9), LONG_MS)).toBe('fenced');
      expect(await storedSeq(anna)).toBe(10);
      expect(await anna.publish(lease, rankingOf('main', 11), LONG_MS)).toBe('accepted');
    });

    test('a publisher that slept through the end of its lease is fenced, taken over or not', async () => {
      const { anna, bert } = openTwo();
      const old = await take(anna, 'anna', SHORT_MS);
      await anna.publish(old, rankingOf('main', 1), LONG_MS);
      const next = await takeExpired(bert, 'bert');
      expect(await anna.publish(old, rankingOf('main', 2), LONG_MS)).toBe('fenced');
      await bert.release(next);
      expect(await anna.publish(old, rankingOf('main', 3), LONG_MS)).toBe('fenced');
      expect(await storedSeq(bert)).toBe(1);
    });

    test('a new epoch begins its sequence anew and its ranking is accepted', async () => {
      const { anna, bert } = openTwo();
      const old = await take(anna, 'anna');
      await anna.publish(old, rankingOf('main', 1000), LONG_MS);
      await anna.release(old);
      const next = await take(bert, 'bert');
      expect(await bert.publish(next, rankingOf('main', 1), LONG_MS)).toBe('accepted');
      expect(await storedSeq(anna)).toBe(1);
    });

    test('a ranking that is too old is gone', async () => {
      const { anna, bert } = openTwo();
      const lease = await take(anna, 'anna');
      expect(await bert.readRanking('main')).toBeNull();
      await anna.publish(lease, rankingOf('main', 1), SHORT_MS);
      expect(await storedSeq(bert)).toBe(1);
      harness.advance(SHORT_MS);
      await waitFor(async () => (await bert.readRanking('main')) === null, { what: 'the ranking to expire' });
    });

    test('networks of one cluster have leases and rankings of their own', async () => {
      const { anna, bert } = openTwo();
      await anna.publish(await take(anna, 'anna'), rankingOf('main', 1), LONG_MS);
      expect(await bert.readRanking('other')).toBeNull();
      expect(await bert.acquire('other', 'bert', LONG_MS)).not.toBeNull();
    });

    writesConformance({ openTwo, listen, advance: (ms) => harness.advance(ms) });
    async function storedDrains(store: Store, network = 'main'): Promise<unknown[]> {
      const drains = (await store.readDrains(network)).map(decodeDrain);
      return drains.toSorted((a, b) => ((a?.upstream ?? '') < (b?.upstream ?? '') ? -1 : 1));
    }

    test('the words about drains are read by others, upstream by upstream and network by network', async () => {
      const { anna, bert } = openTwo();
      expect(await storedDrains(bert)).toEqual([]);
      const [a, b] = [drainOf('a', 5), drainOf('b', 6, false)];
      expect(await anna.writeDrain('main', a)).toBe(true);
      expect(await bert.writeDrain('main', b)).toBe(true);
      expect(await storedDrains(bert)).toEqual([a, b]);
      expect(await storedDrains(anna, 'other')).toEqual([]);
    });

    test('of two words about a drain the later one is kept, in whatever order they come', async () => {
      const { anna, bert } = openTwo();
      // Their revisions are times in ms: as text or as a rounded number they would compare otherwise.
      const early = drainOf('a', 999_999_999_999);
      const late = drainOf('a', 1_795_266_000_001, false);
      expect(await anna.writeDrain('main', late)).toBe(true);
      expect(await bert.writeDrain('main', early)).toBe(false);
      expect(await bert.writeDrain('main', drainOf('a', late.revision))).toBe(false);
      expect(await storedDrains(anna)).toEqual([late]);
      const later = drainOf('a', late.revision + 1);
      expect(await bert.writeDrain('main', later)).toBe(true);
      expect(await storedDrains(anna)).toEqual([later]);
    });

    test('a word about a drain is told to all when it is new, and to nobody when it is known', async () => {
      const { anna, bert } = openTwo();
      const heard = [await listen(anna), await listen(bert)];
      const drain = drainOf('a', 7);
      await anna.writeDrain('main', drain);
      expect(await bert.writeDrain('main', drain)).toBe(true);
      await bert.writeDrain('main', drainOf('a', 6));
      await anna.release(await take(anna, 'anna')); // Comes after anything that the others could have sent.
      await waitFor(() => heard.every((events) => events.some((one) => one?.type === 'released')), {
        what: 'the events',
      });
      const events = [
        { type: 'drain', network: 'main' },
        { type: 'released', network: 'main' },
      ];
      expect(heard).toEqual([events, events]);
    });
    sharingConformance({ openTwo, listen, advance: (ms) => harness.advance(ms) });

    test('somebody who no longer listens hears nothing more', async () => {
      const { anna, bert } = openTwo();
      const events = await listen(bert);
      const gone: unknown[] = [];
      const leave = bert.subscribe((event) => gone.push(event));
      leave();
      await anna.release(await take(anna, 'anna'));
      await waitFor(() => events.length > 0, { what: 'the event' });
      expect(gone).toEqual([]);
    });

    test('a store in use is connected and has no problem', async () => {
      const { anna } = openTwo();
      await anna.readRanking('main');
      expect(anna.health()).toMatchObject({ connected: true, problem: null, evictionRisk: null });
    });
  });
}
