// Decides: what each method of a CometBFT node is, where it names a block, and what its answer shows. Data only.
// Source: CometBFT 0.38.19, rpc/core/routes.go (with AddUnsafeRoutes) and rpc/core/env.go. The same names serve as URIs.
// Blocks by hash name no block here: requests spell hashes as base64, answers as hexadecimal.
import { type Method, type ProtocolTable, REPLAY, RUN, SCAN } from './table.ts';

/** Of a stored block. */
const AT_HEIGHT: Method = { block: [0], names: ['height'] };
/** A node knows who decides the next block, and by what rules, before it is there. */
const FOR_HEIGHT: Method = { ...AT_HEIGHT, lead: 1 };

export const COMETBFT: ProtocolTable = {
  name: 'cometbft',
  maxLagBlocks: 3, // Some 18 s of Cosmos; a validator votes on each block, so honest nodes are close together.
  identity: {
    // MaxChainIDLen of CometBFT.
    pattern: /^[\x21-\x7e]{1,50}$/,
    expected: 'a chain id of at most 50 visible characters, such as "cosmoshub-4"',
    foldsCase: false,
  },
  hasUris: true,
  heights: 'decimal',
  adminPrefixes: ['unsafe_', 'dial_'],
  methods: {
    read: {
      health: {},
      status: { block: [], shows: 'height' },
      net_info: {},
      blockchain: { block: [0, 1], names: ['minHeight', 'maxHeight'], cost: RUN },
      genesis: { cost: SCAN },
      genesis_chunked: { cost: SCAN },
      block: { ...AT_HEIGHT, shows: 'height' },
      block_by_hash: {},
      block_results: { ...AT_HEIGHT, cost: RUN },
      block_search: { block: [], cost: REPLAY },
      commit: { ...AT_HEIGHT, shows: 'height' },
      header: { ...AT_HEIGHT, shows: 'height' },
      header_by_hash: {},
      check_tx: { block: [], cost: RUN },
      tx: {},
      tx_search: { block: [], cost: REPLAY },
      validators: FOR_HEIGHT,
      consensus_params: FOR_HEIGHT,
      consensus_state: {},
      dump_consensus_state: { cost: SCAN },
      unconfirmed_txs: { cost: RUN },
      num_unconfirmed_txs: {},
      // Its height is the application's, which comes a moment after the block's.
      abci_info: { block: [] },
      abci_query: { block: [2], names: ['height'], cost: RUN },
    },
    signed: {
      broadcast_tx_sync: { cost: RUN },
      broadcast_tx_async: {},
      // Holds the request until the transaction is in a block.
      broadcast_tx_commit: { cost: SCAN },
      broadcast_evidence: {},
    },
    filled: {},
    node: {
      dial_peers: { admin: true },
      dial_seeds: { admin: true },
      unsafe_flush_mempool: { admin: true },
    },
    connection: {
      subscribe: {},
      unsubscribe: {},
      unsubscribe_all: {},
    },
  },
};
