// Whether plain HTTP services are judged by their health pages alone, and served, without any head.
import fastify from 'fastify';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { agreed, PATIENT_PROBE, startTrio, type Trio } from './cluster.ts';
import { upstreamsOf } from './upstreams.ts';

interface Service {
  readonly url: string;
  status: string;
  statusCode: number;
  uptime: number;
  stop(): Promise<void>;
}

/** A small API, as a team runs it in several copies. */
async function startService(): Promise<Service> {
  const app = fastify();
  const service = { url: '', status: 'ok', statusCode: 200, uptime: 3600, stop: () => app.close() };
  app.get('/api/health', async (_, reply) => {
    const { status, uptime, statusCode } = service;
    return reply.code(statusCode).send({ status, uptime, version: '1.4.2' });
  });
  service.url = await app.listen({ host: '127.0.0.1', port: 0 });
  return service;
}

let services: Service[] = [];
let cluster: Trio;

beforeAll(async () => {
  services = await Promise.all([startService(), startService(), startService()]);
  const probe = { ...PATIENT_PROBE, path: '/api/health', json: { '/status': 'ok' } };
  const upstreams = upstreamsOf(services);
  const networks = { phoenix: { protocol: 'http', required: true, probe, upstreams } } as const;
  cluster = await startTrio(networks, { gateways: 1, sidecars: ['node'] });
  for (const id of ['a', 'b', 'c']) await cluster.reason('phoenix', id, null);
});

afterAll(async () => {
  await cluster?.stop();
  await Promise.all(services.map((service) => service.stop()));
});

test('a network without heads is ready, and none of its upstreams lags or waits for a head', async () => {
  const [gateway] = cluster.gateways;
  expect(await gateway?.ready()).toMatchObject({
    statusCode: 200,
    body: { status: 'ready', networks: { phoenix: { state: 'ok', reasons: {}, problems: [] } } },
  });
  const [status] = await cluster.networks('phoenix');
  expect(status).toMatchObject({ head: null, finalized: null, identity: null, configMatches: true });
  expect(status?.upstreams.map(({ id, state, head, lagBlocks }) => ({ id, state, head, lagBlocks }))).toEqual(
    ['a', 'b', 'c'].map((id) => ({ id, state: 'eligible', head: null, lagBlocks: null })),
  );
});

test('a service that calls itself degraded, refuses the probe or is away is left until it is well', async () => {
  const [degraded, closed] = services;
  if (!degraded || !closed) throw new Error('three were started');
  degraded.status = 'degraded';
  await cluster.reason('phoenix', 'a', 'probe_failed');
  degraded.status = 'ok';
  await cluster.reason('phoenix', 'a', null);

  closed.statusCode = 401;
  await cluster.reason('phoenix', 'b', 'unauthorized');
  closed.statusCode = 503;
  await cluster.reason('phoenix', 'b', 'probe_failed');
  closed.statusCode = 200;
  await cluster.reason('phoenix', 'b', null);
  await cluster.reason('phoenix', 'c', null);
});

test('the sidecar tells which version each service has, and which was restarted', async () => {
  const [, , restarted] = services;
  if (!restarted) throw new Error('three were started');
  const told = async () => {
    const status = await cluster.sidecars[0]?.status();
    return Object.fromEntries(
      status?.networks[0].upstreams.map(({ id, facts, restartedAt }: Told) => [id, { facts, restartedAt }]),
    );
  };
  const facts = { version: '1.4.2' };
  const others = { a: { facts, restartedAt: null }, b: { facts, restartedAt: null } };
  await agreed('every version', async () => {
    expect(await told()).toEqual({ ...others, c: { facts, restartedAt: null } });
  });
  restarted.uptime = 1;
  await agreed('the restart', async () => {
    expect(await told()).toEqual({ ...others, c: { facts, restartedAt: expect.any(Number) } });
  });
});

interface Told {
  readonly id: string;
  readonly facts: unknown;
  readonly restartedAt: number | null;
}
