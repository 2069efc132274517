import { privateKeyToAccount } from 'viem/accounts';
import { describe, expect, test } from 'vitest';
import { senderOf } from './sender.ts';

const account = privateKeyToAccount(`0x${'ab'.repeat(32)}`);
const common = { gas: 21_000n, to: account.address, value: 1n } as const;
const fees = { maxFeePerGas: 10n, maxPriorityFeePerGas: 1n } as const;

describe('the sender of a raw transaction', () => {
  test.each([
    ['before EIP-155', { type: 'legacy', nonce: 1, gasPrice: 1n, ...common }],
    ['of EIP-155', { type: 'legacy', chainId: 1, nonce: 1, gasPrice: 1n, ...common }],
    ['of EIP-2930', { type: 'eip2930', chainId: 31_337, nonce: 0, gasPrice: 1n, accessList: [], ...common }],
    ['of EIP-1559', { type: 'eip1559', chainId: 10, nonce: 300, ...fees, ...common }],
    ['that makes a contract', { type: 'legacy', chainId: 1, nonce: 1, gasPrice: 1n, gas: 9n, data: '0x60' }],
  ] as const)('%s is found', async (_, transaction) => {
    expect(await senderOf(await account.signTransaction(transaction))).toBe(account.address.toLowerCase());
  });

  test('of EIP-7702 is found', async () => {
    const authorization = await account.signAuthorization({ address: account.address, chainId: 1, nonce: 1 });
    const transaction = { type: 'eip7702', chainId: 1, nonce: 0, ...fees, ...common } as const;
    const raw = await account.signTransaction({ ...transaction, authorizationList: [authorization] });
    expect(await senderOf(raw)).toBe(account.address.toLowerCase());
  });

  test.each(['', '0x', '0x00', '0xzz', `0x02${'f8'.repeat(40)}`])('of %s is nobody', async (raw) => {
    expect(await senderOf(raw)).toBeNull();
  });
});
