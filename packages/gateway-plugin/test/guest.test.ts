import fastify, { type FastifyInstance } from 'fastify';
import { Redis } from 'ioredis';
import { Registry } from 'prom-client';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { FakeNode } from '../../../test/kit/fake-node.ts';
import { anyRedis } from '../../../test/kit/redis.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import { BalancerError, type ConfigInput, rpcBalancer } from '../src/index.ts';
import { clientOf, configOf, listen, startFront, startNodes } from './front.ts';

const CALL = '{"jsonrpc":"2.0","id":1,"method":"eth_gasPrice","params":[]}';
const ANSWER = '{"jsonrpc":"2.0","id":1,"result":"0x3b9aca00"}';
const JSON_TYPE = { 'content-type': 'application/json' };

function host(): FastifyInstance {
  const app = fastify();
  onTestFinished(() => app.close());
  return app;
}

async function startNode(): Promise<FakeNode> {
  const [node] = (await startNodes({})) as [FakeNode];
  return node;
}

/** The same network under another name. */
function renamed(config: ConfigInput, name: string): ConfigInput {
  const { net } = config.networks;
  if (!net) throw new Error('the configuration has the network net');
  return { ...config, networks: { [name]: net } };
}

const post = (app: FastifyInstance, url: string, headers: Record<string, string> = JSON_TYPE) =>
  app.inject({ method: 'POST', url, headers, payload: CALL });

async function problemOf(app: FastifyInstance): Promise<BalancerError> {
  const problem = await app.ready().then(
    () => null,
    (error: unknown) => error,
  );
  if (problem instanceof BalancerError) return problem;
  throw new Error(`it did not fail as expected: ${String(problem)}`);
}

