// Decides: what a test can tell a FakeNode, and what the node tells of itself.
import type { IncomingHttpHeaders } from 'node:http';
import type { ChainOptions } from './fake-chain.ts';
import type { Fault } from './fake-faults.ts';
import type { FakeCall, Reply } from './fake-methods.ts';
import type { Pushes, PushMode } from './fake-sockets.ts';

/**
 * `late` waits `lateMs`; `frozen`: the head stands still; `lie`: it claims `lieBy` blocks more; `cut`: half a body,
 * then the end; `stall`: half a body, then silence; `null`: result null to everything; `reads500`: probes are
 * answered, all else is 500; `executeThenReset`: a write is executed and its answer lost.
 */
export type Mode =
  | 'ok'
  | 'late'
  | 'null'
  | 'reads500'
  | 'frozen'
  | 'lie'
  | 'cut'
  | 'stall'
  | 'executeThenReset'
  | Fault;

/** Instead of the answer. `raw` is the whole envelope. `status`, `stream` and `hang` are the whole HTTP answer. */
export type Override = (
  | Reply
  | { readonly raw: string }
  | { readonly status: number; readonly body?: string; readonly headers?: Readonly<Record<string, string>> }
  | { readonly stream: number; readonly chunked?: boolean }
  | { readonly hang: true }
) & {
  /** Delays the whole HTTP answer. */
  readonly afterMs?: number;
  /** Holds the whole HTTP answer back. */
  readonly until?: Promise<unknown>;
};

export interface RecordedRequest {
  readonly verb: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly methods: readonly string[];
  readonly body: string;
  /** Epoch ms. */
  readonly at: number;
}

/** Everything here may also be changed while the node runs. */
export interface NodeScript {
  mode: Mode;
  lateMs: number;
  lieBy: number;
  retryAfter: string | number | undefined;
  clientVersion: string;
  /** Entries of each eth_getLogs answer. */
  logCount: number;
  shuffleBatch: boolean;
  /** Whether it answers every verb and body, the path being the method of what is no JSON-RPC. */
  anyVerb: boolean;
  dropFromBatch: ((index: number) => boolean) | undefined;
  answer: ((call: FakeCall) => Override | undefined) | undefined;
}

export interface FakeNodeOptions extends ChainOptions, Partial<NodeScript> {
  /** Default 127.0.0.1; every address of 127.0.0.0/8 is one of ours. */
  readonly host?: string;
  readonly port?: number;
  readonly syncing?: unknown;
  /** How it tells of heads over WebSocket, if asked; default as Ethereum does. */
  readonly pushes?: Pushes;
  /** Default `off`: many nodes have no WebSocket where their HTTP is. */
  readonly pushMode?: PushMode;
}
