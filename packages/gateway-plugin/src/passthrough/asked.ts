// Decides: what a request that is no JSON-RPC asks for: whether it is one of ours, what it may cost, how its replies are judged.
// Must not know: Fastify, upstreams.
import {
  BalancerError,
  type ChainView,
  chainView,
  hasUris,
  readPath,
  type Safety,
  verbSafety,
} from '@rpc-balancer/shared';
import { suffixOf } from '../request.ts';
import type { Call } from '../upstream/call.ts';
import type { Reply } from '../upstream/dispatch.ts';
import { type HttpJudgement, judgeHttp, judgeUri } from '../upstream/http-outcome.ts';
import type { Network } from '../upstream/network.ts';

export interface Asked {
  readonly verb: string;
  /** Behind the network's name; begins with a slash. */
  readonly path: string;
  /** The path and the query. */
  readonly suffix: string;
  /** Its method is what the globs of the configuration match: the path in its plain spelling, or the method of a URI call. */
  readonly call: Call;
  /** What its duration is compared with. */
  readonly kind: string;
  /** Whether two upstreams may be asked at once. */
  readonly safe: boolean;
  readonly judge: (reply: Reply, now: number) => HttpJudgement;
}

export interface Line {
  readonly verb: string;
  readonly url: string;
  /** How many path segments stand before the suffix. */
  readonly depth: number;
}

/** Whether what is asked with this verb behind the network's name is passed on, and not read as JSON-RPC. */
export function isPassedThrough({ config: { protocol } }: Network, verb: string): boolean {
  return protocol === 'http' || (hasUris(protocol) && verb === 'GET');
}

/** @throws BalancerError `RPCB_NOT_FOUND` or `RPCB_BAD_PATH` */
export function readAsked(network: Network, { verb, url, depth }: Line): Asked {
  const suffix = suffixOf(url, depth);
  const mark = suffix.indexOf('?');
  const path = (mark === -1 ? suffix : suffix.slice(0, mark)) || '/';
  const line = {
    ...{ verb, path, suffix: mark === -1 ? path : path + suffix.slice(mark) },
    spelled: spellingOf(path),
  };
  return hasUris(network.config.protocol) ? uriCall(network, line) : request(network, line);
}

/** The path as globs see it. */
function spellingOf(path: string): string {
  const spelled = readPath(path);
  if (spelled === null) {
    throw new BalancerError('RPCB_BAD_PATH', {
      detail: 'encode it as UTF-8, "#" as "%23", and leave "%00" out',
    });
  }
  // The proxy refuses the same before it sends.
  if (!spelled.includes('/..') && !spelled.includes('../')) return spelled;
  throw new BalancerError('RPCB_NOT_FOUND', {
    detail: 'the path has a segment that begins or ends with ".."; write it without',
  });
}

interface Where extends Pick<Asked, 'verb' | 'path' | 'suffix'> {
  readonly spelled: string;
}

function request(network: Network, { spelled, ...line }: Where): Asked {
  const { verb } = line;
  const configured = network.safetyOf(spelled);
  const known = configured === 'unknown' ? verbSafety(verb) : configured;
  const repeatable = known !== 'write' && known !== 'once';
  const retryOn = new Set(network.config.retryOn);
  return {
    ...line,
    call: callOf(spelled, repeatable ? 'read' : 'write', null),
    kind: verb, // A path often has an id in it.
    safe: known === 'read' || known === 'safe',
    judge: (reply, now) => judgeHttp(reply, retryOn, repeatable, now),
  };
}

/** Longer than any method; durations are kept by it. */
const METHOD_CHARS_MAX = 256;

/** `GET /status?…` calls the method `status`; by a URI, too, `broadcast_tx_sync` writes. */
function uriCall(network: Network, { spelled, ...line }: Where): Asked {
  const method = (spelled.split('/').at(-1) ?? '').slice(0, METHOD_CHARS_MAX);
  if (method === '') throw new BalancerError('RPCB_NOT_FOUND', { detail: 'name a method, such as /status' });
  const safety = network.safetyOf(method);
  return {
    ...line,
    call: callOf(method, safety, viewOf(method, line.suffix)),
    kind: method,
    safe: safety === 'read',
    judge: (reply, now) => judgeUri(reply, safety, now),
  };
}

/** What it asks of the chain, and what its answer shows: params of a URI call are those of JSON-RPC by name. */
function viewOf(method: string, suffix: string): ChainView | null {
  const query = new URLSearchParams(suffix.replace(/^[^?]*/, ''));
  const params = [...query].map(([name, text]) => [name, text.replaceAll('"', '')] as const);
  return chainView(method, Object.fromEntries(params));
}

function callOf(method: string, safety: Safety, view: ChainView | null): Call {
  return {
    method,
    safety,
    view,
    bytes: Buffer.alloc(0),
    id: null,
    answer: null,
    failure: null,
    lastResort: null,
    lacked: null,
    doubted: false,
    attempts: [],
  };
}
