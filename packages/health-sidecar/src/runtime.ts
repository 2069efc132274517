// Decides: everything that differs between Bun, Deno and Node: environment, files, signals, exit, TLS of fetch.
// Must not know: what any of it is used for.
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

/** Web-standard fetch that follows no redirect, with connections of its own. */
export interface Fetcher {
  fetch(url: string, init: FetchInit): Promise<Response>;
  /** Closes the connections. */
  close(): Promise<void>;
}

/** What we use of Deno; its own types would clash with those of Node. */
interface DenoRuntime {
  createHttpClient(options: { caCerts?: string[]; cert?: string; key?: string }): { close(): void };
}

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

/**
 * @param tls certificates of one upstream; verification stays on in any case
 * @param addresses where the host in the URLs is, as far as that is known; it stays what is asked for and verified
 */
export async function createFetcher(tls: Tls = {}, addresses: readonly string[] = []): Promise<Fetcher> {
  // Bun and Deno choose among several addresses by themselves, as the system resolves the name.
  const only = addresses.length === 1 ? addresses[0] : undefined;
  if (runtimeName === 'bun') return createBunFetcher(tls, only);
  // Deno's own client connects to an address of our choice only without TLS; undici does it there as on Node.
  if (runtimeName === 'deno' && only === undefined) return createDenoFetcher(tls);
  return createNodeFetcher(tls, addresses);
}

function hasOwn({ ca, cert, key }: Tls): boolean {
  return [ca, cert, key].some((text) => text !== undefined);
}

function createBunFetcher(tls: Tls, address: string | undefined): Fetcher {
  return {
    fetch(given, init) {
      const url = new URL(given);
      const { host, hostname: serverName } = url;
      const headers = address === undefined ? init.headers : { ...init.headers, host };
      if (address !== undefined) url.hostname = isIP(address) === 6 ? `[${address}]` : address;
      const own = { ...tls, ...(address !== undefined && { serverName }) };
      return fetch(url, {
        ...init,
        headers,
        redirect: 'manual',
        // Bun keeps sockets for the whole process: one to a name would stay at an address that the name has lost, and
        // one with certificates serves an upstream without them at the same address (seen in 1.3.0).
        keepalive: !hasOwn(tls) && isIP(url.hostname.replace(/^\[|\]$/g, '')) !== 0,
        ...(Object.keys(own).length > 0 && { tls: own }),
      });
    },
    close: async () => {},
  };
}

function createDenoFetcher({ ca, cert, key }: Tls): Fetcher {
  // The global is there on Deno, and its shape is the part of the documented one that is named above.
  const { Deno: deno } = globalThis as unknown as { Deno: DenoRuntime };
  const client = deno.createHttpClient({
    ...(ca !== undefined && { caCerts: [ca] }),
    ...(cert !== undefined && key !== undefined && { cert, key }),
  });
  return {
    fetch: (url, init) => fetch(url, { ...init, redirect: 'manual', ...{ client } }),
    close: async () => client.close(),
  };
}

/** undici's own fetch: the global one belongs to another copy of undici and may refuse a foreign dispatcher. */
async function createNodeFetcher({ ca, cert, key }: Tls, addresses: readonly string[]): Promise<Fetcher> {
  const undici = await import('undici');
  const dispatcher = new undici.Agent({
    connect: {
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && { cert, key }),
      ...(addresses.length > 0 && { lookup: lookupIn(addresses) }),
    },
  });
  return {
    fetch: async (url, init) => {
      const response = await undici.fetch(url, { ...init, redirect: 'manual', dispatcher });
      // Both are the web-standard class; only the two packages' names for it differ.
      return response as unknown as Response;
    },
    close: () => dispatcher.close(),
  };
}

function lookupIn(addresses: readonly string[]): LookupFunction {
  const found = addresses.map((address) => ({ address, family: isIP(address) }));
  return (_name, { all }, done) => {
    if (all) done(null, found);
    else done(null, found[0]?.address ?? '', found[0]?.family);
  };
}

/** Signs of a connection that was made and then broke, by runtime; fetch tells it from a failed one by text only. */
const BROKEN_CONNECTION =
  /ECONNRESET|EPIPE|UND_ERR_SOCKET|HPE_|HTTP\/1\.1 protocol|Malformed_HTTP|SendRequest|reset by peer|closed before/;

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
