// Decides: which secrets a test plants where in a configuration, and nodes that give them away to whoever asks.
// Must not know: what is emitted, or by whom.
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer as createTlsServer } from 'node:https';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { FakeNode, Override } from '../kit/fake-node.ts';
import { temporaryDirectory } from '../kit/paths.ts';
import { freePort } from '../kit/ports.ts';
import type { RedisServer } from '../kit/redis.ts';
import { createAuthority } from '../kit/redis-tls.ts';
import { fakeNode, PROBE, redisServer } from './programs.ts';

/** Begins every planted secret, so that also a part of one is found. */
export const MARK = 'zqS3';

/** What docs/operations.md says that our user needs. */
const ACL =
  '~rpcb:* &rpcb:* +eval +get +set +del +pexpire +hget +hset +hmget +hgetall +hvals +hdel +zadd +zrangebyscore +zremrangebyscore +zremrangebyrank +xadd +xrange +pttl +time +publish +subscribe +ping +client|setname +info';

const secret = (name: string): string => `${MARK}${name}`;

export interface Plants {
  readonly redis: RedisServer;
  /** Two ways to write the same cluster; networks `main` (one node is well) and `dark` (none is). */
  readonly configs: readonly [object, object];
  /** A key that looks like PEM and is none. */
  readonly badKey: object;
  readonly wrongPassword: object;
  readonly wrongTls: object;
  readonly env: Readonly<Record<string, string>>;
  readonly well: FakeNode;
  readonly echoes: readonly FakeNode[];
  /** Texts that are secret but do not have the mark in clear: base64 of credentials, lines of keys. */
  readonly furtherSecrets: readonly string[];
}

export async function plant(): Promise<Plants> {
  const [certificates, well, echoes] = await Promise.all([
    plantCertificates(),
    fakeNode(),
    Promise.all([echo(401), echo(500), echo(200), echo(302)]),
  ]);
  const redis = await redisServer({
    requirepass: secret('default'),
    aclUsers: [`anna on >${secret('url/pw@at')} ${ACL}`, `berta on >${secret('plain:pw')} ${ACL}`],
  });
  const file = join(temporaryDirectory(), 'key');
  writeFileSync(file, `${secret('file+key')}\n`);
  const env = {
    NODE_TOKEN: secret('token=='),
    PROVIDER_URL: `${echoes[1]?.url}/?apikey=${secret('query%2Bkey')}&x=1`,
    REDIS_PW: secret('plain:pw'),
  };
  const dead = `127.0.0.1:${await freePort()}`;
  const { key, ca, cert, badKey } = certificates;
  const bad = [
    { id: 'path', url: `${echoes[0]?.url}/v3/${secret('path%2Fkey')}`, maxFails: 0 },
    { id: 'query', url: '${PROVIDER_URL}', maxFails: 0 },
    {
      ...{ id: 'header', url: `${echoes[2]?.url}/x`, maxFails: 0 },
      headers: { authorization: 'Bearer ${NODE_TOKEN}', 'x-api-key': `\${file:${file}}` },
    },
    { id: 'moved', url: `http://${secret('moved')}@127.0.0.1:${echoes[3]?.port}`, maxFails: 0 },
    {
      ...{ id: 'loaded', url: `${echoes[0]?.url}/load/${secret('loadpath')}`, maxFails: 0 },
      load: {
        url: `http://${secret('lu')}:${secret('lp')}@${dead}/${secret('load%2Fkey')}?k=${secret('loadquery')}`,
        metric: 'node_load1',
      },
    },
    {
      ...{ id: 'echoed', url: `${echoes[0]?.url}/${secret('echoedpath')}`, maxFails: 0 },
      load: { url: `${echoes[1]?.url}/${secret('echoedload')}`, pointer: '/load' },
    },
    { id: 'dead', url: `http://${secret('du')}:${secret('dp')}@${dead}/${secret('dead')}`, maxFails: 0 },
    { id: 'parrot', url: `http://127.0.0.1:${await parrot()}/${secret('parrot')}`, maxFails: 0 },
    {
      ...{ id: 'tls', url: `https://127.0.0.1:${await tlsNode(certificates)}/${secret('tls')}`, maxFails: 0 },
      tls: { ca, cert, key },
    },
  ];
  const pem = {
    ...{ id: 'pem', url: `https://${dead}/${secret('pem')}`, maxFails: 0 },
    tls: { ca, cert, key: badKey },
  };
  const own = `${secret('user')}:${secret('info%40pw')}`;
  const ownSocket = `${secret('wsuser')}:${secret('wspw')}@127.0.0.1:${well.port}`;
  const good = {
    ...{ id: 'well', url: `http://${own}@127.0.0.1:${well.port}`, tier: 'fallback' },
    wsUrl: `ws://${ownSocket}/${secret('wspath')}?k=${secret('wsquery')}`,
  };
  // A client's read goes to the bad ones first and to the good one last.
  const shared = { probe: PROBE, tries: 10 };
  const networks = {
    main: { ...shared, upstreams: [...bad, good] },
    dark: { ...shared, upstreams: bad },
  };
  const rest = { sidecar: { leaseTtl: '1s' }, networks };
  const ofBadKey = { ...rest, networks: { dark: { ...shared, upstreams: [...bad, pem] } } };
  const address = `127.0.0.1:${redis.port}`;
  return {
    ...{ redis, env, well, echoes },
    configs: [
      { redis: { url: `redis://anna:${secret('url%2Fpw%40at')}@${address}` }, ...rest },
      { redis: { url: `redis://${address}`, username: 'berta', password: '${REDIS_PW}' }, ...rest },
    ],
    badKey: {
      // A cluster of its own, so that its sidecar gets the lease.
      redis: { url: `redis://${address}`, username: 'berta', password: '${REDIS_PW}', clusterId: 'other' },
      ...ofBadKey,
    },
    wrongPassword: { redis: { url: `redis://anna:${secret('wrong%2Fpw')}@${address}` }, ...rest },
    wrongTls: {
      redis: { url: `rediss://${address}`, password: secret('tlspw'), tls: { ca, cert, key } },
      ...rest,
    },
    furtherSecrets: [
      ...[`${secret('user')}:${secret('info@pw')}`, `${secret('moved')}:`].map(base64),
      base64(`${secret('du')}:${secret('dp')}`),
      base64(`${secret('lu')}:${secret('lp')}`),
      ...key.split('\n').filter((line) => line.length > 20 && !line.startsWith('-----')),
    ],
  };
}

