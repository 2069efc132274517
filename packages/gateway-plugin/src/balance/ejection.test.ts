import { describe, expect, test } from 'vitest';
import { createClock, type FakeClock } from '../../../../test/kit/clock.ts';
import { type Attempt, attempt, memberOf, probed, unprobed, wantedOf } from '../../test/members.ts';
import { ABORTED, ANSWERED, judgeTransport, type Verdict } from '../upstream/outcome.ts';
import { isForgiven, record } from '../upstream/record.ts';
import { markSilent } from './ejection.ts';
import type { Member } from './member.ts';
import { areAllFailed, type NetworkState, reasonsNow } from './network-state.ts';
import { refusal } from './pick.ts';

const FAILED = verdictOf({ phase: 'waiting', reusedSocket: false });
const STALE = verdictOf({ phase: 'waiting', reusedSocket: true });

function verdictOf({
  phase,
  reusedSocket,
}: {
  phase: 'waiting' | 'reading';
  reusedSocket: boolean;
}): Verdict {
  const error = new Error('other side closed');
  const verdict = judgeTransport({ kind: 'broken', phase, timedOut: false, reusedSocket, error }, 0);
  if (!verdict) throw new Error('a broken connection is judged by transport alone');
  return verdict;
}

function throttled(retryAfter?: string): Verdict {
  const headers = retryAfter === undefined ? {} : { 'retry-after': retryAfter };
  const reply = { kind: 'answered', status: 429, headers, body: Buffer.alloc(0), rest: null } as const;
  const verdict = judgeTransport(reply, 0);
  if (!verdict) throw new Error('429 is judged by its status');
  return verdict;
}

interface Bench {
  readonly state: NetworkState;
  readonly clock: FakeClock;
  readonly a: Member;
  /** An attempt at `a` alone, ended by the verdict; null when `a` cannot be picked. */
  attemptA(verdict?: Verdict): Attempt | null;
  settle(begun: Attempt | null, verdict: Verdict): void;
}

function benchOf(state: NetworkState): Bench {
  const clock = createClock();
  const a = memberOf(state, 0);
  const others = state.members.slice(1);
  const settle = (begun: Attempt | null, verdict: Verdict) => {
    if (begun) record(begun.member, verdict, begun.trial, clock.now());
  };
  return {
    state,
    clock,
    a,
    settle,
    attemptA(verdict) {
      const begun = attempt(state, clock.now(), others);
      if (verdict) settle(begun, verdict);
      return begun;
    },
  };
}

/** Upstream `a` beside a healthy one, as most tests want it. */
const pair = (settings: { maxFails?: number; failTimeout?: number } = {}) =>
  benchOf(unprobed([{ maxFails: 2, failTimeout: 3000, ...settings }, {}]));

