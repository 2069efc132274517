import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Budget } from './budget.ts';
import { Durations } from './durations.ts';

describe('the quantiles of a method', () => {
  test('are unknown before twenty calls', () => {
    const durations = new Durations();
    for (let call = 0; call < 19; call++) durations.record('eth_call', 10);
    expect(durations.quantileMs('eth_call', 0.99)).toBeNull();
    durations.record('eth_call', 10);
    expect(durations.quantileMs('eth_call', 0.99)).not.toBeNull();
  });

  test('are right within a fifth, and never too low', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 1, max: 60_000, noNaN: true }), { minLength: 100, maxLength: 400 }),
        fc.constantFrom(0.5, 0.95, 0.99),
        (samples, share) => {
          const durations = new Durations();
          for (const ms of samples) durations.record('eth_call', ms);
          const exact = [...samples].sort((x, y) => x - y)[Math.ceil(samples.length * share) - 1] ?? 0;
          const found = durations.quantileMs('eth_call', share) ?? 0;
          expect(found).toBeGreaterThanOrEqual(exact * 0.999);
          expect(found).toBeLessThanOrEqual(exact * 1.201);
        },
      ),
    );
  });

  test('follow what was seen lately', () => {
    const durations = new Durations();
    for (let call = 0; call < 5000; call++) durations.record('eth_call', 1000);
    for (let call = 0; call < 20_000; call++) durations.record('eth_call', 10);
    expect(durations.quantileMs('eth_call', 0.99)).toBeLessThan(13);
  });

  test('are kept for 256 methods, of which a further one replaces the rarest: methods that clients make up leave room for real ones', () => {
    const durations = new Durations();
    const many = (method: string, calls: number) => {
      for (let call = 0; call < calls; call++) durations.record(method, 10);
    };
    many('eth_call', 21);
    for (let made = 0; made < 300; made++) many(`made_up${made}`, 20);
    many('eth_getLogs', 20);
    const known = (method: string) => durations.quantileMs(method, 0.5) !== null;
    const kept = Array.from({ length: 300 }, (_, made) => `made_up${made}`).filter(known);
    expect([known('eth_call'), known('eth_getLogs'), kept.length]).toEqual([true, true, 254]);
  });
});

describe('the budget', () => {
  test('never allows more hedges than one in twenty attempts, and one to begin with', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 500 }), (steps) => {
        const budget = new Budget();
        let [attempts, hedges] = [0, 0];
        for (const sends of steps) {
          if (sends) {
            budget.earn();
            attempts++;
          } else if (budget.takeHedge()) hedges++;
        }
        expect(hedges).toBeLessThanOrEqual(1 + attempts * 0.05 + 1e-9);
      }),
    );
  });

  test('lets nobody save up more than ten hedges', () => {
    const budget = new Budget();
    for (let attempt = 0; attempt < 1000; attempt++) budget.earn();
    expect(Array.from({ length: 20 }, () => budget.takeHedge()).filter(Boolean)).toHaveLength(10);
  });

  test('has a reserve of its own for all that is in flight at an upstream that goes silent', () => {
    const budget = new Budget();
    while (budget.takeHedge());
    const rescued = Array.from({ length: 300 }, () => budget.takeRescue()).filter(Boolean).length;
    expect(rescued).toBe(200);
    for (let attempt = 0; attempt < 11; attempt++) budget.earn();
    expect([budget.takeRescue(), budget.takeRescue(), budget.takeRescue()]).toEqual([true, true, false]);
  });
});
