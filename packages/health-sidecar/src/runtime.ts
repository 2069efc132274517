// Decides: everything that differs between Bun, Deno and Node: environment, files, signals, exit, TLS of fetch and of WebSocket.
// Must not know: what any of it is used for.
import { lookup } from 'node:dns';
import { readFileSync } from 'node:fs';
import { isIP, type LookupFunction } from 'node:net';
import { hostname } from 'node:os';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';

export interface Tls {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

export interface FetchInit {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  /** None with GET. */
  readonly body?: string;
  readonly signal: AbortSignal;
}

/** Where the host in the URLs is; it stays what is asked for and verified. */
export interface Place {
  readonly host: string;
  /** Empty where they are not known. */
  readonly addresses: readonly string[];
}

/** Web-standard fetch that follows no redirect, and WebSocket, with connections of its own. */
export interface Fetcher {
  fetch(url: string, init: FetchInit): Promise<Response>;
  /** A message beyond {@link SOCKET_MESSAGE_BYTES_MAX} ends it; on Bun one of 128 MiB, which cannot be told less (seen in 1.4.5). */
  socket(url: string, headers: Readonly<Record<string, string>>): Socket;
  /** Closes the connections, but not those of sockets. */
  close(): Promise<void>;
}

export interface Socket extends WebSocket {
  /** Ends the connection at once: a closing is over only when the other side has agreed to it, which it may never do. */
  terminate(): void;
}

/** What we use of Deno; its own types would clash with those of Node. */
interface DenoRuntime {
  createHttpClient(options: { caCerts?: string[]; cert?: string; key?: string }): { close(): void };
}

/** What Bun takes besides the URL, and what it gives. */
type SocketClass = new (url: string, options: Readonly<Record<string, unknown>>) => Socket;

type Undici = typeof import('undici');

/** The header of a block is smaller by far. */
const SOCKET_MESSAGE_BYTES_MAX = 1_048_576;

export type RuntimeName = 'bun' | 'deno' | 'node';

export const runtimeName: RuntimeName = 'Bun' in globalThis ? 'bun' : 'Deno' in globalThis ? 'deno' : 'node';

export const env: Readonly<Record<string, string | undefined>> = process.env;
export const args: readonly string[] = process.argv.slice(2);

export function readFile(path: string): string {
  return readFileSync(path, 'utf8');
}

/** Unique among processes that share a store: a host may run several, and a restart is another process. */
export function instanceName(random: () => number): string {
  const suffix = Math.floor(random() * 36 ** 4)
    .toString(36)
    .padStart(4, '0');
  return `${hostname().slice(0, 64)}-${process.pid}-${suffix}`;
}

/** Waits, but not after the signal; keeps no process alive by itself when there is none. */
export async function rest(ms: number, signal?: AbortSignal): Promise<undefined> {
  await pause(Math.max(0, ms), undefined, signal ? { signal } : { ref: false }).catch(() => {});
  return undefined;
}

export function exit(code: number): never {
  process.exit(code);
}

export function print(text: string): void {
  process.stdout.write(text);
}

export function printError(text: string): void {
  process.stderr.write(text);
}

/** Epoch ms that never goes back, also when the host's clock is set. */
export function monotonicNow(): number {
  return performance.timeOrigin + performance.now();
}

/** Calls back for every SIGTERM and SIGINT. */
export function onStopSignal(listener: (signal: 'SIGTERM' | 'SIGINT') => void): void {
  process.on('SIGTERM', () => listener('SIGTERM'));
  process.on('SIGINT', () => listener('SIGINT'));
}

/** Calls back for every SIGHUP. */
export function onReloadSignal(listener: () => void): void {
  process.on('SIGHUP', listener);
}

/** @param tls certificates of one upstream; verification stays on in any case */
export async function createFetcher(tls: Tls = {}, place: Place = NO_PLACE): Promise<Fetcher> {
  // Bun and Deno choose among several addresses by themselves, as the system resolves the name.
  const only = place.addresses.length === 1 ? place.addresses[0] : undefined;
  if (runtimeName === 'bun') return createBunFetcher(tls, place.host, only);
  // Deno's own client connects to an address of our choice only without TLS; undici does it there as on Node.
  if (runtimeName === 'deno' && only === undefined) return createDenoFetcher(tls, place);
  return createNodeFetcher(tls, place);
}

function hasOwn({ ca, cert, key }: Tls): boolean {
  return [ca, cert, key].some((text) => text !== undefined);
}

const NO_PLACE: Place = { host: '', addresses: [] };

function createBunFetcher(tls: Tls, placed: string, address: string | undefined): Fetcher {
  /** The URL to connect to, the headers that name what is meant, and how TLS verifies it. */
  function aim(given: string, headers: Readonly<Record<string, string>>) {
    const url = new URL(given);
    const { host, hostname: serverName } = url;
    const isMoved = address !== undefined && serverName === placed;
    if (isMoved) url.hostname = isIP(address) === 6 ? `[${address}]` : address;
    const own = { ...tls, ...(isMoved && { serverName }) };
    return {
      url,
      headers: isMoved ? { ...headers, host } : headers,
      ...(Object.keys(own).length > 0 && { tls: own }),
    };
  }
  return {
    fetch(given, init) {
      const { url, ...aimed } = aim(given, init.headers);
      return fetch(url, {
        ...init,
        ...aimed,
        redirect: 'manual',
        // Bun keeps sockets for the whole process: one to a name would stay at an address that the name has lost, and
        // one with certificates serves an upstream without them at the same address (seen in 1.3.0).
        keepalive: !hasOwn(tls) && isIP(url.hostname.replace(/^\[|\]$/g, '')) !== 0,
      });
    },
    socket(given, headers) {
      const { url, ...aimed } = aim(given, headers);
      return new (WebSocket as unknown as SocketClass)(url.href, aimed); // Bun documents both.
    },
    close: async () => {},
  };
}

async function createDenoFetcher(tls: Tls, place: Place): Promise<Fetcher> {
  const { ca, cert, key } = tls;
  // The global is there on Deno, and its shape is the part of the documented one that is named above.
  const { Deno: deno } = globalThis as unknown as { Deno: DenoRuntime };
  const client = deno.createHttpClient({
    ...(ca !== undefined && { caCerts: [ca] }),
    ...(cert !== undefined && key !== undefined && { cert, key }),
  });
  return {
    fetch: (url, init) => fetch(url, { ...init, redirect: 'manual', ...{ client } }),
    // Deno's own has no end but the one that the other side agrees to, and takes messages of any length in frames (seen in 2.9.6).
    socket: socketsOf(await import('undici'), tls, place),
    close: async () => client.close(),
  };
}

/** undici's own fetch and WebSocket: the global ones belong to another copy of undici and may refuse a foreign dispatcher. */
async function createNodeFetcher(tls: Tls, place: Place): Promise<Fetcher> {
  const undici = await import('undici');
  const dispatcher = new undici.Agent({ connect: connectionOf(tls, place) });
  return {
    fetch: async (url, init) => {
      const response = await undici.fetch(url, { ...init, redirect: 'manual', dispatcher });
      // Both are the web-standard class; only the two packages' names for it differ.
      return response as unknown as Response;
    },
    socket: socketsOf(undici, tls, place),
    close: () => dispatcher.close(),
  };
}

function connectionOf({ ca, cert, key }: Tls, place: Place) {
  return {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert, key }),
    ...(place.addresses.length > 0 && { lookup: lookupIn(place) }),
  };
}

