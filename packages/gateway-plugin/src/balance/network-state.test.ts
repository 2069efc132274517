// Decides: whether upstreams may come and go without a trace in those that stay.
import { expect, test } from 'vitest';
import {
  configOf,
  memberOf,
  picked,
  probed,
  RANKING_MAX_AGE_MS,
  rank,
  unprobed,
  wantedOf,
} from '../../test/members.ts';
import { recordFailure } from './ejection.ts';
import { reasonsNow, reconfigureState, replaceMembers } from './network-state.ts';
import { preview } from './pick.ts';

const upstreamsOf = (...ids: readonly string[]) => configOf(ids.map((id) => ({ id }))).upstreams;
const NOW = 1_704_067_200_000;
const WANTED = wantedOf();

test('an upstream that stays keeps its counts and health at another place, and a new one begins afresh', () => {
  const state = unprobed([{}, {}, {}]);
  const [a, b, c] = state.members;
  if (!a || !b || !c) throw new Error('there are three');
  for (let count = 0; count < 3; count++) recordFailure(c, NOW);
  c.inFlight = 2;
  expect(reasonsNow(state, NOW)).toEqual([null, null, 'ejected']);
  replaceMembers(state, upstreamsOf('c', 'd', 'b'));
  expect(state.members[0]).toBe(c);
  expect(state.members[2]).toBe(b);
  expect(state.members.map(({ index }) => index)).toEqual([0, 1, 2]);
  expect(memberOf(state, 1)).toMatchObject({ id: 'd', inFlight: 0, fails: 0 });
  expect(reasonsNow(state, NOW)).toEqual(['ejected', null, null]);
});

test('an upstream that is gone is picked no more, at once', () => {
  const state = unprobed([{}, {}]);
  expect(picked(state, NOW)?.id).toBe('a');
  replaceMembers(state, upstreamsOf('b'));
  expect([picked(state, NOW)?.id, picked(state, NOW)?.id]).toEqual(['b', 'b']);
});

test('the one winner that is gone leaves its place to the first, as is foretold', () => {
  const state = unprobed([{}, {}, {}], { strategy: 'single_best' });
  expect(picked(state, NOW)?.id).toBe('a');
  replaceMembers(state, upstreamsOf('b', 'c'));
  replaceMembers(state, upstreamsOf('c', 'b'));
  expect(preview(state, WANTED, NOW, () => 0)).toMatchObject({ id: 'c' });
  expect(picked(state, NOW)?.id).toBe('c');
});

test('an upstream that was restarted between two rankings begins its slow start, and one that was so before does not', () => {
  const state = probed([{}, {}], [null, null], NOW, { protocol: 'http', slowStart: '1m' });
  rank(state, [{ restartedAt: NOW - 1000 }, {}], NOW + 1);
  expect(state.members.map(({ recoveredAt }) => recoveredAt)).toEqual([NOW + 1, 0]);
  rank(state, [{ restartedAt: NOW - 1000 }, {}], NOW + 2);
  rank(state, [{}, {}], NOW + 3);
  expect(state.members.map(({ recoveredAt }) => recoveredAt)).toEqual([NOW + 1, 0]);
});

test('a replica that starts after the restart of an upstream knows nothing to wait for', () => {
  const state = unprobed([{}], { protocol: 'http', slowStart: '1m' });
  rank(state, [{ restartedAt: NOW - 1000 }], NOW);
  expect(memberOf(state, 0).recoveredAt).toBe(0);
});

test('an upstream that was climbing back has its whole weight when slowStart is switched off', () => {
  const state = unprobed([{}, { weight: 4 }], { slowStart: '10s' });
  const member = memberOf(state, 1);
  member.throttledUntil = NOW;
  picked(state, NOW - 1);
  picked(state, NOW);
  expect(member.share).toBeLessThan(1);
  const config = configOf([{}, { weight: 4 }], { probe: 'off' });
  reconfigureState(state, config, { rankingMaxAgeMs: RANKING_MAX_AGE_MS });
  replaceMembers(state, config.upstreams);
  picked(state, NOW + 1);
  expect(member.share).toBe(4);
});

test('an upstream that is climbing back goes on climbing over a reload', () => {
  const state = unprobed([{}, {}], { slowStart: '10s' });
  const member = memberOf(state, 1);
  member.throttledUntil = NOW;
  picked(state, NOW - 1);
  picked(state, NOW);
  replaceMembers(state, configOf([{}, {}]).upstreams);
  picked(state, NOW + 5000);
  expect(member.share).toBeCloseTo(0.5, 2);
});
