// A gateway takes on a changed configuration while it serves: nothing fails, and what stays keeps what was learned of it.
import { writeFileSync } from 'node:fs';
import type { ConfigInput } from '@rpc-balancer/shared';
import fastify, { type FastifyInstance } from 'fastify';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { FakeNode } from '../../../test/kit/fake-node.ts';
import { runLoad } from '../../../test/kit/load.ts';
import { configFile } from '../../../test/kit/paths.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import { rpcBalancer } from '../src/index.ts';
import { type Client, clientOf, configOf, type FrontOptions, listen, startNodes } from './front.ts';

const SECRET = 'hunter2-of-the-test';

interface Reloaded extends Client {
  readonly app: FastifyInstance;
  readonly origin: string;
  readonly nodes: readonly [FakeNode, FakeNode, FakeNode];
  readonly logged: readonly string[];
  /** Writes another configuration and waits until it is in force, or refused. */
  write(config: ConfigInput, result?: string): Promise<void>;
  upstreams(network?: string): readonly { readonly id: string; readonly requests: number }[];
}

/** The network `net` over node `a`, with `b` and `c` in reserve, by a file. */
async function start(options: FrontOptions = {}): Promise<Reloaded> {
  const { resolver } = options.plugin ?? {};
  const nodes = (await startNodes({}, {}, {})) as [FakeNode, FakeNode, FakeNode];
  const file = configFile(configOf(nodes.slice(0, 1), options));
  const logged: string[] = [];
  const app = fastify({ logger: { level: 'info', stream: { write: (line) => void logged.push(line) } } });
  await app.register(rpcBalancer, { config: file, ops: '/-/rpc', ...(resolver && { resolver }) });
  const origin = await listen(app);
  onTestFinished(() => expect(logged.join('')).not.toContain(SECRET));
  const client = clientOf(origin);
  return {
    ...client,
    ...{ app, origin, nodes, logged },
    async write(config, result = 'was reloaded') {
      const before = logged.length;
      writeFileSync(file, JSON.stringify(config));
      await waitFor(() => logged.slice(before).join('').includes(result), { what: `the file: ${result}` });
    },
    upstreams: (network = 'net') => app.rpcBalancer.status().networks[network]?.upstreams ?? [],
  };
}

function load(origin: string, durationMs: number) {
  return runLoad({
    url: `${origin}/net`,
    ratePerS: 200,
    durationMs,
    makeCall: (id) => ({ body: `{"jsonrpc":"2.0","id":${id},"method":"eth_gasPrice","params":[]}` }),
  });
}

const ids = (upstreams: readonly { readonly id: string }[]) => upstreams.map(({ id }) => id);

describe('a gateway under load', () => {
  test('fails no request while upstreams come, change and go, and gives each its traffic', async () => {
    const { origin, nodes, write, upstreams } = await start();
    const [a, b, c] = nodes;
    const running = load(origin, 4000);
    await waitFor(() => a.hits() > 20, { what: 'the load to reach a' });
    await write(configOf([a, b]));
    await waitFor(() => b.hits() > 20, { what: 'the load to reach b' });
    await write(configOf([a, b], { upstreams: [{}, { weight: 3 }], network: { readTimeout: 9000 } }));
    await write(configOf([c, b]));
    await waitFor(() => a.openSockets === 0, { what: 'the last attempts on a to end' });
    const [left, reached] = [a.hits(), c.hits()];
    await waitFor(() => c.hits() > reached + 20, { what: 'the load to reach c in the place of a' });
    expect(await running).toMatchObject({ failed: 0, wrong: 0 });
    expect(a.hits()).toBe(left);
    expect(ids(upstreams())).toEqual(['a', 'b']);
  });

  test('refuses a file that is not valid, says so and counts it, and goes on with the old one', async () => {
    const { origin, nodes, write, send, upstreams, logged } = await start();
    const [a, b] = nodes;
    const running = load(origin, 1000);
    const url = `http://10.0.0.1:99999/${SECRET}`;
    await write(
      { networks: { net: { upstreams: [{ id: 'a', url }], tires: 5 } } } as object as ConfigInput,
      'refused',
    );
    const tls = { ca: '-----BEGIN CERTIFICATE-----\nnone' };
    await write(
      configOf([a, b], { upstreams: [{}, { tls, url: `https://10.0.0.1/${SECRET}` }] }),
      'tls cannot be used',
    );
    expect(await running).toMatchObject({ failed: 0, wrong: 0 });
    expect(ids(upstreams())).toEqual(['a']);
    expect(logged.join('')).toMatch(/networks\.net\.upstreams\[0\]\.url.*did you mean \\"tries\\"/);
    await write(configOf([a, b]));
    const metrics = (await send('/-/rpc/metrics', null, { verb: 'GET' })).text;
    expect(metrics).toContain('rpc_balancer_config_reloads_total{result="refused"} 2');
    expect(metrics).toContain('rpc_balancer_config_reloads_total{result="applied"} 1');
  });
});

