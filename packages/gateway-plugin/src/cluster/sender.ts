// Decides: who signed a raw transaction.
// Must not know: who took it. micro-eth-signer does it: small, audited parts, all types of transactions (viem is twenty times as large).

/**
 * The sender's address in lower case; null for what is no transaction of a known type. Costs about a millisecond, and
 * the library is loaded with the first write only.
 */
export async function senderOf(raw: string): Promise<string | null> {
  const { Transaction } = await import('micro-eth-signer');
  try {
    return Transaction.fromHex(raw, false).recoverSender().address.toLowerCase();
  } catch {
    return null;
  }
}