describe('ejection', () => {
  test('a lone upstream is never ejected however often it fails', () => {
    const { attemptA } = benchOf(unprobed([{ maxFails: 1 }]));
    for (let failure = 0; failure < 5; failure++) expect(attemptA(FAILED)).not.toBeNull();
    expect(attemptA()).not.toBeNull();
  });

  test('an upstream beside a disabled one is not alone, so it is ejected', () => {
    const { state, attemptA, clock } = benchOf(unprobed([{ maxFails: 1 }, { disabled: true }]));
    attemptA(FAILED);
    expect(reasonsNow(state, clock.now())).toEqual(['ejected', 'disabled']);
  });

  test('an upstream is ejected by its last allowed failure and not before', () => {
    const { attemptA, state, clock } = pair({ maxFails: 3 });
    attemptA(FAILED);
    attemptA(FAILED);
    expect(reasonsNow(state, clock.now())).toEqual([null, null]);
    attemptA(FAILED);
    expect(reasonsNow(state, clock.now())).toEqual(['ejected', null]);
    expect(attemptA()).toBeNull();
  });

  test('an upstream that may fail without end is never ejected', () => {
    const { attemptA } = pair({ maxFails: 0 });
    for (let failure = 0; failure < 10; failure++) attemptA(FAILED);
    expect(attemptA()).not.toBeNull();
  });

  test('failures with successes between them add up while none is older than the fail timeout', () => {
    const { attemptA, state, clock } = pair({ maxFails: 3 });
    for (let round = 0; round < 3; round++) {
      attemptA(FAILED);
      clock.advance(1000);
      attemptA(ANSWERED);
      clock.advance(1000);
    }
    expect(reasonsNow(state, clock.now())).toEqual(['ejected', null]);
  });

  test('failures stay counted through a silence without any success', () => {
    const { attemptA, state, clock } = pair({ maxFails: 3 });
    attemptA(FAILED);
    attemptA(FAILED);
    clock.advance(8000);
    attemptA(FAILED);
    expect(reasonsNow(state, clock.now())).toEqual(['ejected', null]);
  });

  test('a success picked after the fail timeout clears the failures before it', () => {
    const { a, attemptA, state, clock } = pair({ maxFails: 3 });
    attemptA(FAILED);
    attemptA(FAILED);
    clock.advance(5000);
    attemptA(ANSWERED);
    expect(a.fails).toBe(0);
    attemptA(FAILED);
    attemptA(FAILED);
    expect(reasonsNow(state, clock.now())).toEqual([null, null]);
  });

  test('a success picked within the fail timeout leaves the failures counted', () => {
    const { a, attemptA, clock } = pair({ maxFails: 3 });
    attemptA(FAILED);
    clock.advance(3000);
    attemptA(ANSWERED);
    expect(a.fails).toBe(1);
    clock.advance(1);
    attemptA(ANSWERED);
    expect(a.fails).toBe(0);
  });
});

describe('trials', () => {
  function ejected() {
    const bench = pair();
    bench.attemptA(FAILED);
    bench.attemptA(FAILED);
    return bench;
  }

  test('an ejected upstream stays out for exactly its fail timeout', () => {
    const { attemptA, clock } = ejected();
    clock.advance(3000);
    expect(attemptA()).toBeNull();
    clock.advance(1);
    expect(attemptA()).not.toBeNull();
  });

  test('an ejected upstream gets one trial among many concurrent requests when its time is over', () => {
    const { state, clock, settle } = ejected();
    clock.advance(3001);
    const begun = Array.from({ length: 10 }, () => attempt(state, clock.now()));
    expect(begun.filter((one) => one?.member.id === 'a')).toHaveLength(1);
    for (const one of begun) settle(one, ANSWERED);
    const after = Array.from({ length: 10 }, () => attempt(state, clock.now()));
    expect(after.filter((one) => one?.member.id === 'a')).toHaveLength(5);
  });

  test('a failed trial ejects for another fail timeout', () => {
    const { attemptA, clock } = ejected();
    clock.advance(3001);
    attemptA(FAILED);
    clock.advance(3000);
    expect(attemptA()).toBeNull();
    clock.advance(1);
    expect(attemptA(ANSWERED)).not.toBeNull();
    expect(attemptA()).not.toBeNull();
  });

  test('a trial that hangs is followed by another one only after another fail timeout', () => {
    const { attemptA, clock } = ejected();
    clock.advance(3001);
    expect(attemptA()).not.toBeNull();
    clock.advance(3000);
    expect(attemptA()).toBeNull();
    clock.advance(1);
    expect(attemptA()).not.toBeNull();
  });

  test('an aborted trial does not revive the upstream and gives its permit back (incident 15)', () => {
    const { a, attemptA, clock } = ejected();
    clock.advance(3001);
    expect(attemptA(ABORTED)).not.toBeNull();
    expect(a).toMatchObject({ fails: 2, inFlight: 0 });
    expect(attemptA()).not.toBeNull();
    expect(attemptA()).toBeNull();
  });

  test('an aborted attempt gives nobody else a trial', () => {
    const bench = pair();
    const early = bench.attemptA();
    bench.clock.advance(1);
    bench.attemptA(FAILED);
    bench.attemptA(FAILED);
    bench.settle(early, ABORTED);
    expect(bench.attemptA()).toBeNull();
  });

  test('a trial that is throttled or unauthorized gives its permit back and leaves the failures counted', () => {
    for (const verdict of [throttled('1'), judgedUnauthorized()]) {
      const { a, attemptA, clock } = ejected();
      clock.advance(3001);
      const checkedAt = a.checkedAt;
      expect(attemptA(verdict)).not.toBeNull();
      expect(a).toMatchObject({ fails: 2, checkedAt });
    }
  });

  function judgedUnauthorized(): Verdict {
    return { ...throttled(), outcome: 'unauthorized' };
  }
});

