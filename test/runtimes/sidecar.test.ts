// What the sidecar finds out about nodes is the same on Bun, Deno and Node, from unbuilt sources, and as a binary.
import { once } from 'node:events';
import { createServer as createPlainServer } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { decodeRanking } from '../../packages/shared/src/index.ts';
import { networkKeys } from '../../packages/shared/src/wire/keys.ts';
import { startAnvil } from '../kit/anvil.ts';
import { type Mode, startFakeNode } from '../kit/fake-node.ts';
import { configFile, inRepo } from '../kit/paths.ts';
import { freePort } from '../kit/ports.ts';
import { startProcess } from '../kit/process.ts';
import { type Program, programOf } from '../kit/program.ts';
import { startRedis } from '../kit/redis.ts';
import { createAuthority } from '../kit/redis-tls.ts';
import { waitFor } from '../kit/wait.ts';
import { sidecar as startedBy } from '../system/programs.ts';
import { buildBinary, commandOf, FORMS } from './programs.ts';

const RANKING = networkKeys({ prefix: 'rpcb', clusterId: 'default' }, 'main').ranking;
const FAULTS = {
  probe_timeout: 'hang',
  unauthorized: 'http401',
  throttled: 'http429',
} as const satisfies Record<string, Mode>;
const NONSENSE: readonly Mode[] = ['reset', 'cut', 'html', 'garbage', 'null', 'http500', 'http503'];

async function fakeNode(mode: Mode = 'ok') {
  const node = await startFakeNode({ mode, chainId: 31_337, head: 0 });
  onTestFinished(() => node.stop());
  return node;
}

