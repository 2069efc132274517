// Decides: which certificates the TLS tests use.
// Must not know: who presents them. Made by a library, since slim machines have no openssl program.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generate } from 'selfsigned';
import { temporaryDirectory } from './paths.ts';

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface Authority extends Certificate {
  /** A certificate of this authority for DNS names and IP addresses, for servers and clients alike. */
  issue(name: string, addresses?: readonly string[]): Promise<Certificate>;
}

export async function createAuthority(name = 'rpc-balancer test authority'): Promise<Authority> {
  const ca = await generate([{ name: 'commonName', value: name }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
  return {
    cert: ca.cert,
    key: ca.private,
    async issue(commonName, addresses = []) {
      const issued = await generate([{ name: 'commonName', value: commonName }], {
        keyType: 'ec',
        algorithm: 'sha256',
        ca: { key: ca.private, cert: ca.cert },
        extensions: [
          { name: 'basicConstraints', cA: false },
          { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
          {
            name: 'subjectAltName',
            altNames: [{ type: 2, value: commonName }, ...addresses.map((ip) => ({ type: 7 as const, ip }))],
          },
        ],
      });
      return { cert: issued.cert, key: issued.private };
    },
  };
}

export interface ServerTls {
  /** Whom the server trusts, if it asks clients for a certificate. */
  readonly ca: string;
  readonly server: Certificate;
  /** Clients must show a certificate of `ca`; default true. */
  readonly clientCertificate?: boolean;
}

/** The arguments of a server that speaks nothing but TLS on this port. */
export function tlsArgs({ ca, server, clientCertificate = true }: ServerTls, port: number): string[] {
  const dir = temporaryDirectory();
  const file = (name: string, text: string): string => {
    const path = join(dir, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  return [
    ['--port', '0', '--tls-port', String(port)],
    ['--tls-cert-file', file('server.crt', server.cert), '--tls-key-file', file('server.key', server.key)],
    ['--tls-ca-cert-file', file('ca.crt', ca)],
    ['--tls-auth-clients', clientCertificate ? 'yes' : 'no'],
  ].flat();
}