describe("in somebody's gateway", () => {
  test('authentication of the host runs first, and its refusals are its own', async () => {
    const node = await startNode();
    const app = host();
    app.addHook('onRequest', async ({ headers }) => {
      if (headers.authorization !== 'Bearer ok')
        throw Object.assign(new Error('who are you'), { statusCode: 401 });
    });
    app.setErrorHandler((error: Error, _request, reply) => {
      reply.code(401).send({ theHostSays: error.message });
    });
    await app.register(rpcBalancer, { config: configOf([node]) });
    const refused = await post(app, '/net');
    expect([refused.statusCode, refused.json()]).toEqual([401, { theHostSays: 'who are you' }]);
    expect(node.requests).toEqual([]);
    const taken = await post(app, '/net', { ...JSON_TYPE, authorization: 'Bearer ok' });
    expect([taken.statusCode, taken.body]).toEqual([200, ANSWER]);
  });

  test('a hook of the host may take its time after the body was read', async () => {
    const app = host();
    app.addHook('preHandler', () => new Promise((resolve) => setImmediate(resolve)));
    await app.register(rpcBalancer, { config: configOf([await startNode()]) });
    const { send } = clientOf(await listen(app));
    expect((await send('/net', CALL)).text).toBe(ANSWER);
  });

  test('routes of the host stay its own, and ours for operators are served only where it says', async () => {
    const node = await startNode();
    const app = host();
    app.get('/health', async () => 'of the host');
    app.get('/metrics', async () => 'of the host');
    await app.register(rpcBalancer, { config: configOf([node]), ops: '/-/rpc' });
    for (const url of ['/health', '/metrics']) expect((await app.inject({ url })).body).toBe('of the host');
    expect((await app.inject({ url: '/ready' })).statusCode).toBe(404);
    expect((await app.inject({ url: '/-/rpc/health' })).json()).toMatchObject({ status: 'ok' });
    expect((await app.inject({ url: '/-/rpc/ready' })).json()).toMatchObject({ status: 'ready' });
    expect((await app.inject({ url: '/-/rpc/ready/net' })).json()).toMatchObject({ state: 'ok' });
    expect((await app.inject({ url: '/-/rpc/ready/other' })).statusCode).toBe(404);
    expect((await app.inject({ url: '/-/rpc/status' })).json().networks.net.upstreams).toHaveLength(1);
    expect((await app.inject({ url: '/-/rpc/metrics' })).body).toContain('rpc_balancer_requests_total');
  });

  test('without a place for them, no routes for operators exist', async () => {
    const app = host();
    await app.register(rpcBalancer, { config: configOf([await startNode()]) });
    for (const url of ['/health', '/ready', '/status', '/metrics']) {
      expect((await app.inject({ url })).statusCode, url).toBe(404);
    }
  });

  test('networks are found under the prefix and nowhere else', async () => {
    const app = host();
    await app.register(rpcBalancer, { config: configOf([await startNode()]), prefix: '/rpc/v1' });
    expect((await post(app, '/rpc/v1/net')).body).toBe(ANSWER);
    expect((await post(app, '/net')).statusCode).toBe(404);
  });

  test('content parsers of the host work for its routes, and ours for ours', async () => {
    const node = await startNode();
    const app = host();
    let parsedByHost = 0;
    app.removeContentTypeParser('application/json');
    app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
      parsedByHost++;
      done(null, JSON.parse(String(body)));
    });
    app.post('/own', async ({ body }) => body);
    await app.register(rpcBalancer, { config: configOf([node]), prefix: '/rpc' });
    const own = await app.inject({ method: 'POST', url: '/own', headers: JSON_TYPE, payload: '{ "a" : 1 }' });
    expect([own.json(), parsedByHost]).toEqual([{ a: 1 }, 1]);
    expect((await post(app, '/rpc/net')).body).toBe(ANSWER);
    expect(parsedByHost).toBe(1);
    expect(node.requests[0]?.body).toBe(CALL);
    const foreign = await app.inject({
      method: 'POST',
      url: '/own',
      headers: { 'content-type': 'a/b' },
      payload: 'x',
    });
    expect(foreign.statusCode).toBe(415);
  });

  test('an unknown network is told by the not-found handler of the host', async () => {
    const app = host();
    app.setNotFoundHandler((_request, reply) => reply.code(404).send('of the host'));
    await app.register(rpcBalancer, { config: configOf([await startNode()]) });
    for (const answer of [await post(app, '/other'), await app.inject({ url: '/other/x' })]) {
      expect([answer.statusCode, answer.body]).toEqual([404, 'of the host']);
    }
  });

  test('errors of ours are JSON-RPC, whatever the error handler of the host does', async () => {
    const app = host();
    app.setErrorHandler((_error, _request, reply) => reply.code(418).send('of the host'));
    await app.register(rpcBalancer, { config: configOf([await startNode()]) });
    const answer = await app.inject({ method: 'POST', url: '/net', headers: JSON_TYPE, payload: '{' });
    expect([answer.statusCode, answer.json().error.data.code]).toEqual([400, 'RPCB_PARSE']);
  });
});

