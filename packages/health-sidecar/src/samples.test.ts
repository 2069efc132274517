// Decides: whether a window remembers, forgets and counts its samples rightly.
import { describe, expect, test } from 'vitest';
import {
  addHead,
  addSample,
  currentSample,
  emptyWindow,
  endHeads,
  errorRatio,
  type GoodSample,
  latencyPercentile,
  type ProbeFailure,
  type Sample,
  type SampleWindow,
  unseenMs,
} from './samples.ts';

function good(sampledAt: number, number = 100, change: Partial<GoodSample> = {}): GoodSample {
  const head = { number, hash: null, headerAt: null };
  return {
    failure: null,
    sampledAt,
    latencyMs: 10,
    identity: '1',
    syncing: false,
    head,
    finalized: null,
    ...change,
  };
}

const failed = (sampledAt: number, failure: ProbeFailure = 'unreachable'): Sample => {
  return { failure, sampledAt, detail: 'scripted' };
};

const windowOf = (...samples: Sample[]): SampleWindow =>
  samples.reduce((window, sample) => addSample(window, sample), emptyWindow);

describe('the sample that counts', () => {
  test.each([
    { name: 'none before the first', samples: [], counts: null },
    { name: 'the newest', samples: [good(1), good(2)], counts: good(2) },
    { name: 'none when the newest success is old', samples: [good(-1)], counts: null },
    { name: 'a failure', samples: [good(1), failed(2)], counts: failed(2) },
    { name: 'a failure however old', samples: [failed(-9)], counts: failed(-9) },
    { name: 'the one before a throttled probe', samples: [good(1), failed(2, 'throttled')], counts: good(1) },
    {
      name: 'the throttled one when that is old',
      samples: [good(-1), failed(2, 'throttled')],
      counts: failed(2, 'throttled'),
    },
  ])('is $name', ({ samples, counts }) => {
    expect(currentSample(windowOf(...samples), 0)).toEqual(counts);
  });
});

test('a window keeps the last sixty samples', () => {
  const window = windowOf(...Array.from({ length: 100 }, (_, at) => good(at)));
  expect(window.samples.map(({ sampledAt }) => sampledAt)).toEqual(
    Array.from({ length: 60 }, (_, at) => at + 40),
  );
});

test('a finality that was not heard in time stands, one that was denied does not', () => {
  const told = windowOf({ ...good(1), finalized: 90 });
  const { finalized: _, ...late } = good(2);
  expect(addSample(told, late).finalized).toBe(90);
  expect(addSample(told, { ...good(2), finalized: null }).finalized).toBeNull();
});

test('the first sight of a head is no move, every change after it is', () => {
  expect(windowOf(good(1, 100), good(2, 100))).toMatchObject({ standsSince: 1, moves: [] });
  expect(windowOf(good(1, 100), good(2, 101), good(3, 101))).toMatchObject({ standsSince: 2, moves: [2] });
  expect(windowOf(good(1, 1), good(2, 2), good(3, 3), good(4, 4)).moves).toEqual([3, 4]);
});

test('a failed probe takes neither the identity nor the head from a window', () => {
  expect(windowOf(good(1, 100), failed(2))).toMatchObject({ identity: '1', headNumber: 100, standsSince: 1 });
});

test('an identity that is not supported leaves the one known before', () => {
  expect(windowOf(good(1), good(2, 100, { identity: null })).identity).toBe('1');
});

test('the error ratio counts failures but no throttled probes', () => {
  expect(errorRatio(windowOf(good(1), failed(2), failed(3, 'throttled')))).toBe(0.5);
  expect(errorRatio(emptyWindow)).toBe(0);
});

test('latency percentiles are those of the successes', () => {
  const window = windowOf(...[40, 10, 30, 20].map((latencyMs, at) => good(at, 1, { latencyMs })), failed(9));
  expect(latencyPercentile(window, 50)).toBe(20);
  expect(latencyPercentile(window, 95)).toBe(40);
  expect(latencyPercentile(emptyWindow, 50)).toBeNull();
});

test('SQ-06: the latency that counts is that of many probes: one slow answer does not move it', () => {
  const fast = [1, 2, 3, 4, 5].map((at) => good(at, 1, { latencyMs: 10 }));
  expect(latencyPercentile(windowOf(...fast, good(6, 1, { latencyMs: 900 })), 50)).toBe(10);
});

describe('an upstream without a head', () => {
  test('keeps what was known of the head before, and what it says of itself', () => {
    const window = windowOf(good(1, 100), good(2, 0, { head: null, identity: 'other' }));
    expect(window).toMatchObject({ headNumber: 100, standsSince: 1, moves: [], identity: 'other' });
    expect(currentSample(window, 0)).toMatchObject({ sampledAt: 2 });
  });
});

