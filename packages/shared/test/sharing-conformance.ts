// Decides: what every store does with what gateways share: heartbeats, reports, trials.
// Must not know: which store it is.
import { expect, test } from 'vitest';
import { waitFor } from '../../../test/kit/wait.ts';
import { decodeReport, type Report, type Store, type StoreEvent, type Turn } from '../src/index.ts';
import { type Beats, REPORTS_MAX } from '../src/store/store.ts';

export interface SharingHarness {
  /** Two processes of one cluster that nobody else uses. */
  openTwo(): { readonly anna: Store; readonly bert: Store };
  /** What a store hears from now on. */
  listen(store: Store): Promise<(StoreEvent | null)[]>;
  advance(ms: number): void;
}

/** Outlives every test. */
const LONG_MS = 60_000;

/** Ends within a test, and is long enough for a slow machine to act before that. */
const SHORT_MS = 300;

export function reportOf(by: string, fails = 1): Report {
  return {
    by,
    upstreams: [{ id: 'a', admitted: false, fails, streak: fails, ageMs: 0, ejected: false }],
  };
}

interface TrialInput {
  readonly network?: string;
  readonly upstream?: string;
  readonly turn?: Turn;
}

function take(store: Store, holder: string, ttlMs: number, input: TrialInput = {}): Promise<number> {
  const { network = 'main', upstream = 'a', turn = 'usual' } = input;
  return store.takeTrial(network, { upstream, turn, holder }, ttlMs);
}

interface BeatInput {
  readonly network?: string;
  readonly usage?: string;
  readonly lifeMs?: number;
}

function beat(store: Store, instance: string, content: string | null, input: BeatInput = {}): Promise<Beats> {
  const { network = 'main', usage = null, lifeMs = LONG_MS } = input;
  return store.beat(network, instance, { content, usage }, lifeMs);
}

