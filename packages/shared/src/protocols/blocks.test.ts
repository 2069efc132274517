import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { namedBlock, shownBy } from './blocks.ts';
import { COMETBFT } from './cometbft.ts';
import { EVM } from './evm.ts';
import { SUBSTRATE } from './substrate.ts';
import type { Method } from './table.ts';
import { TABLES } from './tables.ts';

const HASH = `0x${'aB'.repeat(32)}`;
const number = (value: number) => ({ number: value, hash: null, tag: null });
const hash = { number: null, hash: HASH.toLowerCase(), tag: null };
const tag = (value: string) => ({ number: null, hash: null, tag: value });

/** Parameters with this value at a position and something harmless before it. */
const at = (position: number, value: unknown) => [...Array.from({ length: position }, () => '0x1'), value];

type Positioned = readonly [name: string, positions: readonly number[]];

function namingBlocks(methods: Readonly<Record<string, Method>>): Positioned[] {
  return Object.entries(methods).flatMap(([name, { block }]) =>
    block === undefined || block === 'finalized' ? [] : [[name, block] as const],
  );
}

const EVM_ROWS = namingBlocks(EVM.methods.read);
const SUBSTRATE_ROWS = namingBlocks(SUBSTRATE.methods.read);

/** The call with one value at a method's first position and harmless others. */
const first = ([method, positions]: Positioned, value: unknown) =>
  namedBlock(method, [...at(positions[0] ?? 0, value), ...positions.slice(1).map(() => '0x1')]);

describe('the table of named blocks', () => {
  test('has only methods that are reads', () => {
    for (const { methods } of TABLES) {
      const { read: _, ...others } = methods;
      for (const rows of Object.values(others)) expect(namingBlocks(rows)).toEqual([]);
    }
  });

  test.each([...EVM_ROWS, ...SUBSTRATE_ROWS])('finds the block of %s, at its first place %j', (...row) => {
    const [method, positions] = row;
    if (positions.length > 0) {
      expect(first(row, '0x1b4')).toEqual(number(0x1b4));
      expect(first(row, 0x1b4)).toEqual(number(0x1b4));
      expect(first(row, HASH)?.hash).toBe(HASH.toLowerCase());
    }
    expect(namedBlock(method, [])).toEqual(tag('latest'));
    expect(namedBlock(method, undefined)).toEqual(tag('latest'));
    expect(namedBlock(method, null)).toEqual(tag('latest'));
    expect(namedBlock(method, { block: '0x1' })).toEqual(positions.length > 0 ? null : tag('latest'));
  });

  test('finds every spelling that Ethereum has for a block', () => {
    for (const row of EVM_ROWS.filter(([, positions]) => positions.length > 0)) {
      expect(first(row, { blockNumber: '0x1B4' })).toEqual(number(0x1b4));
      expect(first(row, 'finalized')?.tag).toBe('finalized');
      expect(first(row, { blockHash: HASH, requireCanonical: true })?.hash).toBe(HASH.toLowerCase());
    }
  });

  test('finds heights of CometBFT as text or number, by place or by name, where 0 means the latest', () => {
    const rows = Object.entries(COMETBFT.methods.read).filter(([, { block = [] }]) => block.length > 0);
    expect(rows.map(([method]) => method)).toContain('abci_query');
    for (const [method, { names = [], lead = 0 }] of rows) {
      const named = (value: unknown) =>
        namedBlock(method, Object.fromEntries(names.map((name) => [name, value])));
      expect(named('500'), method).toEqual(number(500 - lead));
      expect(named(500), method).toEqual(number(500 - lead));
      for (const value of ['0', 0, '', null, undefined]) expect(named(value), method).toEqual(tag('latest'));
      for (const value of ['0x5', '-1', '1.5', -1, 1.5, {}, ['5'], true]) expect(named(value)).toBeNull();
      expect(namedBlock(method, {}), method).toEqual(tag('latest'));
      expect(namedBlock(method, undefined), method).toEqual(tag('latest'));
    }
    expect(namedBlock('abci_query', ['/store', '00', '7', false])).toEqual(number(7));
    expect(namedBlock('blockchain', { minHeight: '3', maxHeight: '9' })).toEqual(number(9));
    expect(namedBlock('blockchain', { minHeight: '3' })).toEqual({ number: 3, hash: null, tag: 'latest' });
    expect(namedBlock('validators', ['1'])).toEqual(number(0));
  });

  test('knows who answers of the finalized block', () => {
    for (const method of ['chain_getFinalizedHead', 'archive_v1_finalizedHeight', 'beefy_getFinalizedHead'])
      expect(namedBlock(method, [])).toEqual(tag('finalized'));
  });

  test('leaves every other method of the tables alone', () => {
    const others = TABLES.flatMap(({ methods }) => Object.values(methods))
      .flatMap((rows) => Object.entries(rows))
      .flatMap(([name, { block }]) => (block === undefined ? [name] : []));
    for (const method of others) expect(namedBlock(method, ['0x1', '0x2', '0x3'])).toBeNull();
    expect(others).toContain('eth_getTransactionReceipt');
    expect(others).toContain('eth_sendRawTransaction');
    expect(others).toContain('author_submitExtrinsic');
    expect(others).toContain('block_by_hash');
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
    ['state_getStorage', ['0x5f', HASH], hash],
    ['state_call', ['Core_version', '0x', null], tag('latest')],
    ['chain_getBlockHash', [500], number(500)],
    ['chain_getBlockHash', [[500, 501]], null],
    ['toString', ['0x1'], null],
  ])('%s %j names %j', (method, params, expected) => {
    expect(namedBlock(method, params)).toEqual(expected);
  });

  test('is found in parameters of any shape without an exception, and is a height that exists in JavaScript', () => {
    const names = TABLES.flatMap(({ methods }) => Object.keys(methods.read));
    const methods = fc.constantFrom(...names, 'eth_chainId', '__proto__');
    const text = fc.oneof(fc.string(), fc.constantFrom('0x1', 'latest', HASH));
    const value = fc.oneof(
      fc.jsonValue(),
      text,
      fc.record({ fromBlock: text, toBlock: fc.jsonValue() }, { requiredKeys: [] }),
      fc.record({ blockNumber: fc.jsonValue(), blockHash: fc.jsonValue() }, { requiredKeys: [] }),
    );
    const byName = fc.record({ height: fc.jsonValue(), minHeight: fc.jsonValue() }, { requiredKeys: [] });
    const anyParams = fc.oneof(fc.array(value, { maxLength: 4 }), byName, fc.jsonValue());
    fc.assert(
      fc.property(methods, anyParams, (method, params) => {
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

test('an answer shows a number, a block, a hash, a height or nothing, and only that of a read', () => {
  const latest = namedBlock('eth_blockNumber', []);
  expect(shownBy('eth_blockNumber', latest)).toBe('number');
  expect(shownBy('eth_getBlockByNumber', latest)).toBe('block');
  expect(shownBy('chain_getHeader', latest)).toBe('block');
  expect(shownBy('chain_getBlockHash', latest)).toBeNull();
  expect(shownBy('chain_getBlockHash', namedBlock('chain_getBlockHash', [5]))).toBe('hash');
  expect(shownBy('status', latest)).toBe('height');
  expect(shownBy('eth_getBalance', latest)).toBeNull();
  expect(shownBy('constructor', null)).toBeNull();
  for (const { methods } of TABLES)
    for (const [effect, rows] of Object.entries(methods))
      for (const [name, { shows, block }] of Object.entries(rows))
        if (shows !== undefined) expect([effect, block === undefined], name).toEqual(['read', false]);
});
