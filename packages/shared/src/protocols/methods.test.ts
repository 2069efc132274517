import { describe, expect, test } from 'vitest';
import { createGlobTable, createSafetyOf, type MethodTraits, type Safety, traitsOf } from './methods.ts';
import type { Effect, Method, ProtocolTable } from './table.ts';
import { PROTOCOL_NAMES, PROTOCOLS, type ProtocolName, TABLES } from './tables.ts';

const safetyOf = createSafetyOf({ reads: [], writes: [] });

const NAMES: Readonly<Record<ProtocolName, RegExp>> = {
  evm: /^[a-z][A-Za-z0-9]*_[A-Za-z0-9]+(?:_v\d|_unsubscribe)?$/,
  substrate: /^(?:[a-z][A-Za-z0-9]*(?:_(?:v1|unstable|state|sessionKeys))*_[A-Za-z0-9_]+)$/,
  cometbft: /^[a-z]+(?:_[a-z]+)*$/,
  http: /(?!)/,
};

function rowsOf(table: ProtocolTable): readonly [name: string, effect: string, method: Method][] {
  return Object.entries(table.methods).flatMap(([effect, methods]) =>
    Object.entries(methods).map(([name, method]) => [name, effect, method] as [string, string, Method]),
  );
}

const ROWS = TABLES.flatMap(rowsOf);
const namesOf = (effect: Effect) => ROWS.filter(([, own]) => own === effect).map(([name]) => name);

test('each protocol is called as its table says', () => {
  expect(TABLES.map(({ name }) => name)).toEqual(PROTOCOL_NAMES);
});

describe('the tables of methods', () => {
  test('give every method exactly one protocol and one effect', () => {
    const names = ROWS.map(([name]) => name);
    expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([]);
  });

  test('lose no method unnoticed', () => {
    const counts = TABLES.map((table) => [table.name, rowsOf(table).length]);
    expect(Object.fromEntries(counts)).toEqual({ evm: 381, substrate: 193, cometbft: 34, http: 0 });
  });

  test.each(PROTOCOL_NAMES)('of %s spell names as its nodes do', (protocol) => {
    for (const [name] of rowsOf(PROTOCOLS[protocol])) expect(name).toMatch(NAMES[protocol]);
  });

  test('call nothing a read that sends, signs, submits, subscribes or sets', () => {
    const suspicious =
      /_(?:send|sign|submit|subscribe|set|unlock|import|resend|cancel|new|mine|revert|reset|drop|add|remove|insert|rotate|broadcast|stop|start|write|delete)(?![a-z])/i;
    expect(namesOf('read').filter((method) => suspicious.test(method))).toEqual([]);
  });

  test('mark as for operators what begins as their methods do', () => {
    for (const table of TABLES)
      for (const [name, , { admin }] of rowsOf(table))
        if (table.adminPrefixes.some((prefix) => name.startsWith(prefix))) expect(admin, name).toBe(true);
  });

  test('say of a cost only what differs from that of a look-up', () => {
    const costs = new Set(ROWS.map(([, , { cost }]) => cost));
    expect([...costs].toSorted()).toEqual([10, 2, 50, undefined]);
  });

  test('name methods of each node that the documents of the others do not', () => {
    const listed = new Set(ROWS.map(([name]) => name));
    const samples = [
      ...['debug_freezeClient', 'reth_forkSchedule', 'debug_getChainLevel', 'parity_netPeers'],
      ...['trace_replayBlockTransactions', 'engine_newPayloadV4', 'eth_createAccessList'],
      ...['ots_getHeaderByNumber', 'net_localEnode'],
      ...['archive_v1_hashByHeight', 'chainSpec_v1_genesisHash', 'childstate_getKeysPaged', 'mmr_root'],
      ...['state_trieMigrationStatus', 'genesis_chunked', 'header_by_hash', 'num_unconfirmed_txs'],
    ];
    expect(samples.filter((name) => !listed.has(name))).toEqual([]);
  });

  test.each<[string, Safety]>([
    ['eth_getBalance', 'read'],
    ['eth_call', 'read'],
    ['debug_traceTransaction', 'read'],
    ['state_getStorage', 'read'],
    ['abci_query', 'read'],
    ['check_tx', 'read'],
    ['eth_sendRawTransaction', 'write'],
    ['eth_sendTransaction', 'write'],
    ['author_submitExtrinsic', 'write'],
    ['author_rotateKeys', 'write'],
    ['broadcast_tx_commit', 'write'],
    ['personal_sign', 'write'],
    ['evm_mine', 'write'],
    ['eth_newFilter', 'unknown'],
    ['eth_getFilterChanges', 'unknown'],
    ['eth_uninstallFilter', 'unknown'],
    ['admin_addPeer', 'unknown'],
    ['chainHead_v1_follow', 'unknown'],
    ['transactionWatch_v1_submitAndWatch', 'unknown'],
    ['unsafe_flush_mempool', 'unknown'],
    ['eth_getbalance', 'unknown'],
    ['no_such', 'unknown'],
    ['', 'unknown'],
    ['__proto__', 'unknown'],
    ['constructor', 'unknown'],
  ])('say that %s is %s', (method, safety) => {
    expect(safetyOf(method)).toBe(safety);
  });
});