const base64 = (text: string): string => Buffer.from(text).toString('base64').replaceAll('=', '');

async function plantCertificates() {
  const authority = await createAuthority();
  const { cert, key } = await authority.issue('client.test');
  const badKey = `-----BEGIN PRIVATE KEY-----\n${secret('badpem')}\n-----END PRIVATE KEY-----\n`;
  return { ca: authority.cert, cert, key, badKey, server: await authority.issue('another.test') };
}

type Certificates = Awaited<ReturnType<typeof plantCertificates>>;

/** A node that tells everything it was asked: probes in a JSON-RPC error, clients in a page of this status. */
async function echo(status: number): Promise<FakeNode> {
  const node = await fakeNode();
  let probes = 0;
  node.answer = ({ method }): Override => {
    const { path, headers, body } = node.requests.at(-1) ?? { path: '', headers: {}, body: '' };
    const text = `${path} ${JSON.stringify(headers)} ${body} ${decodeURIComponent(path)}`;
    const location = `http://127.0.0.1:${node.port}${path}`;
    const page = { status, body: `<!doctype html><p>${text}</p>`, headers: { 'x-echo': path, location } };
    if (!method.startsWith('eth_chainId')) return page;
    // Probes get each kind in turn: a refusal, an error of the node's own, a page.
    probes++;
    if (probes % 3 === 0) return page;
    return { error: { code: probes % 3 === 1 ? -32005 : -32000, message: text, data: text } };
  };
  return node;
}

/** Sends back what it gets: no HTTP at all. */
async function parrot(): Promise<number> {
  return portOf(createServer((socket) => socket.on('error', () => {}).pipe(socket)));
}

/** Its certificate is for another name. */
async function tlsNode({ server: { cert, key } }: Certificates): Promise<number> {
  return portOf(createTlsServer({ cert, key }, (_, response) => response.end('unreachable')));
}

async function portOf(server: Server): Promise<number> {
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
  });
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