describe('when everybody is ejected', () => {
  test('trials come every second instead of every fail timeout', () => {
    const state = unprobed([
      { maxFails: 1, failTimeout: 30_000 },
      { maxFails: 1, failTimeout: 30_000 },
    ]);
    const { clock, settle } = benchOf(state);
    settle(attempt(state, clock.now()), FAILED);
    settle(attempt(state, clock.now()), FAILED);
    expect(areAllFailed(state)).toBe(true);
    expect(attempt(state, clock.now())).toBeNull();
    expect(refusal(state, wantedOf(), clock.now()).retryAfterMs).toBe(1000);
    clock.advance(1001);
    const trials = [attempt(state, clock.now()), attempt(state, clock.now()), attempt(state, clock.now())];
    expect(trials.map((one) => one?.member.id ?? 'none').sort()).toEqual(['a', 'b', 'none']);
  });

  test('trials come as often as the fail timeout where that is shorter than a second', () => {
    const settings = { maxFails: 1, failTimeout: 200 };
    const { state, clock, settle } = benchOf(unprobed([settings, settings]));
    settle(attempt(state, clock.now()), FAILED);
    settle(attempt(state, clock.now()), FAILED);
    clock.advance(201);
    expect(attempt(state, clock.now())).not.toBeNull();
  });

  test('the first one that recovers ends the trials of the others', () => {
    const settings = { maxFails: 1, failTimeout: 30_000 };
    const { state, clock, settle } = benchOf(unprobed([settings, settings]));
    settle(attempt(state, clock.now()), FAILED);
    settle(attempt(state, clock.now()), FAILED);
    clock.advance(1001);
    const recovered = attempt(state, clock.now());
    settle(recovered, ANSWERED);
    const expected = recovered?.member.id === 'a' ? [null, 'ejected'] : ['ejected', null];
    expect(reasonsNow(state, clock.now())).toEqual(expected);
  });

  test('an upstream that can never serve does not slow the trials of those that can', () => {
    const clock = createClock();
    const state = probed([{ maxFails: 1 }, {}], [null, 'wrong_chain'], clock.now());
    const begun = attempt(state, clock.now());
    if (begun) record(begun.member, FAILED, begun.trial, clock.now());
    clock.advance(1001);
    expect(attempt(state, clock.now())?.member.id).toBe('a');
  });
});

