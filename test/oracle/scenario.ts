// Decides: what is asked of nginx and of a replica alike: a random group of nodes, and a random script over it.
// Must not know: who plays it. The same seed gives the same scenario.
import { createRandom } from '../kit/clock.ts';

export const MODES = [
  ...['ok', 'http500', 'http501', 'http502', 'http503', 'http504', 'http429', 'http403', 'http404'],
  ...['reset', 'refused', 'hang', 'stall', 'garbage', 'badHeader', 'cut'],
] as const;
export type NodeMode = (typeof MODES)[number];

export interface NodeSettings {
  readonly weight: number;
  readonly maxFails: number;
  readonly failTimeoutS: number;
  /** 0: without limit. */
  readonly maxConns: number;
  readonly backup: boolean;
  readonly down: boolean;
}

export type Step =
  | { readonly do: 'mode'; readonly node: number; readonly mode: NodeMode }
  | { readonly do: 'request'; readonly verb: string }
  /** A request that stays in flight at the node that gets it, until `leave`. */
  | { readonly do: 'hold' }
  | { readonly do: 'leave' };

export interface Scenario {
  readonly seed: number;
  /** `http`: every verb; `evm`: JSON-RPC, which is all POST. */
  readonly protocol: 'evm' | 'http';
  readonly strategy: 'least_conn' | 'round_robin';
  readonly nodes: readonly NodeSettings[];
  readonly retryOn: readonly string[];
  /** 0: each upstream once. */
  readonly tries: number;
  /** After it no attempt begins; 0: a time that no scenario takes. */
  readonly deadlineMs: number;
  /** What happens at once; between two groups everything that was excluded may be tried again. */
  readonly groups: readonly (readonly Step[])[];
}

/** Those that nginx does not repeat are drawn as often as others. */
const VERBS = [
  ...['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'PROPFIND', 'MKCOL', 'MOVE', 'UNLOCK'],
  ...['POST', 'PATCH', 'LOCK', 'POST', 'PATCH', 'LOCK'],
];

const RETRY_ON = [
  ...['error', 'timeout', 'invalid_header', 'http_500', 'http_502', 'http_503', 'http_504', 'http_429'],
  ...['http_403', 'http_404'],
];

/** What these do costs a timeout. */
export const SLOW: ReadonlySet<string> = new Set<NodeMode>(['hang', 'stall']);

/** Shorter than a timeout, and far longer than attempts without one take. */
const DEADLINE_MS = 300;

export function scenarioOf(seed: number): Scenario {
  const random = createRandom(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  const oneIn = (count: number) => below(count) === 0;
  const protocol = seed % 2 === 0 ? 'http' : 'evm';
  const drawVerb = () => (protocol === 'http' ? (VERBS[below(VERBS.length)] ?? 'GET') : 'POST');
  const nodeCount = 1 + below(4);
  // A node that hangs costs a timeout each time, which must fit between two whole seconds.
  const slow = oneIn(3);
  const modes = MODES.filter((mode) => slow || !SLOW.has(mode));
  const nodes = Array.from({ length: nodeCount }, (_, at) => ({
    weight: 1 + below(5),
    maxFails: below(4),
    failTimeoutS: slow ? 2 : 1 + below(2),
    maxConns: oneIn(5) ? 1 + below(2) : 0,
    backup: at > 0 && oneIn(4),
    down: oneIn(12),
  }));
  const retryOn = [...RETRY_ON.filter(() => !oneIn(5)), ...(oneIn(2) ? ['non_idempotent'] : [])];
  // Which of several idle connections is taken is not nginx's choice there; it shows when stale ones are tried again.
  const holds = protocol === 'evm' && !retryOn.includes('non_idempotent');
  const drawMode = () => (oneIn(3) ? 'ok' : (modes[below(modes.length)] ?? 'ok'));
  const drawStep = (): Step => {
    const luck = below(20);
    if (luck < 5) return { do: 'mode', node: below(nodeCount), mode: drawMode() };
    if (luck < 7 && holds) return { do: 'hold' };
    return luck < 9 && holds ? { do: 'leave' } : { do: 'request', verb: drawVerb() };
  };
  const first = nodes.map((_, node): Step => ({ do: 'mode', node, mode: drawMode() }));
  return {
    seed,
    protocol,
    strategy: oneIn(3) ? 'round_robin' : 'least_conn',
    nodes,
    retryOn,
    tries: oneIn(3) ? 1 + below(3) : 0,
    deadlineMs: slow && oneIn(3) ? DEADLINE_MS : 0,
    groups: Array.from({ length: 3 }, (_, at) => [
      ...(at === 0 ? first : []),
      ...Array.from({ length: slow ? 5 : 4 + below(8) }, drawStep),
    ]),
  };
}
