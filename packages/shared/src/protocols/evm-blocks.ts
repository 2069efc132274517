// Decides: where each method of the Ethereum JSON-RPC API names a block, and what its answer shows of the chain. Data only.
// Sources: ethereum/execution-apis; the geth, erigon, reth, Otterscan and Bor name spaces that it does not cover.

/**
 * Positions of the parameters that name a block: a number, a tag, a block hash, an EIP-1898 object or a filter.
 * One that is left out means `latest`; none at all: the answer is of the latest block.
 */
export const EVM_BLOCK_PARAMS: Readonly<Record<string, readonly number[]>> = {
  eth_blockNumber: [],
  eth_gasPrice: [],
  eth_maxPriorityFeePerGas: [],
  eth_blobBaseFee: [],
  eth_baseFee: [],
  eth_feeHistory: [1],
  eth_getBalance: [1],
  eth_getCode: [1],
  eth_getStorageAt: [2],
  eth_getStorageValues: [1],
  eth_getTransactionCount: [1],
  eth_getProof: [2],
  eth_getAccount: [1],
  eth_call: [1],
  eth_callMany: [1],
  eth_estimateGas: [1],
  eth_createAccessList: [1],
  eth_simulateV1: [1],
  eth_multicallV1: [1],
  eth_getBlockByHash: [0],
  eth_getBlockByNumber: [0],
  eth_getHeaderByHash: [0],
  eth_getHeaderByNumber: [0],
  eth_getBlockReceipts: [0],
  eth_getBlockTransactionCountByHash: [0],
  eth_getBlockTransactionCountByNumber: [0],
  eth_getUncleByBlockHashAndIndex: [0],
  eth_getUncleByBlockNumberAndIndex: [0],
  eth_getUncleCountByBlockHash: [0],
  eth_getUncleCountByBlockNumber: [0],
  eth_getTransactionByBlockHashAndIndex: [0],
  eth_getTransactionByBlockNumberAndIndex: [0],
  eth_getRawTransactionByBlockHashAndIndex: [0],
  eth_getRawTransactionByBlockNumberAndIndex: [0],
  eth_getTransactionReceiptsByBlock: [0],
  eth_getLogs: [0],
  eth_getBlobSidecars: [0],
  debug_traceCall: [1],
  debug_traceCallMany: [1],
  debug_traceBlockByHash: [0],
  debug_traceBlockByNumber: [0],
  debug_getRawBlock: [0],
  debug_getRawHeader: [0],
  debug_getRawReceipts: [0],
  debug_getModifiedAccountsByHash: [0, 1],
  debug_getModifiedAccountsByNumber: [0, 1],
  debug_storageRangeAt: [0],
  debug_accountRange: [0],
  debug_dumpBlock: [0],
  debug_executionWitness: [0],
  trace_block: [0],
  trace_call: [2],
  trace_callMany: [1],
  trace_filter: [0],
  trace_replayBlockTransactions: [0],
  erigon_blockNumber: [0],
  erigon_getHeaderByHash: [0],
  erigon_getHeaderByNumber: [0],
  erigon_getLogsByHash: [0],
  erigon_getLatestLogs: [0],
  ots_getBlockDetails: [0],
  ots_getBlockTransactions: [0],
  ots_hasCode: [1],
  ots_searchTransactionsBefore: [1],
  ots_searchTransactionsAfter: [1],
  bor_getAuthor: [0],
  bor_getCurrentValidators: [],
  bor_getCurrentProposer: [],
  bor_getRootHash: [0, 1],
  bor_getSnapshot: [0],
  optimism_outputAtBlock: [0],
  arbtrace_block: [0],
  zks_getBlockDetails: [0],
  linea_estimateGas: [1],
};

/** Methods whose result is the number of the node's head. */
export const EVM_ANSWERS_NUMBER: readonly string[] = ['eth_blockNumber'];

/** Methods whose result is a block or its header, with `number` and `hash`. */
export const EVM_ANSWERS_BLOCK: readonly string[] = [
  'eth_getBlockByNumber',
  'eth_getBlockByHash',
  'eth_getHeaderByNumber',
  'eth_getHeaderByHash',
];

/** Methods that take a signed transaction as first parameter and answer its hash. */
export const EVM_RAW_WRITES: readonly string[] = [
  'eth_sendRawTransaction',
  'eth_sendRawTransactionConditional',
];

/** Methods whose first parameter is a transaction's hash, or a sender's address whose nonce is asked. */
export const EVM_READS_OF_WRITES: readonly string[] = [
  'eth_getTransactionCount',
  'eth_getTransactionByHash',
  'eth_getTransactionReceipt',
  'eth_getRawTransactionByHash',
];