describe('throttled upstreams', () => {
  test('a throttled upstream comes back when the time that it asked for is over', () => {
    const { attemptA, clock, state } = pair({ failTimeout: 10_000 });
    attemptA(throttled('2'));
    expect(reasonsNow(state, clock.now() + 1999)).toEqual(['throttled', null]);
    expect(reasonsNow(state, clock.now() + 2000)).toEqual([null, null]);
  });

  test('a refusal without a time waits a second, and twice as long each time it goes on', () => {
    const { a, attemptA, clock } = pair({ failTimeout: 10_000 });
    const waits = Array.from({ length: 6 }, () => {
      attemptA(throttled());
      const waitMs = a.throttledUntil - clock.now();
      clock.advance(waitMs);
      return waitMs;
    });
    expect(waits).toEqual([1000, 2000, 4000, 8000, 10_000, 10_000]);
    attemptA(ANSWERED);
    attemptA(throttled());
    expect(a.throttledUntil - clock.now()).toBe(1000);
  });

  test('a refusal whose time is over already waits like one without', () => {
    const { a, attemptA, clock } = pair({ failTimeout: 10_000 });
    attemptA(throttled('0'));
    expect(a.throttledUntil - clock.now()).toBe(1000);
    clock.advance(1000);
    attemptA(throttled('Thu, 01 Jan 1970 00:00:00 GMT'));
    expect(a.throttledUntil - clock.now()).toBe(2000);
  });

  test('refusals of attempts that were in flight together make one wait, not one longer than the other', () => {
    const { a, clock, settle, state } = pair({ failTimeout: 10_000 });
    const burst = Array.from({ length: 20 }, () => attempt(state, clock.now())).filter(
      (begun) => begun?.member === a,
    );
    expect(burst.length).toBeGreaterThan(1);
    for (const begun of burst) settle(begun, throttled());
    expect(a.throttledUntil - clock.now()).toBe(1000);
    clock.advance(1000);
    settle(attempt(state, clock.now()), throttled());
    expect(a.throttledUntil - clock.now()).toBe(2000);
  });

  test('no upstream is kept away for longer than the fail timeout, whatever it asks for', () => {
    const { a, attemptA, clock } = pair({ failTimeout: 10_000 });
    attemptA(throttled('86400'));
    expect(a.throttledUntil - clock.now()).toBe(10_000);
  });

  test('a later and shorter refusal does not shorten an earlier one', () => {
    const { a, clock, settle, state } = pair({ failTimeout: 10_000 });
    const [first, second] = [attempt(state, clock.now()), attempt(state, clock.now(), [])];
    const onA = { member: a, trial: null };
    settle(first, throttled('5'));
    settle(second && onA, throttled('1'));
    expect(a.throttledUntil - clock.now()).toBe(5000);
  });

  test('a refusal is an answer, which ends silence', () => {
    const { a, attemptA, clock } = pair();
    markSilent(a, clock.now());
    attemptA(throttled());
    expect(a.silentUntil).toBe(0);
  });

  test('a throttled attempt is no failure', () => {
    const { a, attemptA } = pair();
    attemptA(throttled());
    expect(a.fails).toBe(0);
  });
});

describe('resets of reused sockets', () => {
  test('the first reset of a reused socket is forgiven, and a success forgives anew', () => {
    const { a, attemptA } = pair({ maxFails: 5 });
    for (let time = 0; time < 3; time++) {
      expect(isForgiven(a, STALE)).toBe(true);
      attemptA(STALE);
      expect(a.fails).toBe(0);
      attemptA(ANSWERED);
    }
  });

  test.each([
    ['a further reset of a reused socket', STALE],
    ['any other failure', FAILED],
  ])('a forgiven reset counts after all with %s, and once', (_what, verdict) => {
    const { a, attemptA } = pair({ maxFails: 9 });
    attemptA(STALE);
    attemptA(verdict);
    expect(a.fails).toBe(2);
    attemptA(verdict);
    expect(a.fails).toBe(3);
    expect(isForgiven(a, STALE)).toBe(false);
  });

  test('a reset of a new socket counts at once', () => {
    const { a, attemptA } = pair();
    expect(isForgiven(a, FAILED)).toBe(false);
    attemptA(FAILED);
    expect(a.fails).toBe(1);
  });

  test('a forgiven reset gives a trial back', () => {
    const { a, attemptA, clock } = pair();
    attemptA(FAILED);
    attemptA(FAILED);
    a.reset = 'none';
    clock.advance(3001);
    attemptA(STALE);
    expect(attemptA()).not.toBeNull();
  });
});
