import { expect, test } from 'vitest';
import { chainView } from './view.ts';

const HASH = `0x${'ab'.repeat(32)}`;
const NOTHING = { named: null, shown: null, subject: null, raw: null };

test('a call is seen with all that it has to do with the head of the chain', () => {
  expect(chainView('eth_chainId', ['0x1'])).toBeNull();
  expect(chainView('no_such', ['0x1'])).toBeNull();
  expect(chainView('eth_getTransactionReceipt', [HASH])).toEqual({ ...NOTHING, subject: HASH });
  expect(chainView('eth_sendRawTransaction', ['0x02'])).toEqual({ ...NOTHING, raw: '0x02' });
  expect(chainView('eth_getBlockByNumber', ['0x2', false])).toEqual({
    ...NOTHING,
    named: { number: 2, hash: null, tag: null },
    shown: 'block',
  });
  expect(chainView('chain_getBlockHash', [2])).toEqual({
    ...NOTHING,
    named: { number: 2, hash: null, tag: null },
    shown: 'hash',
  });
  expect(chainView('status', {})).toEqual({
    ...NOTHING,
    named: { number: null, hash: null, tag: 'latest' },
    shown: 'height',
  });
});
