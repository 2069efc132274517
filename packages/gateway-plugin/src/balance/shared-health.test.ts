import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Cluster, clusterOf, type Replica } from '../../test/replicas.ts';
import { beginAttempt } from './ejection.ts';
import { lastingReasons, nextEndOf } from './network-state.ts';
import { applyReport, grantTrial, noteEnd, trialsDue, turnOf, useTickets } from './shared-health.ts';

const A = 0;
const B = 1;
const C = 2;

/** A failure at A that is seen to be A's, since B answers. */
function failsAtA(replica: Replica): void {
  replica.attempt(A, 'failure');
  replica.attempt(B, 'success');
}

const whoExcludesA = ({ replicas }: Cluster): string[] =>
  replicas.filter((replica) => replica.isOut(A)).map(({ name }) => name);

const mayTry = (replica: Replica, now: number): number[] =>
  trialsDue(replica.state, turnOf(replica.state), now).map(({ index }) => index);

describe('an exclusion that replicas make together', () => {
  test('is everybody’s once all failures make maxFails, one of each', () => {
    const cluster = clusterOf(4);
    for (const at of [0, 1]) failsAtA(cluster.replica(at));
    cluster.exchange();
    expect(whoExcludesA(cluster)).toEqual([]);
    failsAtA(cluster.replica(2));
    cluster.exchange();
    expect(whoExcludesA(cluster)).toEqual(['anna', 'bert', 'carl', 'dora']);
    expect(cluster.replica(3).reason(A)).toBe('ejected');
  });

  test('comes with an own failure that makes the sum, before anybody is told of it', () => {
    const cluster = clusterOf(3);
    for (const at of [0, 1]) failsAtA(cluster.replica(at));
    cluster.exchange();
    cluster.replica(2).attempt(A, 'failure');
    expect(whoExcludesA(cluster)).toEqual(['carl']);
  });

  test('is not taken over by a replica that has had an answer since the first of the failures', () => {
    const cluster = clusterOf(3);
    for (const at of [0, 0]) failsAtA(cluster.replica(at));
    cluster.replica(2).attempt(A, 'success');
    failsAtA(cluster.replica(0));
    cluster.exchange();
    expect(whoExcludesA(cluster)).toEqual(['anna', 'bert']);
  });

  test('does not begin with failures that a success of their own replica has undone', () => {
    const cluster = clusterOf(3);
    for (const end of ['failure', 'failure', 'success', 'failure', 'failure'] as const) {
      cluster.replica(0).attempt(A, end);
      cluster.replica(0).attempt(B, 'success');
      cluster.exchange();
    }
    expect(whoExcludesA(cluster)).toEqual(['anna']); // nginx's own rule does not forget them.
    cluster.replica(1).attempt(A, 'failure');
    expect(cluster.replica(2).isOut(A)).toBe(false);
  });

  test('does not begin with failures further apart than failTimeout', () => {
    const cluster = clusterOf(3);
    for (const at of [0, 1]) failsAtA(cluster.replica(at));
    cluster.exchange();
    cluster.clock.advance(3001);
    failsAtA(cluster.replica(0));
    cluster.exchange();
    expect(whoExcludesA(cluster)).toEqual([]);
  });

  test('does not begin where an own failure is longer ago than failTimeout', () => {
    const cluster = clusterOf(2);
    cluster.replica(1).attempt(A, 'failure');
    cluster.clock.advance(3001);
    for (const at of [0, 0]) failsAtA(cluster.replica(at));
    cluster.exchange();
    expect(whoExcludesA(cluster)).toEqual([]);
    failsAtA(cluster.replica(0));
    cluster.exchange();
    expect(whoExcludesA(cluster)).toEqual(['anna', 'bert']);
  });

  test('is no affair of an upstream that is never excluded, stands alone or is not known', () => {
    for (const upstreams of [[{ maxFails: 0 }, {}], [{}]]) {
      const cluster = clusterOf(2, upstreams);
      for (let failure = 0; failure < 5; failure++) cluster.replica(0).attempt(A, 'failure');
      if (upstreams.length > 1) cluster.replica(0).attempt(B, 'success');
      expect(cluster.replica(0).report()).toBeNull();
    }
    const reported = { admitted: false, fails: 9, streak: 9, ageMs: 0, ejected: true };
    const { state } = clusterOf(1).replica(0);
    const report = { by: 'x', upstreams: [{ id: 'zz', ...reported }] };
    expect(applyReport(state, report, { writtenAt: 1e13, past: false })).toEqual([]);
  });
});

