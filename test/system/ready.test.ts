// What a replica says of itself to whoever decides whether it gets traffic.
import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import type { Gateway } from '../kit/gateway.ts';
import { waitFor } from '../kit/wait.ts';
import { callText, fakeNode, gateway, PROBE, post, redisServer, sidecar } from './programs.ts';

const MISSING =
  'publisher_missing: no fresh ranking; start a sidecar or set sidecar.embed: always, or check that it uses the same Redis, prefix and clusterId';

const readyAt = (one: Gateway, path: string) =>
  fetch(`${one.url}/ready${path}`).then(async (response) => ({
    statusCode: response.status,
    body: await response.json(),
  }));

test('a cluster in which nobody publishes serves, and says in readiness and log what to start', async () => {
  const [node, redis] = await Promise.all([fakeNode(), redisServer()]);
  const config = {
    redis: { url: redis.url },
    networks: { main: { probe: PROBE, upstreams: [{ id: 'geth-a', url: node.url }] } },
  };
  const front = await gateway({ config });
  await front.process.waitForOutput(
    /"network":"main"[^\n]*no fresh ranking: start a sidecar or set sidecar\.embed: always/,
  );
  expect(await front.ready()).toMatchObject({
    statusCode: 200,
    body: { status: 'degraded', networks: { main: { problems: [MISSING] } } },
  });
  expect((await post(`${front.url}/main`, callText('test_echo', [7]))).text).toContain('[7]');

  await sidecar({ config });
  await front.process.waitForOutput(/rankings arrive again/);
  expect(await front.ready()).toEqual({
    statusCode: 200,
    body: {
      status: 'ready',
      problems: [],
      store: { connectionsLost: 0, lastLostAt: null, slotsMoved: 0 },
      networks: {
        main: { state: 'ok', required: false, reasons: {}, problems: [], epoch: expect.any(Number) },
      },
    },
  });
});

test('a required network that nobody can serve makes the replica unready, and another network does not', async () => {
  const [live, mortal] = [await fakeNode(), await fakeNode()];
  const upstreams = (url: string) => [{ id: 'geth-a', url }];
  const networks = (required: boolean) => ({
    live: { probe: PROBE, upstreams: upstreams(live.url) },
    mortal: { probe: PROBE, required, upstreams: upstreams(mortal.url) },
  });
  const [strict, lenient] = await Promise.all([
    gateway({ config: { networks: networks(true) } }),
    gateway({ config: { networks: networks(false) } }),
  ]);
  const said = async () => {
    const answers = await Promise.all([strict.ready(), lenient.ready()]);
    return answers.map(({ statusCode, body }) => [statusCode, body.status, body.networks.mortal.state]);
  };
  const saysInTheEnd = (mortalState: string) =>
    waitFor(
      async () => {
        const states = await said();
        return states.every(([, , state]) => state === mortalState) && states;
      },
      { what: `both to find the network ${mortalState}` },
    );
  expect(await saysInTheEnd('ok')).toEqual([
    [200, 'ready', 'ok'],
    [200, 'ready', 'ok'],
  ]);
  await mortal.kill();
  expect(await saysInTheEnd('down')).toEqual([
    [503, 'unavailable', 'down'],
    [200, 'degraded', 'down'],
  ]);
  // A probe that the death cut off is probe_failed; the next one finds nobody.
  const reasons = async (): Promise<Record<string, string>> =>
    ((await readyAt(strict, '/mortal')).body as { reasons: Record<string, string> }).reasons;
  await waitFor(async () => (await reasons())['geth-a'] === 'unreachable', { what: 'the next probe' });
  expect(await Promise.all([readyAt(strict, '/live'), readyAt(strict, '/mortal')])).toMatchObject([
    { statusCode: 200, body: { state: 'ok' } },
    { statusCode: 503, body: { state: 'down', required: true, reasons: { 'geth-a': 'unreachable' } } },
  ]);
  await mortal.restart();
  expect(await saysInTheEnd('ok')).toEqual([
    [200, 'ready', 'ok'],
    [200, 'ready', 'ok'],
  ]);
});

test('a replica that closes is not ready any more, while a call in flight is still answered', async () => {
  const node = await fakeNode();
  const { promise: until, resolve: answer } = Promise.withResolvers<void>();
  node.answer = ({ method }) => (method === 'test_echo' ? { result: 'late', until } : undefined);
  const front = await gateway({
    config: { networks: { main: { probe: PROBE, upstreams: [{ id: 'geth-a', url: node.url }] } } },
  });
  const call = post(`${front.url}/main`, callText('test_echo'));
  await waitFor(() => node.hits('test_echo') === 1, { what: 'the call to reach the node' });
  // A question of which the first half came before the stop: a connection without one would be closed at once.
  const socket = connect(front.port, '127.0.0.1');
  onTestFinished(() => {
    socket.destroy();
  });
  await once(socket, 'connect');
  socket.write('GET /ready HTTP/1.1\r\nhost: test\r\n');
  await waitFor(async () => (await front.ready()).statusCode === 200, {
    what: 'the half question to have come',
  });

  front.process.kill('SIGTERM');
  await front.process.waitForOutput(/finishing what is in flight/);
  socket.write('\r\n');
  const [refusal] = await once(socket, 'data');
  expect(String(refusal)).toMatch(/^HTTP\/1\.1 503 /);
  answer();
  expect(await call).toEqual({ statusCode: 200, text: '{"jsonrpc":"2.0","id":1,"result":"late"}' });
  expect(await front.process.exited).toEqual({ code: 0, signal: null });
});
