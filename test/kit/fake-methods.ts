// Decides: what a FakeNode answers to each method when it is well.
// Must not know: HTTP, envelopes, faults of the transport.
import { balanceOf, digest, type FakeChain, hex } from './fake-chain.ts';

export interface RpcError {
  readonly code: number;
  readonly message: string;
  readonly data?: unknown;
}

/** A result as JSON value or as the text that stands in the answer, or an error. */
export type Reply =
  | { readonly result: unknown }
  | { readonly resultText: string }
  | { readonly error: RpcError };

export interface FakeCall {
  readonly method: string;
  readonly params: unknown;
  /** The bytes of `params`, empty if there are none. */
  readonly paramsText: string;
  /** The bytes of `id`; undefined for a notification. */
  readonly id: string | undefined;
  /** Place in the batch; 0 for a single call. */
  readonly index: number;
}

/** What a sidecar asks. Everything else counts as a read of a client (`reads`). */
export const PROBE_METHODS: ReadonlySet<string> = new Set([
  'eth_chainId',
  'eth_syncing',
  'eth_blockNumber',
  'eth_getBlockByNumber',
  'net_version',
  'net_peerCount',
]);

export const WRITE_METHODS: ReadonlySet<string> = new Set(['eth_sendRawTransaction', 'eth_sendTransaction']);

export interface MethodContext {
  readonly chain: FakeChain;
  readonly clientVersion: string;
  readonly logCount: number;
  readonly executed: ReadonlySet<string>;
}

type Method = (params: readonly unknown[], call: FakeCall, context: MethodContext) => Reply;

const result = (value: unknown): Reply => ({ result: value });

/** Stands in for the keccak hash of a raw transaction: stable, and unlike for unlike transactions. */
export function transactionHash(paramsText: string): string {
  return digest(`transaction:${paramsText}`);
}

const METHODS: Readonly<Record<string, Method>> = {
  eth_chainId: (_, __, { chain }) => result(hex(chain.chainId)),
  net_version: (_, __, { chain }) => result(String(chain.chainId)),
  net_peerCount: () => result('0x19'),
  web3_clientVersion: (_, __, { clientVersion }) => result(clientVersion),
  eth_blockNumber: (_, __, { chain }) => result(hex(Math.max(0, chain.head + chain.lieBy))),
  eth_getBlockByNumber: ([tag], __, { chain }) => result(chain.block(tag)),
  eth_syncing: (_, __, { chain }) => result(chain.syncing),
  eth_gasPrice: () => result('0x3b9aca00'),
  eth_call: () => result('0x'),
  eth_getBalance: ([address], __, { chain }) => result(balanceOf(String(address), chain.chainId)),
  eth_getTransactionCount: () => result('0x0'),
  eth_getTransactionByHash: ([hash], __, { executed }) =>
    result(executed.has(String(hash)) ? { hash, blockNumber: null } : null),
  eth_getLogs: (_, __, { chain, logCount }) =>
    result(Array.from({ length: logCount }, (__, at) => logEntry(chain, at))),
  eth_sendRawTransaction: (_, { paramsText }) => result(transactionHash(paramsText)),
  eth_sendTransaction: (_, { paramsText }) => result(transactionHash(paramsText)),
  test_echo: (_, { paramsText }) => ({ resultText: paramsText === '' ? 'null' : paramsText }),
  test_revert: () => ({
    error: { code: 3, message: 'execution reverted: no', data: '0x08c379a0' },
  }),
};

function logEntry(chain: FakeChain, at: number): unknown {
  return {
    address: '0x00000000000000000000000000000000000000aa',
    topics: [digest('topic')],
    data: digest(`log:${at}`),
    blockNumber: hex(chain.head),
    blockHash: chain.hashOf(chain.head),
    transactionHash: digest(`log-transaction:${at}`),
    transactionIndex: '0x0',
    logIndex: hex(at),
    removed: false,
  };
}

export function replyTo(call: FakeCall, context: MethodContext): Reply {
  const method = Object.hasOwn(METHODS, call.method) ? METHODS[call.method] : undefined;
  if (!method) {
    const message = `the method ${call.method} does not exist/is not available`;
    return { error: { code: -32601, message } };
  }
  return method(Array.isArray(call.params) ? call.params : [], call, context);
}