describe('what a replica tells', () => {
  test('are failures only once something else in the network has answered since', () => {
    const { replicas, replica } = clusterOf(1);
    expect(replicas).toHaveLength(1);
    replica(0).attempt(B, 'success');
    for (const at of [A, A, A, C]) replica(0).attempt(at, 'failure');
    replica(0).attempt(B, 'nothing');
    expect(replica(0).report()).toBeNull();
    replica(0).attempt(B, 'success');
    expect(replica(0).report()?.upstreams).toMatchObject([
      { id: 'a', fails: 3, streak: 3, ejected: true, ageMs: 5, admitted: false },
      { id: 'c', fails: 1, streak: 1, ejected: false, ageMs: 2, admitted: false },
    ]);
    expect(replica(0).report()).toBeNull();
  });

  test('is no failure that its own next success at the same upstream undoes', () => {
    const { replica } = clusterOf(1);
    replica(0).attempt(A, 'failure');
    replica(0).attempt(A, 'success');
    replica(0).attempt(B, 'success');
    expect(replica(0).report()).toBeNull();
  });

  test('is nothing while all its attempts fail: then the others exclude nothing', () => {
    const cluster = clusterOf(3);
    for (let round = 0; round < 5; round++) {
      for (const at of [A, B, C]) cluster.replica(0).attempt(at, 'failure');
      cluster.exchange();
    }
    expect(cluster.replicas.map(({ isOut }) => [A, B, C].filter(isOut))).toEqual([[A, B, C], [], []]);
  });
});

describe('an exclusion that one replica alone has caused', () => {
  function excludedByAnna(): Cluster {
    const cluster = clusterOf(3);
    for (let failure = 0; failure < 3; failure++) failsAtA(cluster.replica(0));
    for (const replica of cluster.replicas) replica.state.askedAt = cluster.clock.now();
    cluster.exchange();
    expect(whoExcludesA(cluster)).toEqual(['anna', 'bert', 'carl']);
    return cluster;
  }

  test('is tried at once by the others and not by its author', () => {
    const { replicas, clock } = excludedByAnna();
    expect(replicas.map((replica) => mayTry(replica, clock.now()))).toEqual([[], [A], [A]]);
  });

  test('is tried once while that attempt runs, however long it hangs', () => {
    const { replica, clock } = excludedByAnna();
    const member = replica(1).member(A);
    grantTrial(member, clock.now() + 500);
    clock.advance(1);
    beginAttempt(member, clock.now(), 3000);
    expect(mayTry(replica(1), clock.now() + 2000)).toEqual([]);
  });

  test('ends with a success for all but its author, who tries when its time is over', () => {
    const cluster = excludedByAnna();
    grantTrial(cluster.replica(1).member(A), cluster.clock.now() + 500);
    expect(cluster.replica(1).reason(A)).toBeNull();
    cluster.replica(1).attempt(A, 'success');
    cluster.exchange();
    expect(whoExcludesA(cluster)).toEqual(['anna']);
    cluster.clock.advance(3001);
    expect(mayTry(cluster.replica(0), cluster.clock.now())).toEqual([A]);
  });

  test('is, when the trial fails, everybody’s until its time is over, and ends with one success for all', () => {
    const cluster = excludedByAnna();
    grantTrial(cluster.replica(1).member(A), cluster.clock.now() + 500);
    failsAtA(cluster.replica(1));
    cluster.exchange();
    expect(cluster.replicas.flatMap((replica) => mayTry(replica, cluster.clock.now()))).toEqual([]);
    cluster.clock.advance(3001);
    grantTrial(cluster.replica(2).member(A), cluster.clock.now() + 500);
    cluster.replica(2).attempt(A, 'success');
    cluster.exchange();
    expect(whoExcludesA(cluster)).toEqual([]);
  });

  test('ends for its author as well when it has nobody else left', () => {
    const cluster = excludedByAnna();
    for (const at of [B, B, B, C, C, C]) cluster.replica(0).attempt(at, 'failure');
    grantTrial(cluster.replica(1).member(A), cluster.clock.now() + 500);
    cluster.replica(1).attempt(A, 'success');
    cluster.exchange();
    expect(whoExcludesA(cluster)).toEqual([]);
  });
});

describe('a trial of the whole cluster', () => {
  function excluded(): Cluster {
    const cluster = clusterOf(3);
    for (const replica of cluster.replicas) failsAtA(replica);
    cluster.exchange();
    return cluster;
  }

  test('is asked for when the time is over, by replicas that are asked for something', () => {
    const { replica, clock } = excluded();
    expect(mayTry(replica(0), clock.now() + 2900)).toEqual([]);
    expect(mayTry(replica(0), clock.now() + 3001)).toEqual([A]);
    expect(mayTry(replica(0), clock.now() + 20_000)).toEqual([]);
  });

  test('is one attempt: until it ends nobody gets another, and given back it may begin anew', () => {
    const { replica, clock } = excluded();
    clock.advance(3001);
    expect(replica(0).reason(A)).toBe('ejected');
    grantTrial(replica(0).member(A), clock.now() + 500);
    expect(replica(0).reason(A)).toBeNull();
    replica(0).attempt(A, 'nothing');
    expect(replica(0).reason(A)).toBeNull();
    replica(0).attempt(A, 'failure');
    expect(replica(0).reason(A)).toBe('ejected');
  });

  test('that was not begun in time is over, and the state says when to look again', () => {
    const { replica, clock } = excluded();
    clock.advance(3001);
    grantTrial(replica(0).member(A), clock.now() + 500);
    expect(nextEndOf(replica(0).state, clock.now())).toBe(clock.now() + 500);
    clock.advance(500);
    expect(lastingReasons(replica(0).state, clock.now())[A]).toBe('ejected');
  });

  test('comes each second where everybody is excluded', () => {
    const { replica, clock } = clusterOf(1);
    for (const at of [A, B, C])
      for (let failure = 0; failure < 3; failure++) replica(0).attempt(at, 'failure');
    expect(turnOf(replica(0).state)).toBe('urgent');
    clock.advance(1001);
    expect(mayTry(replica(0), clock.now())).toEqual([A, B, C]);
  });

  test('needs no ticket while there is nobody to get one from', () => {
    const { replica, clock } = excluded();
    clock.advance(3001);
    const before = replica(0).state.changes.count;
    useTickets(replica(0).state, false);
    expect(replica(0).state.changes.count).toBeGreaterThan(before);
    expect(replica(0).reason(A)).toBeNull();
  });
});

