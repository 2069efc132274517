// Decides: which hash tells that a gateway and a sidecar were given the same network.
// Must not know: who compares it.
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import type { NetworkConfig } from './network.ts';

/** 64 bits are plenty to notice a difference that nobody makes on purpose. */
const HASH_HEX_CHARS = 16;

/** Hash of the canonical form of a network, without what may differ between hosts or is secret: urls, headers, tls. */
export function configHash(network: NetworkConfig): string {
  const upstreams = network.upstreams.map(
    ({ url: _url, wsUrl: _wsUrl, headers: _headers, tls: _tls, load, ...rest }) => ({
      ...rest,
      load: load && { ...load, url: undefined },
    }),
  );
  return bytesToHex(sha256(utf8ToBytes(canonical({ ...network, upstreams })))).slice(0, HASH_HEX_CHARS);
}

/** JSON with sorted keys, so that the order in the file does not matter. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value).filter(([, member]) => member !== undefined);
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`).join(',')}}`;
}
