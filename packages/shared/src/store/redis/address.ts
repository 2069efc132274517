// Decides: what a Redis URL or a host:port names.
// Must not know: how it is connected to.
import { percentDecoded } from '../../redact.ts';

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface Place {
  /** A socket's path, or host and port. */
  readonly at: { readonly path: string } | Address;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly db: number | undefined;
  readonly secure: boolean;
}

/** The parts of a `redis://`, `rediss://` or `unix://` URL; query parameters other than a socket's `db` are ignored. */
export function placeIn(url: string): Place {
  const parts = /^([a-z]+):\/\/(?:([^:@/?#]*)(?::([^@/?#]*))?@)?([^/?#]*)([^?#]*)/i.exec(url);
  const [, scheme = '', username, password, host = '', path = ''] = parts ?? [];
  const isSocket = scheme.toLowerCase() === 'unix';
  const db = (isSocket ? /[?&]db=(\d+)/.exec(url) : /^\/(\d+)$/.exec(path))?.[1];
  return {
    at: isSocket ? { path: percentDecoded(host + path) } : addressIn(host),
    username: username ? percentDecoded(username) : undefined,
    password: password ? percentDecoded(password) : undefined,
    db: db === undefined ? undefined : Number(db),
    secure: scheme.toLowerCase() === 'rediss',
  };
}

export function addressIn(text: string): Address {
  const [, v6, name, port] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(text) ?? [];
  return { host: v6 || name || '127.0.0.1', port: Number(port ?? 6379) };
}
