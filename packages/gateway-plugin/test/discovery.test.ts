// Decides: whether upstreams follow the addresses of their names, without a request that fails.
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type FakeDns, startDns } from '../../../test/kit/dns.ts';
import type { FakeNode } from '../../../test/kit/fake-node.ts';
import { createAuthority } from '../../../test/kit/redis-tls.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import { type Front, type FrontOptions, type HttpAnswer, startFront, startNodes } from './front.ts';

const NAME = 'nodes.test';

interface Scene {
  readonly dns: FakeDns;
  readonly nodes: readonly FakeNode[];
  /** The network `net` with one upstream `a`, by the name. */
  readonly front: Front;
  /** Waits until the upstreams have these ids. */
  shows(...ids: readonly string[]): Promise<unknown>;
}

async function dnsOfTest(): Promise<FakeDns> {
  const dns = await startDns();
  onTestFinished(() => dns.stop());
  return dns;
}

function idsIn(front: Front): string[] {
  return front.app.rpcBalancer.status().networks.net?.upstreams.map(({ id }) => id) ?? [];
}

function ids(front: Front, ...expected: readonly string[]): Promise<unknown> {
  return waitFor(() => idsIn(front).join() === expected.join(), { what: expected.join(), everyMs: 5 });
}

/** Nodes at 127.0.0.1, 127.0.0.2 … with one port; those at the positions in `named` belong to the name. */
async function stage(count: number, named: readonly number[], options: FrontOptions = {}): Promise<Scene> {
  const dns = await dnsOfTest();
  const [first] = await startNodes({});
  if (first === undefined) throw new TypeError('one node was just asked for');
  const others = Array.from({ length: count - 1 }, (_, at) => ({ host: hostOf(at + 1), port: first.port }));
  const nodes = [first, ...(await startNodes(...others))];
  dns.set(NAME, ...named.map(hostOf));
  const front = await startFront([first], {
    ...options,
    upstreams: [{ url: `http://${NAME}:${first.port}`, ...options.upstreams?.[0] }],
    plugin: { resolver: dns.resolver, ops: '/-', ...options.plugin },
  });
  return { dns, nodes, front, shows: (...expected) => ids(front, ...expected) };
}

/** Waits until what the name server says now is known: the third time it is asked, the second answer has been taken on. */
function takenOn(dns: FakeDns): Promise<unknown> {
  const asked = dns.asked(NAME);
  return waitFor(() => dns.asked(NAME) >= asked + 6, { what: 'the name to be resolved again', everyMs: 5 });
}

const hostOf = (at: number) => `127.0.0.${at + 1}`;
const idOf = (at: number) => `a@${hostOf(at)}`;
const EACH = { network: { resolve: 'each' } } as const;
const readsOf = (nodes: readonly FakeNode[]) => nodes.map(({ reads }) => reads);

/** Asks without a pause, eight at once, until it is stopped; then gives every answer that was none. */
function load(front: Front) {
  const failed: string[] = [];
  let asked = 0;
  let stopped = false;
  async function ask(): Promise<void> {
    while (!stopped) {
      asked++;
      const { status, text, json } = await front.call('eth_gasPrice');
      if (status !== 200 || json.error) failed.push(text);
    }
  }
  const asking = Promise.all(Array.from({ length: 8 }, ask));
  const stop = () => {
    stopped = true;
    return asking;
  };
  onTestFinished(() => void stop());
  return {
    /** Waits for so many further requests. */
    async more(count: number): Promise<void> {
      const target = asked + count;
      await waitFor(() => asked >= target, { what: `${count} requests`, everyMs: 2 });
    },
    async end(): Promise<readonly string[]> {
      await stop();
      return failed;
    },
  };
}

