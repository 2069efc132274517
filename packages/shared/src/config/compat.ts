// Decides: what `compat` changes in a network's configuration: its defaults, and what goes together with it.
// Must not know: how any of it is carried out.
import { z } from 'zod';
import { got } from './fields.ts';

/** What may send a request on to the next upstream; the words of nginx's `proxy_next_upstream`. */
const RETRY_ON = [
  'error',
  'timeout',
  'invalid_header',
  'http_500',
  'http_502',
  'http_503',
  'http_504',
  'http_429',
  'http_403',
  'http_404',
  'non_idempotent',
] as const;
export type RetryOn = (typeof RETRY_ON)[number];

/** A list of what moves on. */
export function retryOn() {
  return z
    .array(
      z.enum(RETRY_ON, { error: (issue) => `expected one of ${RETRY_ON.join(', ')}${got(issue.input)}` }),
    )
    .max(RETRY_ON.length);
}

interface Defaults {
  readonly maxFails: number;
  readonly failTimeout: number;
  readonly tries: number;
  readonly retryOn: readonly RetryOn[];
}

/** 403 and 404 are usually the client's own, and what is not idempotent may have been executed. */
const RETRY_ON_DEFAULT = RETRY_ON.slice(0, RETRY_ON.indexOf('http_403'));

const DEFAULTS: Readonly<Record<'own' | 'nginx', Omit<Defaults, 'retryOn'>>> = {
  own: { maxFails: 3, failTimeout: 30_000, tries: 3 },
  nginx: {
    maxFails: 1,
    failTimeout: 10_000,
    tries: 256, // As many as a network can have: nginx tries each once.
  },
};

/** Defaults of the keys that `compat` and the protocol have their own for. */
export function defaultsOf(network: Pick<Network, 'compat' | 'protocol'>): Defaults {
  return {
    ...DEFAULTS[network.compat ?? 'own'],
    retryOn: movesOnByStatus(network) ? RETRY_ON_DEFAULT : [],
  };
}

/** Whether transport and status decide what moves on, and not a JSON-RPC method and its answer. */
function movesOnByStatus({ compat, protocol }: Pick<Network, 'compat' | 'protocol'>): boolean {
  return compat === 'nginx' || protocol === 'http';
}

/** Those that nginx has. */
const STRATEGIES: ReadonlySet<string> = new Set(['least_conn', 'round_robin']);

interface Network {
  readonly protocol: string;
  readonly strategy: string;
  readonly compat: 'nginx' | null;
  readonly failTimeout?: number | undefined;
  readonly retryOn?: readonly RetryOn[] | undefined;
  readonly upstreams: readonly { readonly failTimeout?: number | undefined }[];
}

/** What is wrong with the network because of its `compat`. */
export function checkCompat(network: Network, context: z.RefinementCtx): void {
  const complain = (path: (string | number)[], message: string) =>
    context.addIssue({ code: 'custom', path, message });
  if (network.compat === null) {
    if (network.retryOn !== undefined && network.retryOn.length > 0 && !movesOnByStatus(network))
      complain(
        ['retryOn'],
        'retryOn has no effect without compat: nginx or protocol: http; without them the JSON-RPC method and the answer decide what moves on. Remove it, or set compat: nginx',
      );
    return;
  }
  if (!STRATEGIES.has(network.strategy))
    complain(
      ['strategy'],
      `expected least_conn or round_robin, which nginx has, because of compat: nginx${got(network.strategy)}`,
    );
  const expected = 'expected whole seconds, such as 10s, because compat: nginx counts whole seconds';
  const inSeconds = (ms: number | undefined) => ms === undefined || ms % 1000 === 0;
  if (!inSeconds(network.failTimeout)) complain(['failTimeout'], `${expected}${got(network.failTimeout)} ms`);
  network.upstreams.forEach(({ failTimeout }, at) => {
    if (!inSeconds(failTimeout))
      complain(['upstreams', at, 'failTimeout'], `${expected}${got(failTimeout)} ms`);
  });
}
