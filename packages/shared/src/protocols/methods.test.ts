import { describe, expect, test } from 'vitest';
import { EVM_READS, EVM_WRITES } from './evm.ts';
import { createGlobTable, createSafetyOf, type Safety } from './methods.ts';

const safetyOf = createSafetyOf({ reads: [], writes: [] });

describe('the tables of methods', () => {
  test('give every method exactly one class', () => {
    const all = [...EVM_READS, ...EVM_WRITES];
    expect(all.filter((method, at) => all.indexOf(method) !== at)).toEqual([]);
    for (const method of all) expect(method).toMatch(/^[a-z][A-Za-z0-9]*_[A-Za-z0-9]+(_v\d)?$/);
  });

  test('call nothing a read that sends, signs, submits or sets', () => {
    const suspicious = /_(send|sign|submit|set|unlock|import|resend|cancel|new|mine|revert|reset|drop)/i;
    expect(EVM_READS.filter((method) => suspicious.test(method))).toEqual([]);
  });

  test.each<[string, Safety]>([
    ['eth_getBalance', 'read'],
    ['eth_call', 'read'],
    ['debug_traceTransaction', 'read'],
    ['eth_sendRawTransaction', 'write'],
    ['eth_sendTransaction', 'write'],
    ['personal_sign', 'write'],
    ['evm_mine', 'write'],
    ['eth_newFilter', 'unknown'],
    ['eth_getFilterChanges', 'unknown'],
    ['eth_uninstallFilter', 'unknown'],
    ['admin_addPeer', 'unknown'],
    ['eth_getbalance', 'unknown'],
    ['no_such', 'unknown'],
    ['', 'unknown'],
    ['__proto__', 'unknown'],
    ['constructor', 'unknown'],
  ])('say that %s is %s', (method, safety) => {
    expect(safetyOf(method)).toBe(safety);
  });
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