describe('several registrations', () => {
  test('two prefixes on one instance share one decorator', async () => {
    const [one, two] = await startNodes({ chainId: 1 }, { chainId: 2 });
    const app = host();
    if (!one || !two) throw new Error('both were started');
    await app.register(rpcBalancer, { config: configOf([one]), prefix: '/x' });
    await app.register(rpcBalancer, {
      config: renamed(configOf([two]), 'other'),
      prefix: '/y',
      ops: '/-/rpc',
    });
    expect((await post(app, '/x/net')).body).toBe(ANSWER);
    expect((await post(app, '/y/other')).body).toBe(ANSWER);
    expect((await post(app, '/x/other')).statusCode).toBe(404);
    expect(Object.keys(app.rpcBalancer.status().networks)).toEqual(['net', 'other']);
    expect((await app.inject({ url: '/-/rpc/metrics' })).body).toContain('network="other"');
  });

  test('a network that is registered twice on one instance fails at boot with its name', async () => {
    const config = configOf([await startNode()]);
    const app = host();
    app.register(rpcBalancer, { config, prefix: '/x' });
    app.register(rpcBalancer, { config, prefix: '/y' });
    const problem = await problemOf(app);
    expect(problem.code).toBe('RPCB_CONFIG');
    expect(problem.message).toContain('"net" is registered twice');
  });

  test('sibling contexts have a balancer each, also of the same name', async () => {
    const [one, two] = await startNodes({}, {});
    if (!one || !two) throw new Error('both were started');
    const app = host();
    for (const [prefix, node] of [
      ['/x', one],
      ['/y', two],
    ] as const) {
      await app.register(async (context) => {
        await context.register(rpcBalancer, { config: configOf([node]), prefix });
      });
    }
    expect((await post(app, '/x/net')).body).toBe(ANSWER);
    expect((await post(app, '/y/net')).body).toBe(ANSWER);
    expect([one.hits(), two.hits()]).toEqual([1, 1]);
    expect(app.hasDecorator('rpcBalancer')).toBe(false);
  });

  test('a decorator of that name from somebody else fails at boot', async () => {
    const app = host();
    app.decorate('rpcBalancer', {} as never); // Somebody else's, so of any type.
    app.register(rpcBalancer, { config: configOf([await startNode()]) });
    expect((await problemOf(app)).message).toContain('another plugin');
  });
});

describe('what is passed in', () => {
  test('one registry for two sibling contexts is refused at boot, with what to do', async () => {
    const metrics = new Registry();
    const app = fastify();
    onTestFinished(() => app.close());
    for (const name of ['one', 'two']) {
      const config = {
        networks: { [name]: { probe: 'off' as const, upstreams: [{ id: 'a', url: 'http://127.0.0.1:1' }] } },
      };
      app.register(async (context) => void (await context.register(rpcBalancer, { config, metrics })));
    }
    await expect(app.ready()).rejects.toThrow(
      /registry has our metrics already; register the plugin on the instance/,
    );
  });

  test('metrics go to the registry that is passed in', async () => {
    const registry = new Registry();
    const app = host();
    await app.register(rpcBalancer, { config: configOf([await startNode()]), metrics: registry });
    await post(app, '/net');
    const text = await registry.metrics();
    expect(text).toContain('rpc_balancer_requests_total{network="net",code="ok"} 1');
    expect(text).toContain('rpc_balancer_attempts_total{network="net",upstream="a",outcome="answered"} 1');
  });

  test('lines go to the logger that is passed in', async () => {
    const lines: string[] = [];
    const write = (_fields: unknown, message: string) => void lines.push(message);
    const logger = { debug: write, info: write, warn: write, error: write };
    const app = host();
    await app.register(rpcBalancer, { config: configOf([await startNode()]), logger });
    await app.ready();
    expect(lines.length).toBeGreaterThan(0);
  });

  test('a Redis client that is passed in makes it a cluster, is duplicated and never quit', async () => {
    const redis = await anyRedis();
    onTestFinished(() => redis.stop());
    const client = new Redis(redis.url);
    onTestFinished(() => client.disconnect());
    const app = fastify();
    await app.register(rpcBalancer, { config: configOf([await startNode()]), redis: client });
    await app.ready();
    await waitFor(() => app.rpcBalancer.status().store.connected, { what: 'the store to be reached' });
    expect(app.rpcBalancer.status()).toMatchObject({ mode: 'cluster', store: { kind: 'redis' } });
    const clients = async () =>
      String(await client.client('LIST'))
        .trim()
        .split('\n').length;
    expect(await clients()).toBeGreaterThan(1);
    await app.close();
    expect(client.status).toBe('ready');
    expect(await client.ping()).toBe('PONG');
    await waitFor(async () => (await clients()) === 1, { what: 'our connections to be closed' });
  });
});

