import { expect, test } from 'vitest';
import { isHard, REASONS, type Reason, reasonNames } from './reasons.ts';

// The table of design 1.1.
const HARD = [
  'disabled',
  'drained',
  'wrong_chain',
  'ejected',
  'full',
  'throttled',
  'budget_spent',
  'untagged',
];
const SOFT = [
  ...[
    'unsupported',
    'behind_block',
    'unreachable',
    'probe_timeout',
    'probe_failed',
    'unauthorized',
    'silent',
  ],
  ...['syncing', 'lagging', 'stalled', 'no_peers', 'suspect', 'unprobed'],
];

test('the reasons are a closed set, each hard, soft or none', () => {
  const kindOf = (kind: string) => reasonNames.filter((name) => REASONS[name] === kind);
  expect(kindOf('hard').toSorted()).toEqual(HARD.toSorted());
  expect(kindOf('soft').toSorted()).toEqual(SOFT.toSorted());
  expect(kindOf('none')).toEqual(['standby']);
  expect(reasonNames.length).toBe(HARD.length + SOFT.length + 1);
});

test('only a hard reason is never ignored', () => {
  for (const name of reasonNames) expect(isHard(name)).toBe(HARD.includes(name));
});

test('a reason is a word that may stand in a label and in a document', () => {
  const names: readonly Reason[] = reasonNames;
  for (const name of names) expect(name).toMatch(/^[a-z]+(_[a-z]+)*$/);
});