describe('resolve: each', () => {
  test('gives every address of a name its share and each node the name as its Host', async () => {
    const { nodes, front, shows } = await stage(3, [0, 1, 2], EACH);
    await shows(idOf(0), idOf(1), idOf(2));
    for (let count = 0; count < 30; count++) await front.call('eth_gasPrice');
    expect(readsOf(nodes)).toEqual([10, 10, 10]);
    for (const node of nodes) expect(node.requests[0]?.headers.host).toBe(`${NAME}:${node.port}`);
  });

  test('takes an address that joins, keeps the counts of the others, and no request fails', async () => {
    const { dns, nodes, front, shows } = await stage(3, [1], EACH);
    await shows(idOf(1));
    const traffic = load(front);
    await traffic.more(20);
    dns.set(NAME, hostOf(2), hostOf(0), hostOf(1));
    await shows(idOf(0), idOf(1), idOf(2));
    await traffic.more(60);
    expect(await traffic.end()).toEqual([]);
    expect(front.upstream(idOf(1)).requests).toBe(nodes[1]?.reads);
    expect(front.upstream(idOf(0)).requests).toBeGreaterThan(10);
    expect(front.upstream(idOf(2)).requests).toBeGreaterThan(10);
  });

  test('gives nothing new to an address that leaves, ends what is in flight there and closes its sockets', async () => {
    const { dns, nodes, front, shows } = await stage(2, [0, 1], EACH);
    const [stays, leaves] = nodes as [FakeNode, FakeNode]; // Two were asked for.
    await shows(idOf(0), idOf(1));
    const traffic = load(front);
    await traffic.more(40);
    leaves.mode = 'late';
    leaves.lateMs = 400;
    await waitFor(() => leaves.inFlight > 0, { what: 'a request in flight', everyMs: 1 });
    dns.set(NAME, hostOf(0));
    await shows(idOf(0));
    const before = leaves.reads;
    await traffic.more(40);
    await waitFor(() => leaves.openSockets === 0, { what: 'its sockets to be closed' });
    expect(await traffic.end()).toEqual([]);
    expect(leaves.reads).toBe(before);
    expect(stays.openSockets).toBeGreaterThan(0);
  });

  test('keeps the last known addresses of a name that vanishes, and says so', async () => {
    const { dns, nodes, front, shows } = await stage(2, [0, 1], EACH);
    await shows(idOf(0), idOf(1));
    const unresolved = async () =>
      (await front.send('/-/metrics', null, { verb: 'GET', headers: {} })).text.includes(
        'rpc_balancer_upstream_unresolved{network="net",upstream="a"} 1',
      );
    expect(await unresolved()).toBe(false);
    dns.set(NAME);
    await waitFor(unresolved, { what: 'the metric' });
    for (let count = 0; count < 10; count++) expect((await front.call('eth_gasPrice')).status).toBe(200);
    expect(readsOf(nodes)).toEqual([5, 5]);
    dns.set(NAME, hostOf(1));
    await shows(idOf(1));
    expect(await unresolved()).toBe(false);
  });

  test('shows a name that has never been resolved as one upstream that fails, until it is', async () => {
    const network = { ...EACH.network, probe: { interval: 100, timeout: 500, attempts: 1 } };
    const { dns, front, shows } = await stage(1, [], { network });
    // How fast the system says that it does not know the name either is not ours to decide.
    const failures = ['unreachable', 'probe_timeout'];
    await waitFor(() => failures.includes(front.upstream('a').reason ?? ''), { what: 'a reason' });
    expect((await front.call('eth_gasPrice')).json.error.data.code).toBe('RPCB_ATTEMPTS_FAILED');
    dns.set(NAME, hostOf(0));
    await shows(idOf(0));
    await front.reason(idOf(0), null);
    expect((await front.call('eth_gasPrice')).status).toBe(200);
  });

  test('has gateway and sidecar call the addresses alike, and each is judged by itself', async () => {
    const network = { ...EACH.network, identity: '1', probe: { interval: 100, timeout: 500, attempts: 1 } };
    const { dns, nodes, front, shows } = await stage(3, [0, 1], { network });
    await shows(idOf(0), idOf(1));
    await Promise.all([front.reason(idOf(0), null), front.reason(idOf(1), null)]);
    await nodes[1]?.stop();
    await front.reason(idOf(1), 'unreachable');
    dns.set(NAME, hostOf(0), hostOf(1), hostOf(2));
    await shows(idOf(0), idOf(1), idOf(2));
    await front.reason(idOf(2), null);
    expect(front.upstream(idOf(0)).reason).toBeNull();
  });

  test('verifies the name of the certificate at each address, and refuses another one', async () => {
    const dns = await dnsOfTest();
    const authority = await createAuthority();
    const own = await authority.issue(NAME, []);
    let asked = '';
    const server = createServer(own, (request, response) => {
      asked = request.headers.host ?? '';
      response.end('{"jsonrpc":"2.0","id":1,"result":"0x1"}');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    const { port } = server.address() as AddressInfo; // A TCP server's address is an object.
    async function answerBy(name: string): Promise<HttpAnswer> {
      dns.set(name, '127.0.0.1');
      const upstream = { url: `https://${name}:${port}`, tls: { ca: authority.cert } };
      const options = { ...EACH, upstreams: [upstream], plugin: { resolver: dns.resolver } };
      const front = await startFront(await startNodes({}), options);
      await ids(front, 'a@127.0.0.1');
      return front.call('eth_gasPrice');
    }
    expect((await answerBy(NAME)).json.result).toBe('0x1');
    expect(asked).toBe(`${NAME}:${port}`);
    expect((await answerBy('others.test')).status).toBe(502);
  });
});

test.each([
  { resolve: 'one', left: 'a' },
  { resolve: 'each', left: idOf(1) },
] as const)(
  'with resolve: $resolve a stop ends what still hangs at an address that has left',
  async ({ resolve, left }) => {
    const network = { resolve, readTimeout: 20_000 };
    const { dns, nodes, front } = await stage(2, [0], { network, gateway: { drainTimeout: 50 } });
    const [old, next] = nodes as [FakeNode, FakeNode]; // Two were asked for.
    old.mode = 'hang';
    const hung = front.call('eth_gasPrice');
    await waitFor(() => old.inFlight === 1, { what: 'the request to hang' });
    dns.set(NAME, hostOf(1));
    await takenOn(dns);
    expect(idsIn(front)).toEqual([left]);
    expect((await front.call('eth_gasPrice')).status).toBe(200);
    expect(next.reads).toBe(1);
    await front.app.close();
    expect((await hung).status).toBe(502);
    await waitFor(() => old.openSockets === 0, { what: 'the sockets to be closed' });
  },
);

test('with resolve: each whoever drains a name drains all its addresses, those that join later too', async () => {
  const { dns, front, shows } = await stage(2, [0], EACH);
  await shows(idOf(0));
  await front.app.rpcBalancer.drain('net', 'a');
  dns.set(NAME, hostOf(0), hostOf(1));
  await shows(idOf(0), idOf(1));
  expect([front.upstream(idOf(0)).reason, front.upstream(idOf(1)).reason]).toEqual(['drained', 'drained']);
  await front.app.rpcBalancer.undrain('net', 'a');
  await front.app.rpcBalancer.drain('net', idOf(1));
  expect([front.upstream(idOf(0)).reason, front.upstream(idOf(1)).reason]).toEqual([null, 'drained']);
});

describe('resolve: one', () => {
  test('moves to the new address of a name: nothing fails, what is in flight ends, and the old sockets close', async () => {
    const { dns, nodes, front } = await stage(2, [0]);
    const [old, next] = nodes as [FakeNode, FakeNode]; // Two were asked for.
    const traffic = load(front);
    await traffic.more(20);
    old.mode = 'late';
    old.lateMs = 300;
    await waitFor(() => old.inFlight > 0, { what: 'a request in flight', everyMs: 1 });
    dns.set(NAME, hostOf(1));
    await waitFor(() => next.reads > 20, { what: 'requests at the new address' });
    await waitFor(() => old.openSockets === 0, { what: 'the old sockets to be closed' });
    const before = old.reads;
    await traffic.more(20);
    expect(await traffic.end()).toEqual([]);
    expect(old.reads).toBe(before);
    expect(front.upstream('a').requests).toBe(old.reads + next.reads);
  });

  test('keeps its sockets while their address belongs to the name', async () => {
    const { dns, nodes, front } = await stage(2, [0]);
    const [node, other] = nodes as [FakeNode, FakeNode]; // Two were asked for.
    await front.call('eth_gasPrice');
    dns.set(NAME, hostOf(1), hostOf(0));
    await takenOn(dns);
    for (let count = 0; count < 5; count++) await front.call('eth_gasPrice');
    expect([node.sockets, node.reads, other.reads]).toEqual([1, 6, 0]);
  });

  test('connects to what the resolver says before the first answer is known', async () => {
    const answer = Promise.withResolvers<readonly string[]>();
    const resolver = { intervalMs: 1000, resolve: () => answer.promise };
    const { nodes, front } = await stage(1, [], { plugin: { resolver } });
    const asked = front.call('eth_gasPrice');
    answer.resolve([hostOf(0)]);
    expect((await asked).status).toBe(200);
    expect(readsOf(nodes)).toEqual([1]);
  });
});