describe('the decorator', () => {
  async function startDecorated(): Promise<{ app: FastifyInstance; node: FakeNode }> {
    const node = await startNode();
    const { app } = await startFront([node], { network: { methods: { reads: ['test_*'] } } });
    return { app, node };
  }

  test('a call gives the bytes of the result, and parses them on demand', async () => {
    const { app } = await startDecorated();
    const result = await app.rpcBalancer.call('net', 'eth_gasPrice');
    expect(result.bytes.toString()).toBe('"0x3b9aca00"');
    expect(result.json()).toBe('0x3b9aca00');
  });

  test('a call keeps forty digits, large results and null', async () => {
    const { app, node } = await startDecorated();
    const digits = '1234567890123456789012345678901234567890';
    node.answer = ({ method }) => (method === 'eth_getLogs' ? { stream: 1024 ** 2 } : { resultText: digits });
    expect((await app.rpcBalancer.call('net', 'test_echo')).bytes.toString()).toBe(digits);
    expect((await app.rpcBalancer.call('net', 'eth_getLogs', [{}])).bytes).toHaveLength(1024 ** 2 + 4);
    node.answer = () => ({ result: null });
    expect((await app.rpcBalancer.call('net', 'test_echo')).json()).toBeNull();
  });

  test('a call whose result is larger than may be held is refused, and its node is freed', async () => {
    const node = await startNode();
    node.answer = () => ({ stream: 64 * 1024 ** 2 });
    const { app, upstream } = await startFront([node], { gateway: { batchAnswerLimit: '1mb' } });
    await expect(app.rpcBalancer.call('net', 'eth_getLogs', [{}])).rejects.toMatchObject({
      code: 'RPCB_TOO_LARGE',
    });
    await waitFor(() => node.inFlight === 0, { what: 'the node to be freed' });
    expect(upstream('a')).toMatchObject({ inFlight: 0, fails: 0 });
  });

  test('an error of the node is thrown with what the node said', async () => {
    const { app, node } = await startDecorated();
    const call = app.rpcBalancer.call('net', 'test_revert', []);
    await expect(call).rejects.toMatchObject({
      name: 'BalancerError',
      code: 'RPCB_NODE_ERROR',
      details: { code: 3, message: 'execution reverted: no', data: '0x08c379a0' },
    });
    node.answer = () => ({ raw: '{"id":1,"result":null,"error":{"code":7,"message":"as in version one"}}' });
    await expect(app.rpcBalancer.call('net', 'test_echo')).rejects.toMatchObject({
      code: 'RPCB_NODE_ERROR',
      details: { code: 7 },
    });
  });

  test('a call fails with the code that a client would get', async () => {
    const { app, node } = await startDecorated();
    await expect(app.rpcBalancer.call('other', 'eth_gasPrice')).rejects.toMatchObject({
      code: 'RPCB_UNKNOWN_NETWORK',
    });
    node.mode = 'http500';
    await expect(app.rpcBalancer.call('net', 'eth_gasPrice')).rejects.toMatchObject({
      code: 'RPCB_ATTEMPTS_FAILED',
      statusCode: 502,
      details: { network: 'net', attempts: [{ upstream: 'a', outcome: 'failed' }] },
    });
    await expect(app.rpcBalancer.call('net', 'eth_sendRawTransaction', ['0x'])).rejects.toMatchObject({
      code: 'RPCB_FATE_UNKNOWN',
    });
  });

  test('status and readiness are those of the routes', async () => {
    const { app } = await startDecorated();
    expect(app.rpcBalancer.status()).toMatchObject({
      mode: 'embedded',
      store: { kind: 'memory', connected: true },
      networks: { net: { state: 'ok', upstreams: [{ id: 'a', state: 'eligible', inFlight: 0 }] } },
    });
    expect(app.rpcBalancer.readiness()).toMatchObject({ ready: true, degraded: false });
  });
});

describe('closing', () => {
  test('a closed host has no connection to a node left', async () => {
    const node = await startNode();
    const app = fastify();
    await app.register(rpcBalancer, { config: configOf([node]) });
    const origin = await listen(app);
    await clientOf(origin).call('eth_gasPrice');
    const sockets = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
    const open = sockets();
    await app.close();
    await waitFor(() => sockets() < open, { what: 'the sockets to the node to be closed' });
  });
});
