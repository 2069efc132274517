import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeUsage, encodeUsage, type UsageReport } from './usage.ts';

const BUDGET = { attempts: 7, throttled: 1, retryAt: 12.5, left: 3, limit: 10, resetAt: null };

test('usage comes back as it went', () => {
  const usage: UsageReport = { a: BUDGET, b: { ...BUDGET, left: null } };
  expect(decodeUsage(encodeUsage(usage))).toEqual(usage);
  expect(decodeUsage(encodeUsage({}))).toEqual({});
});

test('usage of so many upstreams as a network may have is read', () => {
  const ids = Array.from({ length: 256 }, (_, at) => String(at).padStart(64, 'x'));
  const usage = Object.fromEntries(ids.map((id) => [id, { ...BUDGET, resetAt: 1_700_000_000_000.25 }]));
  expect(decodeUsage(encodeUsage(usage))).toEqual(usage);
});

test.each([
  ['no JSON', 'x'],
  ['a later version', '{"version":2,"upstreams":{}}'],
  ['a negative count', JSON.stringify({ version: 1, upstreams: { a: { ...BUDGET, attempts: -1 } } })],
  ['a missing count', '{"version":1,"upstreams":{"a":{"attempts":1}}}'],
  ['an endless text', `{"version":1,"upstreams":{}${' '.repeat(140_000)}}`],
])('usage with %s is none of ours', (_, text) => {
  expect(decodeUsage(text)).toBeNull();
});

test('no text makes the reader of usage throw', () => {
  fc.assert(fc.property(fc.oneof(fc.json(), fc.string()), (text) => decodeUsage(text) === null));
});
