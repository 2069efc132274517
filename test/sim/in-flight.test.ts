// The choice of docs/decisions/0005 on a slice of its simulation; the tables come from `pnpm sim`.
import { describe, expect, test } from 'vitest';
import type { AgingName } from './agings.ts';
import { type SimulationResult, simulate } from './simulate.ts';
import { WORKLOADS, type WorkloadName } from './workloads.ts';

const CHOSEN = 'lasting, rounded mean';

interface Run {
  readonly aging: AgingName;
  readonly replicas: number;
  readonly workload: WorkloadName;
}

function run({ aging, replicas, workload }: Run): SimulationResult {
  return simulate({
    ...{ aging, replicas, beatMs: 250, durationMs: 8000, seed: 1 },
    workload: WORKLOADS[workload],
  });
}

test('a simulation gives the same for the same seed, and serves what it was asked', () => {
  const once = run({ aging: CHOSEN, replicas: 10, workload: 'short reads' });
  expect(run({ aging: CHOSEN, replicas: 10, workload: 'short reads' })).toEqual(once);
  expect(once.requests).toBeGreaterThan(16_000); // 2.4 a millisecond, less the time of warming up.
  expect(once.requests).toBeLessThan(18_500);
});

test('one replica alone balances as one that sees everything', () => {
  const { maxOverMean } = run({ aging: CHOSEN, replicas: 1, workload: 'short reads' });
  const ideal = run({ aging: 'sees everything', replicas: 1, workload: 'short reads' });
  expect(Math.abs(maxOverMean - ideal.maxOverMean)).toBeLessThan(0.01);
});

describe.each([3, 10, 100])('with %s replicas', (replicas) => {
  const workloads = Object.keys(WORKLOADS) as WorkloadName[]; // Exactly its keys.

  test.each(workloads)('the chosen ageing is hardly worse than knowing nothing under %s', (workload) => {
    const chosen = run({ aging: CHOSEN, replicas, workload });
    const ignored = run({ aging: 'ignored', replicas, workload });
    expect(chosen.maxOverMean).toBeLessThan(ignored.maxOverMean + 0.06);
    expect(chosen.meanDelayMs).toBeLessThan(ignored.meanDelayMs * 1.1 + 0.3);
  });

  test.each(workloads)('the chosen ageing is far better than counts at face value under %s', (workload) => {
    const chosen = run({ aging: CHOSEN, replicas, workload });
    const reported = run({ aging: 'as reported', replicas, workload });
    expect(chosen.maxOverMean).toBeLessThan(reported.maxOverMean + 0.05);
    expect(chosen.meanDelayMs).toBeLessThan(reported.meanDelayMs / 2);
  });
});

test('a slow node keeps fewer requests waiting than where replicas know nothing of each other', () => {
  const given = { replicas: 10, workload: 'a slow node' } as const;
  const chosen = run({ aging: CHOSEN, ...given });
  const ignored = run({ aging: 'ignored', ...given });
  expect(chosen.meanDelayMs).toBeLessThan(ignored.meanDelayMs * 0.75);
  expect(chosen.p99DelayMs).toBeLessThan(ignored.p99DelayMs * 0.75);
});
