import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeRecentWrite } from './recent-write.ts';

test('a recent write comes back as it went', () => {
  const write = { upstream: 'geth-a', subjects: [`0x${'ab'.repeat(32)}`, `0x${'cd'.repeat(20)}`] };
  expect(decodeRecentWrite(JSON.stringify(write))).toEqual(write);
});

test.each([
  ['no JSON', 'x'],
  ['nobody', '{"upstream":"","subjects":["0x1"]}'],
  ['nothing written', '{"upstream":"a","subjects":[]}'],
  ['more subjects than a write has', '{"upstream":"a","subjects":["1","2","3"]}'],
  ['an endless subject', `{"upstream":"a","subjects":["${'x'.repeat(67)}"]}`],
])('%s is no recent write', (_, text) => {
  expect(decodeRecentWrite(text)).toBeNull();
});

test('no text makes the reader of recent writes throw', () => {
  fc.assert(fc.property(fc.oneof(fc.json(), fc.string()), (text) => decodeRecentWrite(text) === null));
});
