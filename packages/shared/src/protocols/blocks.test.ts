import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { namedBlock, shownBy } from './blocks.ts';
import { EVM_READS, EVM_WRITES } from './evm.ts';
import { EVM_ANSWERS_BLOCK, EVM_ANSWERS_NUMBER, EVM_BLOCK_PARAMS } from './evm-blocks.ts';

const HASH = `0x${'aB'.repeat(32)}`;
const number = (value: number) => ({ number: value, hash: null, tag: null });
const hash = { number: null, hash: HASH.toLowerCase(), tag: null };
const tag = (value: string) => ({ number: null, hash: null, tag: value });

/** Parameters with this value at a position and something harmless before it. */
const at = (position: number, value: unknown) => [...Array.from({ length: position }, () => '0x1'), value];

describe('the table of named blocks', () => {
  const rows = Object.entries(EVM_BLOCK_PARAMS);

  test('has only methods that are reads, each once', () => {
    expect(rows.map(([method]) => method).filter((method) => !EVM_READS.includes(method))).toEqual([]);
  });

  test.each(rows)('finds the block of %s at every position of it, in every spelling', (method, positions) => {
    for (const position of positions.slice(0, 1)) {
      const rest = positions.slice(1).map(() => '0x1');
      const of = (value: unknown) => namedBlock(method, [...at(position, value), ...rest]);
      expect(of('0x1b4')).toEqual(number(0x1b4));
      expect(of({ blockNumber: '0x1B4' })).toEqual(number(0x1b4));
      expect(of('finalized')?.tag).toBe('finalized');
      expect(of(HASH)?.hash).toBe(HASH.toLowerCase());
      expect(of({ blockHash: HASH, requireCanonical: true })?.hash).toBe(HASH.toLowerCase());
    }
    expect(namedBlock(method, [])).toEqual(tag('latest'));
    expect(namedBlock(method, undefined)).toEqual(tag('latest'));
    expect(namedBlock(method, { block: '0x1' })).toBeNull();
  });

  test('leaves every other method of the tables alone', () => {
    const others = [...EVM_READS, ...EVM_WRITES].filter((method) => !(method in EVM_BLOCK_PARAMS));
    for (const method of others) expect(namedBlock(method, ['0x1', '0x2', '0x3'])).toBeNull();
    expect(others).toContain('eth_getTransactionReceipt');
    expect(others).toContain('eth_sendRawTransaction');
  });
});

