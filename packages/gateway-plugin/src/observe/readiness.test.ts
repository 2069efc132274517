import { REASONS, type Reason, type StoreHealth } from '@rpc-balancer/shared';
import { describe, expect, test } from 'vitest';
import { createClock } from '../../../../test/kit/clock.ts';
import {
  type configOf,
  memberOf,
  RANKING_MAX_AGE_MS,
  rankingOf,
  type UpstreamInput,
} from '../../test/members.ts';
import { quietNetwork } from '../../test/networks.ts';
import { recordFailure } from '../balance/ejection.ts';
import { nextSnapshot } from '../balance/snapshot.ts';
import type { Network } from '../upstream/network.ts';
import { networkReadiness, readinessOf } from './readiness.ts';
import { networkStatus } from './status.ts';

const NOW = createClock().now();
const HEALTHY: StoreHealth = {
  ...{ connected: true, problem: null, evictionRisk: null },
  ...{ connectionsLost: 0, lastLostAt: null, slotsMoved: 0, failures: {} },
};

interface Given {
  readonly name?: string;
  readonly upstreams?: readonly UpstreamInput[];
  readonly reasons?: readonly (Reason | null)[];
  readonly network?: Parameters<typeof configOf>[1];
  /** Another configuration at the publisher. */
  readonly mismatch?: boolean;
  readonly stalledSince?: number;
}

/** A network with a fresh ranking that gives these reasons; no connection is made. */
function networkOf({
  name = 'net',
  upstreams = [{}, {}],
  reasons,
  network = {},
  mismatch = false,
  stalledSince,
}: Given): Network {
  const opened = quietNetwork(name, upstreams, network);
  if (reasons) {
    const ranking = {
      ...rankingOf(reasons),
      configHash: mismatch ? 'another' : opened.hash,
      ...(stalledSince !== undefined && { stalledSince }),
    };
    opened.state.snapshot = nextSnapshot(null, ranking, NOW);
  }
  return opened;
}

const stateOf = (given: Given, now = NOW) => networkReadiness(networkOf(given), now).state;

test('incident 4: a chain that stalls is told and leaves the network ready, until its ranking is old', () => {
  const network = networkOf({ reasons: [null, null], stalledSince: NOW - 60_000 });
  const readiness = readinessOf([network], HEALTHY, NOW);
  expect(readiness).toMatchObject({ ready: true, degraded: true });
  expect(readiness.networks.net).toMatchObject({
    state: 'ok',
    problems: [expect.stringMatching(/^head_stalled: /)],
  });
  expect(networkStatus(network, NOW).stalledSince).toBe(NOW - 60_000);
  const later = NOW + RANKING_MAX_AGE_MS + 1;
  expect(networkStatus(network, later).stalledSince).toBeNull();
  expect(networkReadiness(network, later).problems).toEqual([expect.stringMatching(/^publisher_missing: /)]);
});

test('a store that is slow for every beat is told, and the network stays ready', () => {
  const network = networkOf({ reasons: [null, null] });
  network.state.storeDelayMs = 100;
  expect(networkReadiness(network, NOW).problems).toEqual([]);
  network.state.storeDelayMs = 101;
  expect(readinessOf([network], HEALTHY, NOW)).toMatchObject({ ready: true, degraded: true });
  expect(networkReadiness(network, NOW).problems).toEqual([expect.stringMatching(/^store_slow: /)]);
});

describe('the condition of a network', () => {
  test('a network is ok while any upstream is eligible, whatever the others are', () => {
    for (const reason of Object.keys(REASONS) as Reason[]) {
      expect(stateOf({ reasons: [reason, null] }), reason).toBe('ok');
    }
  });

  test('a network of living but softly excluded upstreams is degraded, one of dead or forbidden ones is down', () => {
    const expected: Partial<Record<Reason, string>> = {
      disabled: 'down',
      drained: 'down',
      wrong_chain: 'down',
      unreachable: 'down',
      probe_timeout: 'down',
      probe_failed: 'down',
      unauthorized: 'down',
      syncing: 'degraded',
      lagging: 'degraded',
      stalled: 'degraded',
      no_peers: 'degraded',
      suspect: 'degraded',
      unprobed: 'degraded',
      silent: 'degraded',
      behind_block: 'degraded',
      unsupported: 'degraded',
    };
    for (const [reason, state] of Object.entries(expected) as [Reason, string][]) {
      expect(stateOf({ reasons: [reason, reason] }), reason).toBe(state);
    }
  });

  test('one living upstream among dead ones is enough to be degraded and not down', () => {
    expect(stateOf({ reasons: ['unreachable', 'lagging'] })).toBe('degraded');
  });

  test('a network before its first ranking is degraded, without probes it is ok', () => {
    expect(stateOf({})).toBe('degraded');
    expect(stateOf({ network: { probe: 'off' } })).toBe('ok');
  });

  test('a network is down while all its upstreams are ejected, and degraded while they are full', () => {
    const ejected = networkOf({ reasons: [null, null], network: { maxFails: 1 } });
    for (const member of ejected.state.members) recordFailure(member, NOW);
    expect(networkReadiness(ejected, NOW)).toMatchObject({
      state: 'down',
      reasons: { a: 'ejected', b: 'ejected' },
    });
    const full = networkOf({ upstreams: [{ maxConns: 1 }], reasons: [null] });
    memberOf(full.state, 0).inFlight = 1;
    expect(networkReadiness(full, NOW)).toMatchObject({ state: 'degraded', reasons: { a: 'full' } });
  });
});