describe('an uptime', () => {
  const up = (sampledAt: number, uptimeS?: number) =>
    good(sampledAt, 0, { head: null, ...(uptimeS !== undefined && { uptimeS }) });

  test.each([
    { name: 'that rises', samples: [up(1, 5), up(2, 6)], restartedAt: null },
    { name: 'that is the first', samples: [up(1), up(2, 6)], restartedAt: null },
    { name: 'that goes back', samples: [up(1, 5), up(2, 0)], restartedAt: 2 },
    { name: 'that went back and rises again', samples: [up(1, 5), up(2, 0), up(3, 1)], restartedAt: 2 },
    { name: 'that goes back over a failure', samples: [up(1, 5), failed(2), up(3, 1)], restartedAt: 3 },
    { name: 'that is not always told', samples: [up(1, 5), up(2), up(3, 4)], restartedAt: 3 },
    { name: 'that goes back twice', samples: [up(1, 5), up(2, 3), up(3, 1)], restartedAt: 3 },
  ])('$name tells when it was restarted last', ({ samples, restartedAt }) => {
    expect(windowOf(...samples).restartedAt).toBe(restartedAt);
  });
});

describe('a head that was told', () => {
  const head = (number: number) => ({ number, hash: '0xtold', headerAt: null });
  const told = addHead(windowOf(good(10)), head(101), 20);
  const patience = { blocks: 3, ms: 50 };
  /** Asked when the window was as given. */
  const asked = (at: SampleWindow, startedAt: number) => ({ startedAt, told: at.told, patience });
  const polled = (window: SampleWindow, at: number, number: number) =>
    addSample(window, good(at + 5, number), asked(window, at));

  test('counts in the place of the one in the newest sample, and is as fresh', () => {
    expect(currentSample(told, 0)).toEqual({ ...good(20), head: head(101) });
    expect(told).toMatchObject({ headNumber: 101, standsSince: 20, moves: [20] });
  });

  test('is newer than the answer to a probe that began before', () => {
    const window = addSample(told, good(21, 100), asked(windowOf(good(10)), 19));
    expect(currentSample(window, 0)).toEqual({ ...good(21), head: head(101) });
    expect(window).toMatchObject({ headNumber: 101, moves: [20] });
  });

  test('is older than the answer to a probe that began later and has reached it', () => {
    const window = polled(told, 25, 102);
    expect(currentSample(window, 0)).toEqual(good(30, 102));
    expect(window).toMatchObject({ headNumber: 102, moves: [20, 30] });
  });

  test('neither ends a failure nor keeps an old success fresh', () => {
    expect(currentSample(addHead(windowOf(failed(10)), head(101), 20), 0)).toEqual(failed(10));
    expect(currentSample(addHead(windowOf(good(10)), head(101), 20), 15)).toBeNull();
  });

  test.each([
    { what: 'is a little late', at: 70, number: 98, counts: 101 },
    { what: 'is too far behind it', at: 21, number: 97, counts: 97 },
    { what: 'is still behind it when its time is over', at: 71, number: 100, counts: 100 },
  ])('counts $counts when the answer $what', ({ at, number, counts }) => {
    const window = polled(told, at, number);
    expect(currentSample(window, 0)).toMatchObject({ head: { number: counts }, sampledAt: at + 5 });
    expect(window.headNumber).toBe(counts);
  });

  test('counts no more after an answer denied it, until an answer has reached what was told before it', () => {
    const denied = addHead(polled(told, 71, 100), head(102), 80);
    expect(denied).toMatchObject({ headNumber: 100, moves: [20, 76] });
    const near = polled(denied, 81, 101);
    expect(currentSample(near, 0)).toMatchObject({ head: { number: 101 } });
    const level = addSample(addHead(near, head(103), 92), good(95, 102), asked(near, 90));
    expect(currentSample(level, 0)).toMatchObject({ head: { number: 103 } });
    expect(addHead(level, head(104), 99).headNumber).toBe(104);
  });

  test('makes silence telling as long as more may be told', () => {
    const unseenAt = (window: SampleWindow, now: number) => unseenMs(window, currentSample(window, 0), now);
    expect(unseenAt(windowOf(good(10)), 30)).toBe(20);
    expect(unseenAt(told, 60)).toBe(0);
    const ended = endHeads(endHeads(told, 40), 50);
    expect(unseenAt(ended, 60)).toBe(20);
    expect(unseenAt(polled(ended, 50, 100), 60)).toBe(5);
    expect(unseenAt(addHead(ended, head(102), 55), 60)).toBe(0);
    expect(unseenAt(emptyWindow, 60)).toBe(0);
  });
});