describe('an upstream that stays', () => {
  test('keeps its connections, its counts and what passive health knows of it', async () => {
    const { nodes, write, call, app } = await start({ network: { maxFails: 5 } });
    const [a, b] = nodes;
    await call('eth_gasPrice');
    a.mode = 'http503';
    await call('eth_gasPrice');
    a.mode = 'ok';
    const sockets = a.sockets;
    const before = app.rpcBalancer.status().networks.net?.upstreams[0];
    await write(configOf([a, b], { network: { maxFails: 2, tries: 2 }, upstreams: [{ weight: 2 }, {}] }));
    const after = app.rpcBalancer.status().networks.net?.upstreams[0];
    expect(after).toEqual({ ...before, weight: 2 });
    expect(before).toMatchObject({ requests: 2, fails: 1 });
    for (let count = 0; count < 6; count++) await call('eth_gasPrice');
    expect([a.sockets, b.hits()]).toEqual([sockets, 2]);
  });

  test('is another one with another url, of which nothing is known yet', async () => {
    const { nodes, write, call, upstreams } = await start();
    const [a, b] = nodes;
    a.mode = 'http503';
    await call('eth_gasPrice');
    expect(upstreams()).toMatchObject([{ id: 'a', requests: 1, fails: 1 }]);
    await write(configOf([b]));
    expect(upstreams()).toMatchObject([{ id: 'a', requests: 0, fails: 0 }]);
    expect((await call('eth_gasPrice')).status).toBe(200);
    expect([a.hits(), b.hits()]).toEqual([1, 1]);
  });

  test('counts what is in flight over the change, and its limit may become another', async () => {
    const { nodes, write, call, upstreams } = await start();
    const [a] = nodes;
    const { promise: until, resolve: answer } = Promise.withResolvers<void>();
    a.answer = () => ({ result: 'late', until });
    const held = call('eth_gasPrice');
    await waitFor(() => a.hits() === 1, { what: 'the call to reach the node' });
    await write(configOf([a], { upstreams: [{ maxConns: 1 }], network: { connectTimeout: 1500 } }));
    expect(upstreams()).toMatchObject([{ inFlight: 1, reason: 'full' }]);
    expect((await call('eth_gasPrice')).json.error.data.code).toBe('RPCB_OVERLOADED');
    answer();
    expect((await held).json.result).toBe('late');
    expect(upstreams()).toMatchObject([{ inFlight: 0, reason: null }]);
  });

  test('keeps the addresses of its name, and what was learned of each', async () => {
    const resolver = { resolve: async () => ['127.0.0.1'], intervalMs: 60_000 };
    const network = { resolve: 'each' } as const;
    const { nodes, write, call, upstreams, app } = await start({ plugin: { resolver } });
    const [a] = nodes;
    const url = `http://nodes.test:${a.port}`;
    await write(configOf([a], { network, upstreams: [{ url }] }));
    await waitFor(() => ids(upstreams())[0] === 'a@127.0.0.1', { what: 'the name to be resolved' });
    expect((await call('eth_gasPrice')).status).toBe(200);
    await app.rpcBalancer.drain('net', 'a');
    await write(configOf([a], { network: { ...network, maxFails: 9 }, upstreams: [{ url, weight: 5 }] }));
    expect(upstreams()).toMatchObject([{ id: 'a@127.0.0.1', weight: 5, requests: 1, reason: 'drained' }]);
  });

  test('stays drained, and one that comes back is drained still', async () => {
    const { nodes, write, app, upstreams } = await start();
    const [a, b] = nodes;
    await app.rpcBalancer.drain('net', 'a', { reason: 'disk' });
    await write(configOf([a, b]));
    expect(upstreams()).toMatchObject([{ reason: 'drained' }, { reason: null }]);
    await write(configOf([b], { upstreams: [{ id: 'b' }] }));
    await write(configOf([a, b]));
    expect(upstreams()).toMatchObject([{ id: 'a', reason: 'drained' }, { id: 'b' }]);
  });
});