describe('problems of a network', () => {
  const problemsOf = (given: Given, now = NOW) => networkReadiness(networkOf(given), now).problems.join();

  test('a missing or stale ranking says that a publisher is missing, and what to do', () => {
    expect(problemsOf({})).toMatch(/^publisher_missing: .*start a sidecar/);
    expect(problemsOf({ reasons: [null, null] }, NOW + RANKING_MAX_AGE_MS + 1)).toMatch(/publisher_missing/);
    expect(problemsOf({ reasons: [null, null] })).toBe('');
  });

  test('a publisher with another configuration is named', () => {
    expect(problemsOf({ reasons: [null, null], mismatch: true })).toMatch(
      /^config_mismatch: sidecar-of-the-test /,
    );
  });

  test('a network without probes misses nobody', () => {
    expect(problemsOf({ network: { probe: 'off' } })).toBe('');
  });
});

describe('the answer for the whole process', () => {
  const ok: Given = { name: 'ok', reasons: [null, null] };
  const lagging: Given = { name: 'lagging', reasons: ['lagging', 'lagging'] };
  const down: Given = { name: 'down', reasons: ['unreachable', 'unreachable'] };
  const needed: Given = { ...down, network: { required: 'on' } };
  const rows: readonly (readonly [string, readonly Given[], StoreHealth, boolean, boolean])[] = [
    ['all is well', [ok], HEALTHY, true, false],
    ['a network is degraded', [ok, lagging], HEALTHY, true, true],
    ['one network that nobody requires is down', [ok, down], HEALTHY, true, true],
    ['a required network is down', [ok, needed], HEALTHY, false, true],
    [
      'a required network is only degraded',
      [{ ...lagging, network: { required: 'on' } }],
      HEALTHY,
      true,
      true,
    ],
    ['every network is down', [down], HEALTHY, false, true],
    ['the store is out of reach', [ok], { ...HEALTHY, connected: false, problem: 'gone' }, true, true],
    ['the store may evict', [ok], { ...HEALTHY, evictionRisk: 'maxmemory-policy' }, true, true],
    ['the publisher has another configuration', [{ ...ok, mismatch: true }], HEALTHY, true, true],
  ];

  test.each(rows)('readiness is right when %s', (_, networks, store, ready, degraded) => {
    const readiness = readinessOf(networks.map(networkOf), store, NOW);
    expect({ ready: readiness.ready, degraded: readiness.degraded }).toEqual({ ready, degraded });
    expect(Object.keys(readiness.networks)).toEqual(networks.map(({ name }) => name));
    const told = [store.problem, store.evictionRisk].filter((problem) => problem !== null);
    expect(readiness.problems).toEqual(told);
  });
});

describe('the status of a network', () => {
  const given: Given = {
    upstreams: [{}, { tier: 'fallback' }, { disabled: true }],
    reasons: [null, null, null],
  };

  test('each upstream is eligible, on standby behind a better tier, or excluded for its reason', () => {
    const { upstreams } = networkStatus(networkOf(given), NOW);
    expect(upstreams.map(({ state, reason }) => [state, reason])).toEqual([
      ['eligible', null],
      ['standby', 'standby'],
      ['excluded', 'disabled'],
    ]);
  });

  test('the end of an ejection is told while it lasts', () => {
    const network = networkOf({ reasons: [null, null], network: { maxFails: 1, failTimeout: 9000 } });
    recordFailure(memberOf(network.state, 0), NOW);
    const { upstreams } = networkStatus(network, NOW);
    expect(upstreams.map(({ ejectedUntil }) => ejectedUntil)).toEqual([NOW + 9000, null]);
  });

  test('age and token of the ranking are told, and whether it fits', () => {
    const { ranking, configMatches } = networkStatus(networkOf({ ...given, mismatch: true }), NOW + 1500);
    expect(ranking).toEqual({
      epoch: 1,
      seq: 1,
      publisher: 'sidecar-of-the-test',
      ageMs: 1500,
      stale: false,
    });
    expect(configMatches).toBe(false);
    expect(networkStatus(networkOf({}), NOW)).toMatchObject({ ranking: null, configMatches: null });
  });
});
