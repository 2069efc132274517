// Decides: how tests of shared passive health run several replicas of one network in one clock, with what they tell each other.
// Must not know: Redis, sockets. Tickets are the test's business.
import type { Report } from '@rpc-balancer/shared';
import { createClock, type FakeClock } from '../../../test/kit/clock.ts';
import {
  beginAttempt,
  endAttempt,
  isFailed,
  recordFailure,
  recordNothing,
  recordSuccess,
  trialWaitMs,
} from '../src/balance/ejection.ts';
import type { Member } from '../src/balance/member.ts';
import { areAllFailed, type NetworkState, reasonsNow } from '../src/balance/network-state.ts';
import { applyReport, noteEnd, takeReported, useTickets } from '../src/balance/shared-health.ts';
import { memberOf, type UpstreamInput, unprobed } from './members.ts';

export type End = 'success' | 'failure' | 'nothing';

export interface Replica {
  readonly name: string;
  readonly state: NetworkState;
  member(at: number): Member;
  isOut(at: number): boolean;
  reason(at: number): unknown;
  /** One attempt at an upstream that ends at once. */
  attempt(at: number, end: End): void;
  /** What it has to tell, as told. */
  report(): Report | null;
  /** Takes in what another told some time ago. */
  hear(report: Report, options?: { readonly agoMs?: number; readonly past?: boolean }): void;
}

export interface Cluster {
  readonly clock: FakeClock;
  readonly replicas: readonly Replica[];
  replica(at: number): Replica;
  /** Everybody hears what everybody has to tell. */
  exchange(): void;
}

export const NAMES = [
  'anna',
  'bert',
  'carl',
  'dora',
  'emil',
  'fred',
  'gina',
  'hans',
  'ines',
  'jonas',
] as const;

/** Replicas of a network of upstreams, each of which is excluded after `maxFails` 3 for 3 s if nothing else is said. */
export function clusterOf(size: number, upstreams: readonly UpstreamInput[] = [{}, {}, {}]): Cluster {
  const clock = createClock();
  const replicas = NAMES.slice(0, size).map((name) => replicaOf(name, clock, upstreams));
  return {
    clock,
    replicas,
    replica(at) {
      const found = replicas[at];
      if (!found) throw new Error(`there is no replica ${at}`);
      return found;
    },
    exchange() {
      for (const report of replicas.map((replica) => replica.report())) {
        for (const replica of replicas) if (report && report.by !== replica.name) replica.hear(report);
      }
    },
  };
}

function replicaOf(name: string, clock: FakeClock, upstreams: readonly UpstreamInput[]): Replica {
  const state = unprobed(upstreams, { maxFails: 3, failTimeout: 3000 });
  useTickets(state, true);
  const member = (at: number) => memberOf(state, at);
  const isOut = (at: number) => isFailed(member(at), state.members.length);
  return {
    name,
    state,
    member,
    isOut,
    reason: (at) => reasonsNow(state, clock.now())[at],
    attempt(at, end) {
      const target = member(at);
      state.askedAt = clock.now();
      const trial = beginAttempt(target, clock.now(), trialWaitMs(target, areAllFailed(state)));
      clock.advance(1);
      const before = isOut(at);
      endAttempt(target);
      if (end === 'success') recordSuccess(target, clock.now());
      else if (end === 'failure') recordFailure(target, clock.now());
      else recordNothing(target, trial);
      noteEnd(state, target, before, clock.now());
    },
    report() {
      const reported = takeReported(state, clock.now());
      return reported.length === 0 ? null : { by: name, upstreams: reported };
    },
    hear(report, { agoMs = 0, past = false } = {}) {
      applyReport(state, report, { writtenAt: clock.now() - agoMs, past });
    },
  };
}
