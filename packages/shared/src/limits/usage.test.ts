import { describe, expect, test } from 'vitest';
import { addUp, type Budget, Usage } from './usage.ts';

const NOW = 1_700_000_000_000;

const says = (left: string, reset?: string) => (name: string) =>
  ({ 'x-ratelimit-remaining': left, 'x-ratelimit-reset': reset })[name];

describe('the usage of one process', () => {
  test('counts attempts and those that met a limit for a minute', () => {
    const usage = new Usage();
    for (let at = 0; at < 3; at++) usage.attempted(NOW);
    usage.throttled(NOW);
    expect(usage.budget(NOW, NOW + 1000)).toEqual({
      ...{ attempts: 3, throttled: 1, retryAt: NOW + 1000 },
      ...{ left: null, limit: null, resetAt: null },
    });
    expect(usage.budget(NOW + 60_000)).toMatchObject({ attempts: 0, throttled: 0, retryAt: null });
  });

  test('believes what a node says is left until that is reset', () => {
    const usage = new Usage();
    usage.hear(says('7', '5'), NOW);
    usage.hear(says('no number'), NOW);
    expect(usage.budget(NOW + 4999)).toMatchObject({ left: 7, resetAt: NOW + 5000 });
    expect(usage.budget(NOW + 5000)).toMatchObject({ left: null, resetAt: null });
  });

  test('believes what has no end for a minute', () => {
    const usage = new Usage();
    usage.hear(says('7'), NOW);
    expect(usage.budget(NOW + 59_999)).toMatchObject({ left: 7 });
    expect(usage.budget(NOW + 60_000)).toMatchObject({ left: null });
  });
});

describe('the usage of several processes', () => {
  const budget = (facts: Partial<Budget>): Budget => ({
    ...{ attempts: 0, throttled: 0, retryAt: null, left: null, limit: null, resetAt: null },
    ...facts,
  });

  test('is the sum of what they sent, and the last of the times to wait', () => {
    const all = [
      budget({ attempts: 3, throttled: 1, retryAt: NOW + 10 }),
      budget({ attempts: 4, retryAt: NOW + 20 }),
      budget({ attempts: 5, throttled: 2 }),
    ];
    expect(addUp(all, NOW)).toEqual(budget({ attempts: 12, throttled: 3, retryAt: NOW + 20 }));
    expect(addUp(all, NOW + 20).retryAt).toBeNull();
  });

  test('has the least that is said to be left, among what has not been reset', () => {
    const over = budget({ left: 1, limit: 100, resetAt: NOW });
    const early = budget({ left: 50, limit: 100, resetAt: NOW + 5 });
    const late = budget({ left: 40, limit: 100, resetAt: NOW + 5 });
    expect(addUp([over, early, late], NOW)).toEqual(late);
    expect(addUp([over], NOW)).toEqual(budget({}));
  });

  test('is nothing where nobody tells', () => {
    expect(addUp([], NOW)).toEqual(budget({}));
  });
});
