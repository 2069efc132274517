// Decides: which headers of a request that is passed on go to the node, and which of its answer come back.
// Must not know: Fastify, upstreams.

export type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** Between two neighbours only (RFC 9110 section 7.6.1), whether `connection` names them or not. */
const HOP_BY_HOP = [
  ...['connection', 'keep-alive', 'proxy-authenticate', 'proxy-authorization', 'proxy-connection', 'te'],
  ...['trailer', 'transfer-encoding', 'upgrade', 'http2-settings'],
];

const KEPT_HERE: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  ...['host', 'content-length', 'expect'], // Written anew for each attempt.
  'x-rpcb-use', // Said to us.
]);

/**
 * What of a client's headers goes along; what the balancer says of the client, and then the configuration, win over it.
 * @param own flat list of name, value
 */
export function requestHeaders(client: Headers, own: readonly string[]): Record<string, string | string[]> {
  const passed = Object.entries(client).filter(([name]) => !KEPT_HERE.has(name));
  return Object.fromEntries([...passed.flatMap(present), ...pairsOf(own)]);
}

/** Where a node stands, and where clients reach it. */
export interface Place {
  readonly origin: string;
  /** The `Host` that it was sent, by which it may call itself. */
  readonly host: string;
  /** Path and query of its own address, in front of those of every request. */
  readonly path: string;
  readonly query: string;
  /** The network's path here. */
  readonly here: string;
  /** The path that was asked for, behind the network's. */
  readonly asked: string;
}

/** Headers with an address that clients follow. */
const ADDRESSES: ReadonlySet<string> = new Set(['location', 'content-location']);

/** A node's own, as they are, but for addresses of itself: nobody else reaches it there, and the query may hold a key. */
export function answerHeaders(node: Headers, place: Place): Record<string, string | string[]> {
  const { connection = '' } = node;
  const named = String(connection)
    .split(',')
    .map((name) => name.trim().toLowerCase());
  const hop = new Set([...HOP_BY_HOP, ...named]);
  return Object.fromEntries(
    Object.entries(node)
      .filter(([name]) => !hop.has(name))
      .flatMap(present)
      .map(([name, value]) => {
        const isAddress = ADDRESSES.has(name) && typeof value === 'string';
        return [name, isAddress ? addressHere(value, place) : value];
      }),
  );
}

function addressHere(text: string, place: Place): string {
  const { origin, path, query, here, asked } = place;
  const target = URL.parse(text, `${origin}${path}${asked}`);
  if (target === null || !isOwn(target, place)) return text;
  const own = new Set(query.slice(1).split('&'));
  const pairs = target.search
    .slice(1)
    .split('&')
    .filter((pair) => !own.has(pair));
  target.search = pairs.join('&');
  const { pathname, search, hash } = target;
  if (`${pathname}/`.startsWith(`${path}/`)) return `${here}${pathname.slice(path.length)}${search}${hash}`;
  return `${URL.canParse(text) ? target.origin : ''}${pathname}${search}${hash}`; // Not served here.
}

/** Whether a node means itself. By the name that it was sent it may say either scheme, since TLS may end before it. */
function isOwn({ origin: said, protocol, host: saidHost }: URL, { origin, host }: Place): boolean {
  if (said === new URL(origin).origin) return true;
  return /^https?:$/.test(protocol) && saidHost === URL.parse(`${protocol}//${host}`)?.host;
}

/** Flat list of name, value; a header that came several times stands there as often. */
export function listOf(headers: Headers): string[] {
  return Object.entries(headers).flatMap(([name, value]) =>
    [value ?? []].flat().flatMap((text) => [name, text]),
  );
}

function present([name, value]: [string, string | string[] | undefined]) {
  return value === undefined ? [] : [[name, value] as const];
}

function pairsOf(list: readonly string[]): (readonly [string, string])[] {
  const pairs: (readonly [string, string])[] = [];
  for (let at = 0; at + 1 < list.length; at += 2) pairs.push([list[at] ?? '', list[at + 1] ?? '']);
  return pairs;
}
