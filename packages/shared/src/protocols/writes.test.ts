import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TABLES } from './tables.ts';
import { rawTransactionOf, subjectIn, subjectOf } from './writes.ts';

const ADDRESS = '0xE239cdc5fbe977a8a141B72194D3CF8c41bC5BC6';
const HASH = `0x${'aB'.repeat(32)}`;

const rows = TABLES.flatMap(({ methods }) =>
  Object.entries(methods).flatMap(([effect, named]) =>
    Object.entries(named).map(([name, method]) => ({ ...method, name, effect })),
  ),
);
const readsOfWrites = rows.filter(({ subject }) => subject).map(({ name }) => name);

describe('reads of what was written', () => {
  test('are reads, and what they read was sent by a write', () => {
    expect(rows.filter(({ subject, effect }) => subject && effect !== 'read')).toEqual([]);
    expect(rows.filter(({ raw, effect }) => raw && effect !== 'signed')).toEqual([]);
    expect(readsOfWrites).toHaveLength(4);
  });

  test.each<[string, unknown, string | null]>([
    ['eth_getTransactionCount', [ADDRESS, 'pending'], ADDRESS.toLowerCase()],
    ['eth_getTransactionByHash', [HASH], HASH.toLowerCase()],
    ['eth_getTransactionReceipt', [HASH], HASH.toLowerCase()],
    ['eth_getRawTransactionByHash', [HASH], HASH.toLowerCase()],
    ['eth_getTransactionReceipt', ['0x12'], null],
    ['eth_getTransactionReceipt', [HASH.replace('a', 'g')], null],
    ['eth_getTransactionReceipt', [], null],
    ['eth_getTransactionReceipt', { hash: HASH }, null],
    ['eth_getTransactionReceipt', undefined, null],
    ['eth_getBalance', [ADDRESS], null],
  ])('%s %j is about %s', (method, params, expected) => {
    expect(subjectOf(method, params)).toBe(expected);
  });

  test('take parameters of any shape', () => {
    fc.assert(
      fc.property(fc.constantFrom(...readsOfWrites), fc.jsonValue(), (method, params) => {
        expect(subjectOf(method, params) ?? HASH.toLowerCase()).toMatch(/^0x[0-9a-f]{40,64}$/);
      }),
    );
  });

  test('know a subject by its length and letters', () => {
    expect(subjectIn(null)).toBeNull();
    expect(subjectIn(HASH)).toBe(HASH.toLowerCase());
    expect(subjectIn(`${HASH}0`)).toBeNull();
  });
});

test('a raw transaction is the first parameter of the methods that send one', () => {
  expect(rawTransactionOf('eth_sendRawTransaction', ['0x02f8'])).toBe('0x02f8');
  expect(rawTransactionOf('eth_sendRawTransaction', ['02f8'])).toBeNull();
  expect(rawTransactionOf('eth_sendRawTransaction', [`0x${'0'.repeat(2_200_000)}`])).toBeNull();
  expect(rawTransactionOf('eth_sendRawTransaction', [7])).toBeNull();
  expect(rawTransactionOf('eth_sendTransaction', ['0x02f8'])).toBeNull();
  expect(rawTransactionOf('author_submitExtrinsic', ['0x02f8'])).toBeNull();
});