test.each<[string, MethodTraits]>([
  ['eth_getBalance', { protocol: 'evm', effect: 'read', admin: false, cost: 1 }],
  ['eth_getLogs', { protocol: 'evm', effect: 'read', admin: false, cost: 10 }],
  ['trace_block', { protocol: 'evm', effect: 'read', admin: false, cost: 50 }],
  ['eth_sendRawTransaction', { protocol: 'evm', effect: 'signed', admin: false, cost: 1 }],
  ['personal_sendTransaction', { protocol: 'evm', effect: 'filled', admin: true, cost: 1 }],
  ['debug_setHead', { protocol: 'evm', effect: 'node', admin: true, cost: 1 }],
  ['eth_subscribe', { protocol: 'evm', effect: 'connection', admin: false, cost: 1 }],
  ['state_getPairs', { protocol: 'substrate', effect: 'read', admin: true, cost: 50 }],
  ['author_insertKey', { protocol: 'substrate', effect: 'filled', admin: true, cost: 1 }],
  ['system_addReservedPeer', { protocol: 'substrate', effect: 'node', admin: true, cost: 1 }],
  ['block_search', { protocol: 'cometbft', effect: 'read', admin: false, cost: 50 }],
  ['dial_seeds', { protocol: 'cometbft', effect: 'node', admin: true, cost: 1 }],
  ['admin_whatComesNext', { protocol: null, effect: 'unknown', admin: true, cost: 1 }],
  ['unsafe_something', { protocol: null, effect: 'unknown', admin: true, cost: 1 }],
  ['hasOwnProperty', { protocol: null, effect: 'unknown', admin: false, cost: 1 }],
])('the traits of %s are %j', (method, traits) => {
  expect(traitsOf(method)).toEqual(traits);
});

describe('the rules of a network', () => {
  const ruled = createSafetyOf({
    reads: ['custom_*', 'eth_sendUserOperation'],
    writes: ['custom_set*', 'eth_call'],
  });

  test.each<[string, Safety]>([
    ['custom_getThing', 'read'],
    ['custom_setThing', 'write'],
    ['custom_', 'read'],
    ['xcustom_get', 'unknown'],
    ['eth_sendUserOperation', 'read'],
    ['eth_call', 'write'],
    ['eth_callMany', 'read'],
    ['eth_getBalance', 'read'],
    ['eth_sendRawTransaction', 'write'],
  ])('win over the tables, writes over reads: %s is %s', (method, safety) => {
    expect(ruled(method)).toBe(safety);
  });

  test('let a star stand for any text, dots and slashes included', () => {
    const all = createSafetyOf({ reads: ['*'], writes: [] });
    for (const method of ['a', 'a.b', '.a', 'a/b', 'a_b']) expect(all(method)).toBe('read');
    expect(all('eth_sendRawTransaction')).toBe('read');
  });
});

describe('a table of globs', () => {
  test('gives the value of the first that matches', () => {
    const limitOf = createGlobTable({ 'debug_trace*': 1, 'debug_*': 2, eth_call: 3 });
    expect(limitOf('debug_traceBlock')).toBe(1);
    expect(limitOf('debug_getRawBlock')).toBe(2);
    expect(limitOf('eth_call')).toBe(3);
    expect(limitOf('eth_callMany')).toBeUndefined();
    expect(limitOf('toString')).toBeUndefined();
    expect(createGlobTable({})('eth_call')).toBeUndefined();
  });
});
