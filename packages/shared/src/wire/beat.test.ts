import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeBeat, encodeBeat } from './beat.ts';

test('a heartbeat comes back as it went', () => {
  expect(decodeBeat(encodeBeat({ a: 1, 'geth-b': 250 }))).toEqual({ a: 1, 'geth-b': 250 });
  expect(decodeBeat(encodeBeat({}))).toEqual({});
});

test.each([
  ['no JSON', 'x'],
  ['a later version', '{"version":2,"inFlight":{}}'],
  ['a negative count', '{"version":1,"inFlight":{"a":-1}}'],
  ['part of an attempt', '{"version":1,"inFlight":{"a":0.5}}'],
  ['an endless text', `{"version":1,"inFlight":{}${' '.repeat(40_000)}}`],
])('a heartbeat with %s is none of ours', (_, text) => {
  expect(decodeBeat(text)).toBeNull();
});

test('no text makes the reader of heartbeats throw', () => {
  fc.assert(fc.property(fc.oneof(fc.json(), fc.string()), (text) => decodeBeat(text) === null));
});