describe('a replica that starts', () => {
  test('takes over what is excluded, and not what only failed', () => {
    const { replica } = clusterOf(2);
    for (const end of ['failure', 'failure'] as const) replica(0).attempt(C, end);
    for (let failure = 0; failure < 3; failure++) failsAtA(replica(0));
    const report = replica(0).report();
    if (!report) throw new Error('there is something to tell');
    replica(1).hear(report, { past: true, agoMs: 1000 });
    expect([A, B, C].filter(replica(1).isOut)).toEqual([A]);
  });
});

test('a replica that starts takes over what several have excluded together, though each has told of one failure', () => {
  const cluster = clusterOf(3);
  for (const at of [0, 1]) failsAtA(cluster.replica(at));
  cluster.exchange();
  failsAtA(cluster.replica(2));
  const report = cluster.replica(2).report();
  if (!report) throw new Error('there is something to tell');
  expect(report.upstreams).toMatchObject([{ id: 'a', fails: 1, ejected: true }]);
  const newcomer = clusterOf(1).replica(0);
  newcomer.hear({ ...report, by: 'zoe' }, { past: true, agoMs: 1000 });
  expect(newcomer.isOut(A)).toBe(true);
});

describe('whatever happens in whatever order', () => {
  const step = fc.record({
    replica: fc.nat(3),
    upstream: fc.nat(2),
    end: fc.constantFrom('success', 'failure', 'nothing' as const),
    told: fc.boolean(),
    waitMs: fc.constantFrom(0, 0, 5, 900, 3100),
  });

  test('a dead upstream costs the cluster maxFails attempts when each is told before the next', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(9), { minLength: 20, maxLength: 40 }), (turns) => {
        const cluster = clusterOf(10);
        let failed = 0;
        for (const at of turns) {
          if (cluster.replica(at).isOut(A)) continue;
          failsAtA(cluster.replica(at));
          failed++;
          cluster.exchange();
        }
        expect(failed).toBeLessThanOrEqual(3);
      }),
    );
  });

  test('a replica with an answer after the last failure of others excludes only by failures of its own', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const cluster = clusterOf(4);
        for (const { replica, upstream, end, told, waitMs } of steps) {
          cluster.clock.advance(waitMs);
          // Dora's way to all upstreams is good, and it is used between any two reports.
          for (const at of [A, B, C]) cluster.replica(3).attempt(at, 'success');
          if (replica < 3) cluster.replica(replica).attempt(upstream, end as 'success');
          if (told) cluster.exchange();
        }
        const { view, fails } = cluster.replica(3).member(A);
        expect({ streak: view.streak, own: fails > 3 }).toEqual({ streak: 0, own: false });
        for (const at of [A, B, C]) cluster.replica(3).attempt(at, 'success');
        for (const replica of [0, 1, 2].map(cluster.replica)) {
          const report = replica.report();
          if (report) cluster.replica(3).hear(report);
        }
        expect([A, B, C].filter(cluster.replica(3).isOut)).toEqual([]);
      }),
    );
  });

  test('what is kept of an upstream stays within its bounds, and what is told is what happened', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const cluster = clusterOf(4);
        for (const { replica, upstream, end, told, waitMs } of steps) {
          cluster.clock.advance(waitMs);
          cluster.replica(replica).attempt(upstream, end as 'success');
          for (const { state } of cluster.replicas) {
            for (const { view, fails } of state.members) {
              expect(view.others.size).toBeLessThanOrEqual(3);
              expect(view.confirmed?.count ?? 0).toBeLessThanOrEqual(view.streak);
              expect(view.unconfirmed?.count ?? 0).toBeLessThanOrEqual(view.streak);
              expect(fails).toBeGreaterThanOrEqual(0);
              if (view.unconfirmed) expect(state.unconfirmed).toBe(true);
            }
          }
          if (told) cluster.exchange();
        }
      }),
    );
  });

  test('an attempt that says nothing is nothing to conclude from', () => {
    const { replica, clock } = clusterOf(1);
    replica(0).attempt(A, 'nothing');
    expect(noteEnd(replica(0).state, replica(0).member(A), false, clock.now())).toBe(false);
    expect(replica(0).report()).toBeNull();
  });
});
