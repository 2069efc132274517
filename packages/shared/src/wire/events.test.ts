import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeEvent, type StoreEvent } from './events.ts';

test.each<StoreEvent>([
  { type: 'ranking', network: 'main', epoch: 5, seq: 7 },
  { type: 'released', network: 'main' },
  { type: 'written', network: 'main', upstream: 'a', subjects: ['0x1', '0x2'] },
  { type: 'drain', network: 'main' },
  { type: 'reported', network: 'main' },
])('an event comes back as it went: $type', (event) => {
  expect(decodeEvent(JSON.stringify(event))).toEqual(event);
});

test.each([
  ['no JSON', 'x'],
  ['nothing', ''],
  ['an event of a later version', '{"type":"hologram","network":"main"}'],
  ['an event without its token', '{"type":"ranking","network":"main"}'],
  ['a write of many', `{"type":"written","network":"main","upstream":"a","subjects":["1","2","3"]}`],
  ['an endless network', `{"type":"released","network":"${'x'.repeat(65)}"}`],
  ['an endless event', `{"type":"released","network":"main","x":"${'x'.repeat(1000)}"}`],
])('%s is none of ours', (_, text) => {
  expect(decodeEvent(text)).toBeNull();
});

test('no text makes the reader of events throw', () => {
  fc.assert(fc.property(fc.oneof(fc.json(), fc.string()), (text) => decodeEvent(text) === null));
});