describe('the block that a call names', () => {
  test.each<[string, unknown[], unknown]>([
    ['eth_getBalance', ['0xab', 'latest'], tag('latest')],
    ['eth_getBalance', ['0xab', null], tag('latest')],
    ['eth_getBalance', ['0xab', 'pending'], tag('pending')],
    ['eth_getBalance', ['0xab', 'safe'], tag('safe')],
    ['eth_getBalance', ['0xab', 'earliest'], null],
    ['eth_getBalance', ['0xab', 'Latest'], null],
    ['eth_getBalance', ['0xab', '100'], null],
    ['eth_getBalance', ['0xab', ''], null],
    ['eth_getBalance', ['0xab', '0x'], null],
    ['eth_getBalance', ['0xab', '0xzz'], null],
    ['eth_getBalance', ['0xab', '0x01'], null],
    ['eth_getBalance', ['0xab', '0x0'], number(0)],
    ['eth_getBalance', ['0xab', `0x${'f'.repeat(13)}`], number(2 ** 52 - 1)],
    ['eth_getBalance', ['0xab', `0x${'f'.repeat(14)}`], null],
    ['eth_getBalance', ['0xab', `0x${'f'.repeat(65)}`], null],
    ['eth_getBalance', ['0xab', -1], null],
    ['eth_getBalance', ['0xab', 1.5], null],
    ['eth_getBalance', ['0xab', true], null],
    ['eth_getBalance', ['0xab', ['0x1']], null],
    ['eth_getBalance', ['0xab', { blockNumber: 'latest' }], tag('latest')],
    ['eth_getBalance', ['0xab', { blockNumber: null }], tag('latest')],
    ['eth_getBalance', ['0xab', { blockNumber: { blockNumber: '0x1' } }], null],
    ['eth_feeHistory', ['0x4', '0x10', []], number(16)],
    ['eth_call', [{ to: '0x1' }], tag('latest')],
    ['eth_callMany', [[], { blockNumber: '0x9', transactionIndex: 0 }], number(9)],
    ['ots_searchTransactionsBefore', ['0xab', 250, 25], number(250)],
    ['eth_getLogs', [{ fromBlock: '0x1', toBlock: '0x2' }], number(2)],
    ['eth_getLogs', [{ fromBlock: '0x5', toBlock: '0x2' }], number(5)],
    ['eth_getLogs', [{ fromBlock: 'earliest', toBlock: '0x2' }], number(2)],
    ['eth_getLogs', [{ fromBlock: '0x1' }], { number: 1, hash: null, tag: 'latest' }],
    ['eth_getLogs', [{ toBlock: '0x1' }], { number: 1, hash: null, tag: 'latest' }],
    ['eth_getLogs', [{ fromBlock: 'finalized', toBlock: 'safe' }], tag('safe')],
    ['eth_getLogs', [{ fromBlock: 'latest', toBlock: 'finalized' }], tag('latest')],
    ['eth_getLogs', [{ address: '0xab' }], tag('latest')],
    ['eth_getLogs', [{ blockHash: HASH }], hash],
    ['eth_getLogs', ['nonsense'], null],
    ['debug_getModifiedAccountsByNumber', ['0x3', '0x2'], number(3)],
    ['bor_getRootHash', [7, 9], number(9)],
    ['toString', ['0x1'], null],
  ])('%s %j names %j', (method, params, expected) => {
    expect(namedBlock(method, params)).toEqual(expected);
  });

  test('is found in parameters of any shape without an exception, and is a height that exists in JavaScript', () => {
    const methods = fc.constantFrom(...Object.keys(EVM_BLOCK_PARAMS), 'eth_chainId', '__proto__');
    const text = fc.oneof(fc.string(), fc.constantFrom('0x1', 'latest', HASH));
    const value = fc.oneof(
      fc.jsonValue(),
      text,
      fc.record({ fromBlock: text, toBlock: fc.jsonValue() }, { requiredKeys: [] }),
      fc.record({ blockNumber: fc.jsonValue(), blockHash: fc.jsonValue() }, { requiredKeys: [] }),
    );
    fc.assert(
      fc.property(methods, fc.oneof(fc.array(value, { maxLength: 4 }), fc.jsonValue()), (method, params) => {
        const named = namedBlock(method, params);
        if (named === null) return;
        expect(named.number ?? named.hash ?? named.tag).not.toBeNull();
        if (named.number !== null) expect(Number.isSafeInteger(named.number) && named.number >= 0).toBe(true);
        if (named.hash !== null) expect(named.hash).toMatch(/^0x[0-9a-f]{64}$/);
      }),
      { numRuns: 2000 },
    );
  });

  test('of a range is not below either end', () => {
    const height = fc.integer({ min: 0, max: 2 ** 52 - 1 });
    fc.assert(
      fc.property(height, height, (from, to) => {
        const range = { fromBlock: `0x${from.toString(16)}`, toBlock: `0x${to.toString(16)}` };
        expect(namedBlock('eth_getLogs', [range])?.number).toBe(Math.max(from, to));
      }),
    );
  });
});

test('an answer shows a number, a block or nothing, and only that of a read', () => {
  expect(shownBy('eth_blockNumber')).toBe('number');
  expect(shownBy('eth_getBlockByNumber')).toBe('block');
  expect(shownBy('eth_getBalance')).toBeNull();
  expect(shownBy('constructor')).toBeNull();
  const all = [...EVM_ANSWERS_NUMBER, ...EVM_ANSWERS_BLOCK];
  expect(all.filter((method) => !EVM_READS.includes(method))).toEqual([]);
});