export function sharingConformance({ openTwo, listen, advance }: SharingHarness): void {
  test('gateways read what the others tell with their beats, and not themselves', async () => {
    const { anna, bert } = openTwo();
    expect(await beat(anna, 'anna', 'of anna')).toEqual({ known: true, others: {} });
    expect(await beat(bert, 'bert', 'of bert')).toEqual({
      known: true,
      others: { anna: 'of anna' },
    });
    expect((await beat(anna, 'anna', null)).others).toEqual({ bert: 'of bert' });
  });

  test('a beat without content keeps what was told before, one with content replaces it', async () => {
    const { anna, bert } = openTwo();
    await beat(anna, 'anna', 'first');
    expect(await beat(anna, 'anna', null)).toMatchObject({ known: true });
    expect((await beat(bert, 'bert', null)).others).toEqual({ anna: 'first' });
    await beat(anna, 'anna', 'second');
    expect((await beat(bert, 'bert', null)).others).toEqual({ anna: 'second' });
  });

  test('a first beat without content is told that it must bring it, and shows nothing to others', async () => {
    const { anna, bert } = openTwo();
    expect(await beat(anna, 'anna', null)).toEqual({ known: false, others: {} });
    expect((await beat(bert, 'bert', null)).others).toEqual({});
  });

  test('a gateway that beats no more is gone at the end of its life, while the others stay', async () => {
    const { anna, bert } = openTwo();
    await beat(anna, 'anna', 'of anna', { lifeMs: SHORT_MS });
    await beat(bert, 'bert', 'of bert');
    expect((await beat(bert, 'bert', null)).others).toEqual({ anna: 'of anna' });
    advance(SHORT_MS);
    await waitFor(async () => Object.keys((await beat(bert, 'bert', null)).others).length === 0, {
      what: 'the life of anna to end',
    });
    expect(await beat(anna, 'anna', null)).toEqual({
      known: false,
      others: { bert: 'of bert' },
    });
  });

  test('usage is read of every gateway that lives, as it was told last', async () => {
    const { anna, bert } = openTwo();
    expect(await anna.readUsages('main')).toEqual([]);
    await beat(anna, 'anna', 'of anna', { usage: 'first' });
    await beat(anna, 'anna', null, { usage: 'second' });
    await beat(anna, 'anna', null);
    await beat(bert, 'bert', 'of bert', { usage: 'another' });
    await beat(bert, 'carl', 'without usage');
    expect((await bert.readUsages('main')).toSorted()).toEqual(['another', 'second']);
    expect(await bert.readUsages('other')).toEqual([]);
  });

  test('usage of a gateway that beats no more is gone at the end of its life, also when it comes back without any', async () => {
    const { anna, bert } = openTwo();
    await beat(anna, 'anna', 'of anna', { usage: 'used', lifeMs: SHORT_MS });
    await beat(bert, 'bert', 'of bert', { usage: 'another' });
    advance(SHORT_MS);
    await waitFor(async () => (await bert.readUsages('main')).join() === 'another', {
      what: 'the life of anna to end',
    });
    await beat(anna, 'anna', 'of anna');
    expect(await bert.readUsages('main')).toEqual(['another']);
  });

  test('sidecars hear of each other until the end of their lives, and gateways do not hear of them', async () => {
    const { anna, bert } = openTwo();
    expect(await anna.attend('anna', 'first', SHORT_MS)).toEqual({});
    expect(await bert.attend('bert', 'of bert', LONG_MS)).toEqual({ anna: 'first' });
    expect(await anna.attend('anna', 'second', SHORT_MS)).toEqual({ bert: 'of bert' });
    expect(await bert.attend('bert', 'of bert', LONG_MS)).toEqual({ anna: 'second' });
    expect((await beat(bert, 'bert', 'a gateway')).others).toEqual({});
    advance(SHORT_MS);
    const alone = async () => Object.keys(await bert.attend('bert', 'of bert', LONG_MS)).length === 0;
    await waitFor(alone, { what: 'the end of a life' });
  });

  test('reports are read in their order, each once, with their age', async () => {
    const { anna, bert } = openTwo();
    expect(await bert.readReports('main', null)).toEqual([]);
    await anna.report('main', reportOf('anna', 1), LONG_MS);
    await bert.report('main', reportOf('bert', 2), LONG_MS);
    const all = await bert.readReports('main', null);
    expect(all.map(({ text }) => decodeReport(text))).toEqual([reportOf('anna', 1), reportOf('bert', 2)]);
    for (const { ageMs } of all) expect(ageMs).toBeLessThan(LONG_MS);
    const last = all.at(-1)?.id ?? null;
    expect(await bert.readReports('main', last)).toEqual([]);
    await anna.report('main', reportOf('anna', 3), LONG_MS);
    const later = await bert.readReports('main', last);
    expect(later.map(({ text }) => decodeReport(text))).toEqual([reportOf('anna', 3)]);
  });

  test('a report is announced to other processes and to its own', async () => {
    const { anna, bert } = openTwo();
    const heard = [await listen(anna), await listen(bert)];
    await anna.report('main', reportOf('anna'), LONG_MS);
    await waitFor(() => heard.every((events) => events.length > 0), { what: 'the events' });
    expect(heard).toEqual([[{ type: 'reported', network: 'main' }], [{ type: 'reported', network: 'main' }]]);
  });

  test('reports are gone when none came for their time', async () => {
    const { anna, bert } = openTwo();
    await anna.report('main', reportOf('anna'), SHORT_MS);
    expect(await bert.readReports('main', null)).toHaveLength(1);
    advance(SHORT_MS);
    await waitFor(async () => (await bert.readReports('main', null)).length === 0, { what: 'their end' });
  });

  test('of too many reports the oldest are forgotten', async () => {
    const { anna, bert } = openTwo();
    const first = Array.from({ length: 50 }, () => anna.report('main', reportOf('old'), LONG_MS));
    await Promise.all(first);
    const next = Array.from({ length: REPORTS_MAX }, () => anna.report('main', reportOf('new'), LONG_MS));
    await Promise.all(next);
    const kept = (await bert.readReports('main', null)).map(({ text }) => decodeReport(text));
    expect(kept).toHaveLength(REPORTS_MAX);
    expect(new Set(kept.map((report) => report?.by))).toEqual(new Set(['new']));
  });

  test('of many who want a trial at once one gets it, and the others hear for how long', async () => {
    const { anna, bert } = openTwo();
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, at) => take(at % 2 === 0 ? anna : bert, `holder-${at}`, LONG_MS)),
    );
    expect(answers.filter((leftMs) => leftMs === 0)).toHaveLength(1);
    for (const leftMs of answers.filter((answer) => answer > 0)) {
      expect(leftMs).toBeGreaterThan(LONG_MS / 2);
      expect(leftMs).toBeLessThanOrEqual(LONG_MS);
    }
  });

  test('the holder of a trial may make it last longer, another one gets it when it is over', async () => {
    const { anna, bert } = openTwo();
    expect(await take(anna, 'anna', LONG_MS)).toBe(0);
    expect(await take(anna, 'anna', SHORT_MS)).toBe(0);
    expect(await take(bert, 'bert', LONG_MS)).toBeGreaterThan(0);
    advance(SHORT_MS);
    await waitFor(async () => (await take(bert, 'bert', LONG_MS)) === 0, {
      what: 'the trial to be free',
    });
  });

  test('networks have beats and reports of their own, networks, upstreams and turns have trials of their own', async () => {
    const { anna, bert } = openTwo();
    await beat(anna, 'anna', 'of anna');
    await anna.report('main', reportOf('anna'), LONG_MS);
    await take(anna, 'anna', LONG_MS);
    expect((await beat(bert, 'bert', 'of bert', { network: 'other' })).others).toEqual({});
    expect(await bert.readReports('other', null)).toEqual([]);
    expect(await take(bert, 'bert', LONG_MS, { network: 'other' })).toBe(0);
    expect(await take(bert, 'bert', LONG_MS, { turn: 'urgent' })).toBe(0);
    expect(await take(bert, 'bert', LONG_MS, { upstream: 'b' })).toBe(0);
  });
}
