// Decides: what each failure of ours is called and which HTTP status and JSON-RPC code it carries.
// Must not know: how an answer is written, or which upstream failed.

export interface ErrorEntry {
  readonly statusCode: number;
  /** A standard JSON-RPC code. viem and ethers repeat -32603 and -32005 by themselves, but not -32000. */
  readonly jsonRpcCode: number;
  readonly message: string;
}

/**
 * One row per code. Where the numbers are a choice, they are chosen by what clients do with them:
 * only what may be repeated carries a code that viem or ethers repeat.
 */
export const ERRORS = {
  RPCB_PARSE: { statusCode: 400, jsonRpcCode: -32700, message: 'The body is not valid JSON' },
  RPCB_CONTENT_TYPE: { statusCode: 415, jsonRpcCode: -32600, message: 'The content type is not JSON' },
  RPCB_INVALID_REQUEST: {
    statusCode: 400,
    jsonRpcCode: -32600,
    message: 'The body is not a JSON-RPC request',
  },
  RPCB_UNKNOWN_NETWORK: { statusCode: 404, jsonRpcCode: -32600, message: 'There is no such network' },
  RPCB_UNKNOWN_UPSTREAM: {
    statusCode: 404,
    jsonRpcCode: -32600,
    message: 'There is no such upstream in this network',
  },
  RPCB_NOT_FOUND: { statusCode: 404, jsonRpcCode: -32600, message: 'There is no such route' },
  RPCB_BAD_PATH: {
    statusCode: 400,
    jsonRpcCode: -32600,
    message: 'Nodes could read this path in different ways',
  },
  RPCB_UNAUTHORIZED: { statusCode: 401, jsonRpcCode: -32001, message: 'The token is missing or wrong' },
  RPCB_INVALID_COMMAND: { statusCode: 400, jsonRpcCode: -32602, message: 'The command is not valid' },
  RPCB_TOO_LARGE: { statusCode: 413, jsonRpcCode: -32600, message: 'The request is too large' },
  RPCB_HOST_BODY: {
    statusCode: 500,
    jsonRpcCode: -32603,
    message: 'The body that a hook of this server made cannot be sent',
  },
  RPCB_OVERLOADED: {
    statusCode: 503,
    jsonRpcCode: -32005,
    message: 'Every upstream is at its limit; try again later',
  },
  RPCB_NO_UPSTREAM: { statusCode: 503, jsonRpcCode: -32603, message: 'No upstream is eligible' },
  RPCB_ATTEMPTS_FAILED: { statusCode: 502, jsonRpcCode: -32603, message: 'Every attempt failed' },
  RPCB_DEADLINE: { statusCode: 504, jsonRpcCode: -32603, message: 'The deadline passed' },
  RPCB_FATE_UNKNOWN: {
    statusCode: 502,
    jsonRpcCode: -32000,
    message: 'The request reached a node but its answer was lost, so it may have been executed',
  },
  RPCB_NODE_ERROR: {
    statusCode: 502,
    jsonRpcCode: -32000,
    message: 'The node answered with an error; details has it as the node wrote it',
  },
  RPCB_CONFIG: { statusCode: 500, jsonRpcCode: -32603, message: 'The configuration is not valid' },
  RPCB_STORE: { statusCode: 500, jsonRpcCode: -32603, message: 'The store cannot be used' },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERRORS;

export interface BalancerErrorOptions<Details> {
  /** What happened, to what, and what to do; no URL and no foreign text. */
  readonly detail?: string;
  readonly details?: Details;
  readonly cause?: unknown;
  /** When it makes sense to come back, in ms; sent as Retry-After in whole seconds, rounded up. */
  readonly retryAfterMs?: number;
}

/** The one error class of rpc-balancer. Callers match on `code`. */
export class BalancerError<Details = unknown> extends Error {
  override readonly name = 'BalancerError';
  readonly code: ErrorCode;
  /** Fastify answers with this status. */
  readonly statusCode: number;
  readonly jsonRpcCode: number;
  readonly details: Details | undefined;
  readonly retryAfterMs: number | undefined;
  /** Where the code is explained. */
  readonly docs: string;

  constructor(code: ErrorCode, options: BalancerErrorOptions<Details> = {}) {
    const entry = ERRORS[code];
    super(
      options.detail === undefined ? entry.message : `${entry.message}: ${options.detail}`,
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    this.code = code;
    this.statusCode = entry.statusCode;
    this.jsonRpcCode = entry.jsonRpcCode;
    this.details = options.details;
    this.retryAfterMs = options.retryAfterMs;
    this.docs = `docs/errors.md#${code.toLowerCase()}`;
  }
}
