// Decides: whether the sidecar's probes of every protocol find the same on Bun, Deno and Node.
import fastify from 'fastify';
import { describe, expect, onTestFinished, test } from 'vitest';
import { startFakeComet } from '../kit/fake-comet.ts';
import { startFakeNode } from '../kit/fake-node.ts';
import { genesisOf, startFakeSubstrate } from '../kit/fake-substrate.ts';
import type { Runtime } from '../kit/paths.ts';
import { startSidecarProcess } from '../kit/sidecar.ts';
import { waitFor } from '../kit/wait.ts';
import { redisServer } from '../system/programs.ts';

const HEAD = 1000;
const RUNTIMES: readonly Runtime[] = ['node', 'bun', 'deno'];

/** One network of each protocol, of one upstream and one that the first is not. */
async function startNetworks() {
  const service = fastify();
  service.get('/api/health', async () => ({ status: 'ok', uptime: 5, version: '1.0.0', slot: String(HEAD) }));
  service.get('/broken/api/health', async (_, reply) => reply.code(403).send());
  const url = await service.listen({ host: '127.0.0.1', port: 0 });
  const behindGet = await startFakeComet({ head: HEAD, network: 'chain-1', verbs: ['GET'] });
  const nodes = await Promise.all([
    startFakeSubstrate({ head: HEAD }),
    startFakeSubstrate({ head: HEAD, peers: 0 }),
    startFakeComet({ head: HEAD, network: 'chain-1' }),
    startFakeNode({ head: HEAD }),
    startFakeNode({ head: HEAD, mode: 'garbage' }),
  ]);
  onTestFinished(async () => {
    await Promise.all([service, behindGet].map((one) => ('close' in one ? one.close() : one.stop())));
    await Promise.all(nodes.map((node) => node.stop()));
  });
  const [substrate, lonely, comet, evm, garbage] = nodes;
  const upstreams = (a: string, b: string) => ({
    upstreams: [
      { id: 'a', url: a },
      { id: 'b', url: b },
    ],
  });
  const probe = { interval: 300, timeout: 3000, attempts: 1 };
  const keys = { path: '/api/health', json: { '/status': 'ok' }, head: { pointer: '/slot' } };
  return {
    substrate: { protocol: 'substrate', probe, ...upstreams(substrate.url, lonely.url) },
    cometbft: { protocol: 'cometbft', probe, ...upstreams(comet.url, behindGet.url) },
    evm: { protocol: 'evm', probe, ...upstreams(evm.url, garbage.url) },
    http: { protocol: 'http', probe: { ...probe, ...keys }, ...upstreams(url, `${url}/broken`) },
  };
}

describe.each(RUNTIMES)('the probes on %s', (runtime) => {
  test(`find every protocol's head, identity and reasons: ${runtime}`, async () => {
    const [redis, networks] = await Promise.all([redisServer(), startNetworks()]);
    const sidecar = await startSidecarProcess({ config: { redis: { url: redis.url }, networks }, runtime });
    onTestFinished(async () => void (await sidecar.kill()));

    const found = async () => {
      const status = await sidecar.status();
      return Object.fromEntries(
        status.networks.map(({ network, identity, headNumber, upstreams }: Found) => [
          network,
          {
            ...{ identity, headNumber },
            ...Object.fromEntries(upstreams.map(({ id, reason, facts }) => [id, { reason, facts }])),
          },
        ]),
      );
    };
    const runtimeFacts = { runtime: 'statemine', runtimeVersion: 1_003_000, methodCount: 2 };
    const version = { version: '0.38.19' };
    await waitFor(
      async () => {
        expect(await found()).toEqual({
          substrate: {
            ...{ identity: genesisOf('asset-hub'), headNumber: HEAD },
            ...{ a: { reason: null, facts: runtimeFacts }, b: { reason: 'no_peers', facts: runtimeFacts } },
          },
          cometbft: {
            ...{ identity: 'chain-1', headNumber: HEAD },
            ...{ a: { reason: null, facts: version }, b: { reason: null, facts: version } },
          },
          evm: {
            ...{ identity: '1', headNumber: HEAD },
            ...{ a: { reason: null, facts: null }, b: { reason: 'probe_failed', facts: null } },
          },
          http: {
            ...{ identity: null, headNumber: HEAD },
            a: { reason: null, facts: { version: '1.0.0' } },
            b: { reason: 'unauthorized', facts: null },
          },
        });
        return true;
      },
      { what: `every network to be told of by ${runtime}`, timeoutMs: 20_000, everyMs: 50 },
    );
  });
});

interface Found {
  readonly network: string;
  readonly identity: string | null;
  readonly headNumber: number | null;
  readonly upstreams: readonly {
    readonly id: string;
    readonly reason: string | null;
    readonly facts: unknown;
  }[];
}
