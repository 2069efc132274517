import type { Reason } from '@rpc-balancer/shared';
import { expect, test } from 'vitest';
import { reachedOf } from './reach.ts';
import { addSample, emptyWindow, type ProbeFailure, type SampleWindow } from './samples.ts';

/** `null`: a good sample. */
type Found = readonly [at: number, failure: ProbeFailure | null];

interface Given {
  readonly reason: Reason | null;
  readonly found?: readonly Found[];
  readonly runningSince?: number;
  readonly leftAlone?: boolean;
}

function windowOf(found: readonly Found[]): SampleWindow {
  const head = { number: 1, hash: null, headerAt: null };
  const good = { latencyMs: 1, identity: '1', syncing: false, head, finalized: null };
  return found.reduce<SampleWindow>(
    (window, [sampledAt, failure]) =>
      addSample(
        window,
        failure === null ? { failure, sampledAt, ...good } : { failure, sampledAt, detail: '' },
      ),
    emptyWindow,
  );
}

const OVERDUE_SINCE = 150;

function reached(...given: readonly Given[]) {
  const upstreams = given.map(({ reason }, at) => ({ id: String(at), reason }));
  const probed = {
    windows: new Map(given.map(({ found = [] }, at) => [String(at), windowOf(found)])),
    runningSince: (id: string) => given[Number(id)]?.runningSince ?? null,
    isLeftAlone: (id: string) => given[Number(id)]?.leftAlone ?? false,
  };
  return reachedOf(upstreams, probed, OVERDUE_SINCE);
}

const well: Given = { reason: null, found: [[100, null]] };
const dead: Given = { reason: 'unreachable', found: [[100, 'unreachable']] };

test.each<[string, readonly Given[], ReturnType<typeof reached>]>([
  ['all are well', [well, well], 'some'],
  ['one of two is dead', [well, dead], 'some'],
  ['all are dead, in whatever way', [dead, { reason: 'probe_timeout' }, { reason: 'probe_failed' }], 'none'],
  ['the only one that is not disabled is dead', [dead, { reason: 'disabled' }], 'none'],
  ['all are disabled', [{ reason: 'disabled' }], 'some'],
  ['one refuses us', [dead, { reason: 'unauthorized', found: [[100, 'unauthorized']] }], 'some'],
  ['the only one answers with a limit', [{ reason: 'throttled', found: [[100, 'throttled']] }], 'some'],
  ['nobody was heard yet', [{ reason: 'unprobed' }], 'unknown'],
  ['one is dead and the other was not heard yet', [dead, { reason: 'unprobed' }], 'unknown'],
  ['one is dead and the other is being asked', [dead, { reason: 'unprobed', runningSince: 151 }], 'unknown'],
  ['one is dead and the other hangs', [dead, { reason: 'unprobed', runningSince: 150 }], 'none'],
  ['the only one hangs', [{ reason: 'unprobed', runningSince: 150 }], 'unknown'],
])('whether any upstream is reached when %s', (_, given, expected) => {
  expect(reached(...given)).toBe(expected);
});

const turned = (at: number): Given => ({
  reason: 'unreachable',
  found: [
    [100, null],
    [at, 'unreachable'],
    [at + 500, 'unreachable'],
  ],
});
const asked = { ...well, runningSince: OVERDUE_SINCE + 1 };

test('a failure says nothing while the others that answered before it are being asked', () => {
  expect(reached(turned(200), asked)).toBe('unknown');
  expect(reached(turned(200), { ...asked, reason: 'lagging' })).toBe('unknown');
});

test('a failure counts once another upstream has answered since it began, however slow that one is', () => {
  expect(reached(turned(200), { ...asked, found: [[300, null]] })).toBe('some');
  expect(reached(turned(200), asked, { ...well, found: [[300, null]] })).toBe('some');
});

test('a failure counts when nobody else is being asked', () => {
  expect(reached(turned(200), well)).toBe('some');
});

const throttled: Given = { reason: 'throttled', found: [[100, 'throttled']], leftAlone: true };

test('while who is throttled is left alone, another sidecar has to tell whether the only other is dead or our own network', () => {
  expect(reached(turned(200), throttled)).toBe('none');
  expect(reached(turned(200), { ...throttled, reason: null })).toBe('none');
  expect(reached(dead, { reason: 'unprobed', leftAlone: true })).toBe('none');
});

test('who is left alone is no reason to let another sidecar look while someone else answers or is asked', () => {
  expect(reached(throttled)).toBe('some');
  expect(reached(turned(200), throttled, well)).toBe('some');
  expect(reached(turned(200), throttled, asked)).toBe('unknown');
  expect(reached(turned(200), throttled, { reason: 'unprobed' })).toBe('unknown');
});

test('who is left alone is a witness when it has answered since a failure began', () => {
  expect(reached(turned(200), { ...throttled, found: [[300, 'throttled']] })).toBe('some');
});

test('who hangs is waited for no more when nobody has answered since a failure began', () => {
  const hangs = { ...well, runningSince: OVERDUE_SINCE };
  expect(reached(turned(200), hangs)).toBe('none');
  expect(reached(turned(200), hangs, asked)).toBe('unknown');
  expect(reached(turned(200), { ...hangs, found: [[300, null]] })).toBe('some');
  expect(reached(well, hangs)).toBe('some');
});
