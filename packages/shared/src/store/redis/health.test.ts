// What the store says about itself follows the steps and the connection.
import { expect, test } from 'vitest';
import type { StoreHealth } from '../store.ts';
import { createHealth } from './health.ts';

const NOPERM = new Error('NOPERM this user has no permissions');

const NOTHING = { connectionsLost: 0, lastLostAt: null, slotsMoved: 0, failures: {} };

function start() {
  const connection = { connected: true, problem: null as string | null };
  const health = createHealth(
    () => connection,
    () => NOTHING,
  );
  const seen: StoreHealth[] = [];
  health.listen((now) => seen.push(now));
  health.changed();
  seen.length = 0;
  return { connection, health, seen };
}

test('a step that is not permitted is a problem until the same step succeeds', () => {
  const { health, seen } = start();
  expect(health.fail('publish', NOPERM, 'mend the ACL')).toBe(true);
  health.succeed('renew');
  expect(health.read()).toMatchObject({ connected: true, problem: 'mend the ACL', evictionRisk: null });
  health.succeed('publish');
  expect(health.read().problem).toBeNull();
  expect(seen.map(({ problem }) => problem)).toEqual(['mend the ACL', null]);
});

test('an error of the connection is not kept for a step', () => {
  const { health } = start();
  expect(health.fail('renew', new Error('Command timed out'), 'too slow')).toBe(false);
  expect(health.read().problem).toBeNull();
});

test('the problem of the connection comes before those of steps', () => {
  const { connection, health } = start();
  health.fail('publish', NOPERM, 'mend the ACL');
  connection.problem = 'start the server';
  expect(health.read().problem).toBe('start the server');
});

test('a problem that no step had for a whole round is forgotten, one that lasts is not', () => {
  const { health, seen } = start();
  health.fail('publish', NOPERM, 'mend the ACL');
  health.sweep();
  health.fail('publish', NOPERM, 'mend the ACL');
  health.sweep();
  expect(seen).toHaveLength(1);
  health.sweep();
  expect(health.read().problem).toBeNull();
});

test('listeners are called for changes only, and not after they left', () => {
  const { health, seen } = start();
  const gone: unknown[] = [];
  health.listen((now) => gone.push(now))();
  health.setEvictionRisk('risk');
  health.setEvictionRisk('risk');
  expect(seen).toMatchObject([{ connected: true, problem: null, evictionRisk: 'risk' }]);
  expect(gone).toEqual([]);
});