/** What answers with a few kilobytes that unfold to more than any probe reads. */
async function startSwelling(): Promise<string> {
  const body = gzipSync(Buffer.alloc(16 * 1024 ** 2, 'a'));
  const server = createPlainServer((_request, response) => {
    response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': body.byteLength }).end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  // A TCP server's address is an object; only pipes have texts.
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A node behind TLS that asks for a client certificate, and whose own is for these addresses and the name localhost. */
async function startTlsNode(...addresses: readonly string[]) {
  const authority = await createAuthority();
  const server = await authority.issue('localhost', addresses);
  const client = await authority.issue('sidecar');
  const node = await fakeNode();
  const hosts: (string | undefined)[] = [];
  const front = createServer(
    { cert: server.cert, key: server.key, ca: authority.cert, requestCert: true },
    async (request, response) => {
      hosts.push(request.headers.host);
      const chunks: Uint8Array[] = [];
      for await (const chunk of request) chunks.push(chunk);
      const answer = await fetch(node.url, { method: 'POST', body: Buffer.concat(chunks) });
      response.end(await answer.text());
    },
  );
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  onTestFinished(() => {
    front.closeAllConnections();
    front.close();
  });
  // A TCP server's address is an object; only pipes have texts.
  const { port } = front.address() as AddressInfo;
  return {
    port,
    hosts,
    tls: { ca: authority.cert, cert: client.cert, key: client.key },
  };
}

/** As `pnpm sidecar --runtime …` starts it. */
async function startSidecar(runtime: string, config: object): Promise<Program> {
  const started = startProcess({
    command: process.execPath,
    args: [
      inRepo('scripts', 'sidecar.ts'),
      '--runtime',
      runtime,
      '--config',
      configFile(config),
      '--port',
      '0',
    ],
  });
  onTestFinished(async () => {
    await started.stop();
  });
  return programOf(started, 30_000);
}

async function rankingIn(redis: Awaited<ReturnType<typeof startRedis>>) {
  const fields = await redis.cli('hvals', RANKING);
  const text = Array.isArray(fields) ? fields.find((field) => String(field).startsWith('{')) : '';
  const ranking = decodeRanking(String(text));
  if ('invalid' in ranking) throw new Error(ranking.invalid);
  return ranking;
}

beforeAll(buildBinary);

describe.each(FORMS)('as %s', (form) => {
  test(`the sidecar gives a real node and each broken one its reason: ${form}`, async () => {
    const redis = await startRedis();
    onTestFinished(() => redis.stop());
    const anvil = await startAnvil({ chainId: 31_337 });
    onTestFinished(async () => void (await anvil.stop()));
    const overTls = await startTlsNode('127.0.0.1');
    const url = `https://127.0.0.1:${overTls.port}`;
    const nonsense = await Promise.all(
      NONSENSE.map(async (mode) => ({ id: mode, url: (await fakeNode(mode)).url })),
    );
    const faults = await Promise.all(
      Object.entries(FAULTS).map(async ([id, mode]) => ({ id, url: (await fakeNode(mode)).url })),
    );
    const upstreams = [
      { id: 'anvil', url: anvil.url },
      { id: 'over-tls', url, tls: overTls.tls },
      { id: 'unknown-authority', url },
      { id: 'swelling', url: await startSwelling() },
      { id: 'unreachable', url: `http://127.0.0.1:${await freePort()}/hidden-key-0123` },
      ...faults,
      ...nonsense,
    ];
    // A busy machine takes its time to unfold the answer that swells.
    const probe = { interval: 300, timeout: 4000, attempts: 1 };
    const networks = { main: { probe, upstreams } };
    const config = configFile({ redis: { url: redis.url }, networks });
    const sidecar = await startedBy({ config, command: commandOf(form, config) });

    const expected = {
      ...{ anvil: null, 'over-tls': null, 'unknown-authority': 'unreachable', unreachable: 'unreachable' },
      ...Object.fromEntries(faults.map(({ id }) => [id, id])),
      ...Object.fromEntries([...NONSENSE, 'swelling'].map((id) => [id, 'probe_failed'])),
    };
    const document = () => rankingIn(redis);
    await waitFor(
      async () => {
        const { upstreams: ranked } = await document();
        expect(Object.fromEntries(ranked.map(({ id, reason }) => [id, reason]))).toEqual(expected);
        return true;
      },
      { what: 'every reason in the published ranking', timeoutMs: 20_000, everyMs: 50 },
    );
    expect(await document()).toMatchObject({ identity: '31337', network: 'main' });

    expect(await (await fetch(`${sidecar.url}/health`)).json()).toMatchObject({ status: 'ok' });
    expect(await sidecar.ready()).toMatchObject({ statusCode: 200, body: { status: 'ok', problems: [] } });
    const { upstreams: shown, ...network } = (await sidecar.status()).networks[0];
    expect(network).toMatchObject({ state: 'holder', fencedCount: 0 });
    // Newer Deno unfolds nothing that was not asked for; the others stop reading in time.
    const swelling = shown.find(({ id }: { readonly id: string }) => id === 'swelling');
    expect(swelling.detail).toMatch(/without a JSON-RPC answer|more than \d+ bytes/);
    const metrics = await sidecar.metrics();
    expect(metrics).toMatch(/probe_duration_seconds_count\{network="main",upstream="anvil"\} \d/);
    expect(metrics).toContain('upstream_reason{network="main",upstream="http500",reason="probe_failed"} 1');
    expect((await fetch(`${sidecar.url}/rpc`, { method: 'POST', body: '{}' })).status).toBe(404);

    expect(await sidecar.stop()).toEqual({ code: 0, signal: null });
    expect(
      await redis.cli('exists', networkKeys({ prefix: 'rpcb', clusterId: 'default' }, 'main').lease),
    ).toBe(0);
    expect(sidecar.output).not.toContain('hidden-key-0123');
  });
});

describe.each(['node', 'bun', 'deno'])('on %s', (runtime) => {
  test(`each address of a name is asked and verified by the name: ${runtime}`, async () => {
    const redis = await startRedis();
    onTestFinished(() => redis.stop());
    const { port, hosts, tls } = await startTlsNode();
    const plain = await fakeNode();
    const networks = {
      main: {
        resolve: 'each',
        probe: { interval: 300, timeout: 4000, attempts: 1 },
        upstreams: [
          { id: 'tls', url: `https://localhost:${port}`, tls },
          { id: 'plain', url: `http://localhost:${plain.port}` },
        ],
      },
    };
    await startSidecar(runtime, { redis: { url: redis.url }, networks });
    await waitFor(
      async () => {
        const reasons = Object.fromEntries(
          (await rankingIn(redis)).upstreams.map(({ id, reason }) => [id, reason]),
        );
        expect(reasons).toMatchObject({ 'tls@127.0.0.1': null, 'plain@127.0.0.1': null });
        return true;
      },
      { what: 'both to be well', timeoutMs: 20_000, everyMs: 50 },
    );
    expect(new Set(hosts)).toEqual(new Set([`localhost:${port}`]));
    expect(plain.requests[0]?.headers.host).toBe(`localhost:${plain.port}`);
  });
});
