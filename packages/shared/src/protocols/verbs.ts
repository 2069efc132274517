// Decides: which verbs of HTTP are passed on, and whether a request with one may be sent twice.
// Must not know: JSON-RPC, attempts, answers.

/**
 * `safe`: asks and changes nothing, so that it may be asked of two nodes at once. `idempotent`: changes the same if sent
 * again. `once`: neither is known.
 */
export type VerbSafety = 'safe' | 'idempotent' | 'once';

/** RFC 9110 section 9.2 and, for the rest, the IANA registry of HTTP methods. */
const SAFE = ['GET', 'HEAD', 'OPTIONS', 'PROPFIND', 'QUERY', 'REPORT', 'SEARCH'] as const;
const IDEMPOTENT = [
  ...[
    'PUT',
    'DELETE',
    'ACL',
    'BIND',
    'CHECKOUT',
    'COPY',
    'LINK',
    'MERGE',
    'MKACTIVITY',
    'MKCALENDAR',
    'MKCOL',
  ],
  ...['MOVE', 'PROPPATCH', 'REBIND', 'UNBIND', 'UNLINK', 'UNLOCK'],
] as const;
/** The registry says no of these, which are also the three that nginx does not repeat. */
const REFUSED = ['POST', 'PATCH', 'LOCK'] as const;
/** Not in the registry. */
const UNKNOWN = ['M-SEARCH', 'NOTIFY', 'PURGE', 'SOURCE', 'SUBSCRIBE', 'UNSUBSCRIBE'] as const;

const TABLE: ReadonlyMap<string, VerbSafety> = new Map([
  ...SAFE.map((verb) => [verb, 'safe'] as const),
  ...IDEMPOTENT.map((verb) => [verb, 'idempotent'] as const),
]);

/**
 * What a server of Node can hear, but for two: CONNECT makes a tunnel, and TRACE would be answered with the headers that the node
 * was sent, the secrets of the configuration among them.
 */
export const PASSED_VERBS: readonly string[] = [...SAFE, ...IDEMPOTENT, ...REFUSED, ...UNKNOWN];

export function verbSafety(verb: string): VerbSafety {
  return TABLE.get(verb) ?? 'once';
}

const NOT_REPEATED_BY_NGINX: ReadonlySet<string> = new Set(REFUSED);

/** Whether nginx sends it again without being asked to (its `non_idempotent`). */
export function isRepeatedByNginx(verb: string): boolean {
  return !NOT_REPEATED_BY_NGINX.has(verb);
}
