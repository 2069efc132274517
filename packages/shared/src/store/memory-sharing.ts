// Decides: what gateways share with each other in the memory store, and sidecars likewise, by the same rules as over Redis.
// Must not know: leases and rankings. The clock is handed in.

import type { StoreEvent } from '../wire/events.ts';
import { encodeReport } from '../wire/report.ts';
import { type Beats, REPORTS_MAX, type Sharing, type StoredReport, type ToldByBeat } from './store.ts';

type BeatsOf = Map<string, ToldByBeat & { readonly until: number }>;

interface Shared {
  readonly beats: BeatsOf;
  readonly trials: Map<string, { readonly holder: string; readonly until: number }>;
  reports: { readonly seq: number; readonly at: number; readonly text: string }[];
  reportsUntil: number;
  seq: number;
}

export function createMemorySharing(now: () => number, emit: (event: StoreEvent) => void): Sharing {
  const networks = new Map<string, Shared>();
  const sidecars: BeatsOf = new Map();

  function sharedOf(network: string): Shared {
    const shared = networks.get(network) ?? {
      beats: new Map(),
      trials: new Map(),
      reports: [],
      reportsUntil: 0,
      seq: 0,
    };
    networks.set(network, shared);
    if (shared.reportsUntil <= now()) shared.reports = [];
    return shared;
  }

  function dropDead(beats: BeatsOf): BeatsOf {
    for (const [name, { until }] of beats) if (until <= now()) beats.delete(name);
    return beats;
  }

  function beatAmong(all: BeatsOf, instance: string, told: ToldByBeat, lifeMs: number): Beats {
    const beats = dropDead(all);
    const before = beats.get(instance);
    const own = told.content ?? before?.content ?? null;
    const usage = told.usage ?? before?.usage ?? null;
    beats.set(instance, { content: own, usage, until: now() + lifeMs });
    const others = [...beats].flatMap(([name, beat]) =>
      name === instance || beat.content === null ? [] : [[name, beat.content] as const],
    );
    return { known: own !== null, others: Object.fromEntries(others) };
  }

  return {
    async beat(network, instance, told, lifeMs) {
      return beatAmong(sharedOf(network).beats, instance, told, lifeMs);
    },
    async attend(instance, content, lifeMs) {
      return beatAmong(sidecars, instance, { content, usage: null }, lifeMs).others;
    },
    async readUsages(network) {
      return [...dropDead(sharedOf(network).beats).values()].flatMap(({ usage }) => usage ?? []);
    },
    async report(network, report, ttlMs) {
      const shared = sharedOf(network);
      shared.seq++;
      const stored = { seq: shared.seq, at: now(), text: encodeReport(report) };
      shared.reports = [...shared.reports, stored].slice(-REPORTS_MAX);
      shared.reportsUntil = now() + ttlMs;
      emit({ type: 'reported', network });
    },
    async readReports(network, after): Promise<readonly StoredReport[]> {
      const known = after === null ? 0 : Number(after);
      return sharedOf(network)
        .reports.filter(({ seq }) => seq > known)
        .map(({ seq, at, text }) => ({ id: String(seq), ageMs: now() - at, text }));
    },
    async takeTrial(network, { upstream, turn, holder }, ttlMs) {
      const { trials } = sharedOf(network);
      const key = `${turn} ${upstream}`;
      const current = trials.get(key);
      if (current && current.until > now() && current.holder !== holder) return current.until - now();
      trials.set(key, { holder, until: now() + ttlMs });
      return 0;
    },
  };
}
