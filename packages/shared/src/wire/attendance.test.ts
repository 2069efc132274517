import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeAttendance, encodeAttendance } from './attendance.ts';

test('what a sidecar tells of itself comes back as it went', () => {
  const attendance = { held: 2, takes: ['main', 'side', 'third'] };
  expect(decodeAttendance(encodeAttendance(attendance))).toEqual(attendance);
});

test.each([
  ['no JSON', 'x'],
  ['a later version', '{"version":2,"held":0,"takes":[]}'],
  ['part of a lease', '{"version":1,"held":0.5,"takes":[]}'],
  ['an endless text', `{"version":1,"held":0,"takes":[]}${' '.repeat(80_000)}`],
])('the attendance of a sidecar with %s is none of ours', (_, text) => {
  expect(decodeAttendance(text)).toBeNull();
});

test('no text makes the reader of attendances throw', () => {
  fc.assert(fc.property(fc.oneof(fc.json(), fc.string()), (text) => decodeAttendance(text) === null));
});
