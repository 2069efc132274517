// Decides: whether the values of all protocols are read as their documents say.
import { describe, expect, test } from 'vitest';
import { decimalOf, heightOf, instantOf, quantityOf, valueAt } from './values.ts';

describe('a JSON pointer', () => {
  // The examples of RFC 6901, section 5.
  const DOCUMENT = {
    foo: ['bar', 'baz'],
    '': 0,
    ...{ 'a/b': 1, 'c%d': 2, 'e^f': 3, 'g|h': 4, 'i\\j': 5, 'k"l': 6, ' ': 7, 'm~n': 8, '~1': 9 },
  };

  test.each([
    ['', DOCUMENT],
    ['/foo', ['bar', 'baz']],
    ['/foo/0', 'bar'],
    ['/', 0],
    ['/a~1b', 1],
    ['/c%d', 2],
    ['/i\\j', 5],
    ['/k"l', 6],
    ['/ ', 7],
    ['/m~0n', 8],
    ['/~01', 9],
  ])('leads where the RFC says: %s', (pointer, value) => {
    expect(valueAt(DOCUMENT, pointer)).toEqual(value);
  });

  test.each(['/foo/01', '/foo/-', '/foo/2', '/foo/length', '/bar', '/foo/0/0', '/toString', '/__proto__'])(
    'leads nowhere: %s',
    (pointer) => {
      expect(valueAt(DOCUMENT, pointer)).toBeUndefined();
    },
  );
});

describe('a height', () => {
  test.each<[unknown, number | null]>([
    [7, 7],
    ['7', 7],
    ['0x7', 7],
    ['0x00000007', 7],
    [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
    [2 ** 53, null],
    ['9007199254740992', null],
    ['18446744073709551616', null],
    ['0x10000000000000000', null],
    [-1, null],
    ['-1', null],
    ['-0x1', null],
    [1.5, null],
    ['1.5', null],
    ['1e3', null],
    ['0x', null],
    ['', null],
    [' 7', null],
    [null, null],
    [true, null],
    [[7], null],
    [undefined, null],
  ])('%j is %j', (value, height) => {
    expect(heightOf(value)).toBe(height);
  });

  test('is not read in the way of another protocol', () => {
    expect([quantityOf('7'), quantityOf(7), decimalOf('0x7'), decimalOf(7)]).toEqual([
      null,
      null,
      null,
      null,
    ]);
  });
});

describe('a time', () => {
  test.each([
    ['2024-01-01T00:00:00Z', 1_704_067_200_000],
    ['2024-01-01T00:00:00.123456789Z', 1_704_067_200_123],
    ['2024-01-01T01:00:00.5+01:00', 1_704_067_200_500],
    ['0001-01-01T00:00:00Z', null],
    ['yesterday', null],
    ['', null],
    [1_704_067_200_000, null],
  ])('%j is %j', (value, instant) => {
    expect(instantOf(value)).toBe(instant);
  });
});