describe('what goes', () => {
  test('an upstream that goes finishes what it has, gets nothing new and loses its connections', async () => {
    const { nodes, write, call } = await start();
    const [a, b] = nodes;
    const { promise: until, resolve: answer } = Promise.withResolvers<void>();
    a.answer = () => ({ stream: 4 * 1024 ** 2, until });
    const held = call('eth_gasPrice');
    await waitFor(() => a.hits() === 1, { what: 'the call to reach the node' });
    await write(configOf([b], { upstreams: [{ id: 'b' }] }));
    for (let count = 0; count < 5; count++) expect((await call('eth_gasPrice')).status).toBe(200);
    answer();
    expect((await held).text.length).toBeGreaterThan(4 * 1024 ** 2);
    expect([a.hits(), b.hits()]).toEqual([1, 5]);
    await waitFor(() => a.openSockets === 0, { what: 'the connections to a to be closed' });
  });

  test('a network that goes is unknown from then on, and its requests end on what they began with', async () => {
    const { nodes, write, call, send, app } = await start({ network: { tries: 2 } });
    const [a, b] = nodes;
    await write(configOf([a, b], { upstreams: [{}, { tier: 'fallback' }] }));
    const { promise: until, resolve: answer } = Promise.withResolvers<void>();
    a.answer = () => ({ status: 503, until });
    const held = call('eth_gasPrice');
    await waitFor(() => a.hits() === 1, { what: 'the call to reach the node' });
    const { networks } = configOf([b]);
    await write({ networks: { other: networks.net } as ConfigInput['networks'] });
    expect((await call('eth_gasPrice')).status).toBe(404);
    const other = await send('/other', '{"jsonrpc":"2.0","id":1,"method":"eth_gasPrice","params":[]}');
    answer();
    expect([other.status, (await held).status, b.hits()]).toEqual([200, 200, 2]);
    expect(Object.keys(app.rpcBalancer.status().networks)).toEqual(['other']);
    await waitFor(() => a.openSockets === 0, { what: 'the connections to a to be closed' });
  });

  test('what is still in flight on former upstreams and networks holds no close up', async () => {
    const { nodes, write, app } = await start();
    const [a, b] = nodes;
    for (const node of nodes) node.mode = 'hang';
    const held = [app.rpcBalancer.call('net', 'eth_gasPrice')];
    await waitFor(() => a.hits() === 1, { what: 'the call to reach a' });
    await write(configOf([b], { upstreams: [{ id: 'b' }] }));
    held.push(app.rpcBalancer.call('net', 'eth_gasPrice'));
    await waitFor(() => b.hits() === 1, { what: 'the call to reach b' });
    const { networks } = configOf(nodes.slice(2));
    await write({ networks: { other: networks.net } as ConfigInput['networks'] });
    await Promise.all([app.close(), ...held.map((call) => expect(call).rejects.toThrow())]);
  });

  test('a network whose name another registration has is refused', async () => {
    const { app, write, nodes } = await startBeside();
    const { networks } = configOf(nodes);
    await write(
      { networks: { ...networks, taken: networks.net } as ConfigInput['networks'] },
      'registered twice',
    );
    expect(Object.keys(app.rpcBalancer.status().networks)).toEqual(['net', 'taken']);
  });
});

/** Beside a registration that has the network `taken`. */
async function startBeside() {
  const nodes = await startNodes({});
  const file = configFile(configOf(nodes));
  const logged: string[] = [];
  const app = fastify({ logger: { stream: { write: (line) => void logged.push(line) } } });
  await app.register(rpcBalancer, { config: file });
  const { networks } = configOf(nodes);
  await app.register(rpcBalancer, {
    config: { networks: { taken: networks.net } as ConfigInput['networks'] },
    prefix: '/other',
  });
  await listen(app);
  async function write(config: ConfigInput, result: string): Promise<void> {
    writeFileSync(file, JSON.stringify(config));
    await waitFor(() => logged.join('').includes(result), { what: `the file: ${result}` });
  }
  return { app, write, nodes };
}

test('the settings of the gateway are those of the file, but for what Fastify fixes', async () => {
  const { nodes, write, send, call, logged, app } = await start();
  await write(
    configOf(nodes.slice(0, 1), {
      gateway: { batchLimit: 1, exposeHeaders: true, bodyLimit: 100, root: 'net' },
    }),
  );
  expect(logged.join('')).toContain('"keys":["gateway.bodyLimit","gateway.root"]');
  const { status, headers } = await call('eth_gasPrice', ['x'.repeat(200)]);
  expect([status, headers['x-rpcb-upstream']]).toEqual([200, 'a']);
  const one = '{"jsonrpc":"2.0","id":1,"method":"eth_gasPrice","params":[]}';
  expect((await send('/net', `[${one},${one}]`)).json.error.data.code).toBe('RPCB_TOO_LARGE');
  expect((await send('/', one)).status).toBe(404);
  expect(app.rpcBalancer.reload()).toBe('unchanged');
});

test('a gateway that was given an object has no file to read again', async () => {
  const app = fastify();
  await app.register(rpcBalancer, { config: configOf(await startNodes({})) });
  await listen(app);
  expect(app.rpcBalancer.reload()).toBeNull();
});

test('a gateway that probes by itself probes what the new file names', async () => {
  const { nodes, write, upstreams } = await start();
  const [a, b] = nodes;
  const probe = { interval: 100, timeout: 3000, attempts: 1 };
  await write(configOf([a], { network: { probe } }));
  await waitFor(() => upstreams().every((one) => 'head' in one && one.head !== null), {
    what: 'a to be probed',
  });
  await write(configOf([a, b], { network: { probe } }));
  await waitFor(
    () => upstreams().length === 2 && upstreams().every((one) => 'head' in one && one.head !== null),
    {
      what: 'b to be probed too',
    },
  );
});