/** undici's WebSocket, too, waits for the other side without end: each has a connection in our hands. */
function socketsOf(undici: Undici, tls: Tls, place: Place): Fetcher['socket'] {
  const connect = undici.buildConnector({ ...connectionOf(tls, place), allowH2: false });
  return (url, headers) => {
    let connection: { destroy(): unknown } | null = null;
    const dispatcher = new undici.Client(new URL(url.replace(/^ws/, 'http')).origin, {
      connect(target, done) {
        connect(target, (...made) => {
          connection = made[1];
          done(...made);
        });
      },
      webSocket: { maxPayloadSize: SOCKET_MESSAGE_BYTES_MAX },
    });
    function terminate(): void {
      connection?.destroy();
      void dispatcher.destroy(); // What is only being connected.
    }
    // The web-standard class, as above.
    return Object.assign(new undici.WebSocket(url, { headers, dispatcher }), {
      terminate,
    }) as unknown as Socket;
  };
}

function lookupIn({ host, addresses }: Place): LookupFunction {
  const found = addresses.map((address) => ({ address, family: isIP(address) }));
  return (name, options, done) => {
    if (name !== host) lookup(name, options, done);
    else if (options.all) done(null, found);
    else done(null, found[0]?.address ?? '', found[0]?.family);
  };
}

/** Signs of a connection that was made and then broke, by runtime; fetch tells it from a failed one by text only. */
const BROKEN_CONNECTION =
  /ECONNRESET|EPIPE|UND_ERR_SOCKET|UND_ERR_RES_|HPE_|HTTP\/1\.1 protocol|Malformed_HTTP|SendRequest|reset by peer|closed before/;

/** Whether a rejected fetch had reached the other side. */
export function wasConnected(error: unknown): boolean {
  return BROKEN_CONNECTION.test(errorText(error));
}

/** The messages and codes of an error and its causes. Foreign text: to be redacted before anybody sees it. */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error && typeof error.code === 'string' ? `${error.code} ` : '';
  return `${code}${error.message}${error.cause === undefined ? '' : `: ${errorText(error.cause)}`}`;
}
