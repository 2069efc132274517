import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeReport, encodeReport, type Report } from './report.ts';

const REPORT: Report = {
  by: 'anna',
  upstreams: [{ id: 'a', admitted: true, fails: 2, streak: 3, ageMs: 1.5, ejected: false }],
};
const TEXT = encodeReport(REPORT);

test('a report comes back as it went', () => {
  expect(decodeReport(TEXT)).toEqual(REPORT);
});

test.each([
  ['no JSON', 'x'],
  ['a later version', TEXT.replace('"version":1', '"version":2')],
  ['no writer', TEXT.replace('anna', '')],
  ['a negative count', TEXT.replace('"fails":2', '"fails":-2')],
  ['a failure of the future', TEXT.replace('1.5', '-1')],
  ['an endless text', TEXT + ' '.repeat(70_000)],
])('a report with %s is none of ours', (_, text) => {
  expect(decodeReport(text)).toBeNull();
});

test('no text makes the reader of reports throw', () => {
  fc.assert(fc.property(fc.oneof(fc.json(), fc.string()), (text) => decodeReport(text) === null));
});
