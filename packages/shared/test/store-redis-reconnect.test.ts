// A connection that ends is made anew, quietly where it can be, and a closed store leaves nothing behind.
import { connect, createServer, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { inRepo } from '../../../test/kit/paths.ts';
import { freePort } from '../../../test/kit/ports.ts';
import { startProcess } from '../../../test/kit/process.ts';
import { startRedisCluster } from '../../../test/kit/redis-topologies.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import type { Store, StoreEvent } from '../src/index.ts';
import {
  expectNothingUnhandled,
  expectRecovery,
  listenOn,
  problemOf,
  SECRET,
  start,
  USER,
  WRONG,
} from './redis-faults.ts';
import { openStoreForTest } from './redis-stores.ts';

expectNothingUnhandled();

describe('a connection that was good', () => {
  function watch(store: Store): { events: (StoreEvent | null)[]; changes: string[] } {
    const watched = { events: [] as (StoreEvent | null)[], changes: [] as string[] };
    store.subscribe((event) => watched.events.push(event));
    store.onHealth(({ connected, problem }) => watched.changes.push(`${connected} ${problem}`));
    return watched;
  }
  const nulls = (events: readonly unknown[]) => events.filter((event) => event === null).length;

  test('is made anew without a word when the server closes it for being idle', async () => {
    const server = await start({ args: ['--timeout', '1'] });
    const store = openStoreForTest({ url: server.url });
    const { events, changes } = watch(store);
    await waitFor(() => nulls(events) === 1, { what: 'the subscription' });
    const connections = async () =>
      Number(/total_connections_received:(\d+)/.exec(String(await server.cli('info', 'stats')))?.[1]);
    const own = async () =>
      String(await server.cli('client', 'list', 'type', 'normal')).includes(' name=rpc-balancer ');
    const before = await connections();
    await waitFor(async () => !(await own()), { what: 'the idle close', everyMs: 5 });
    expect(await store.readRanking('main')).toBeNull();
    expect(await connections()).toBeGreaterThan(before);
    expect(changes).toEqual(['true null']);
    expect(nulls(events)).toBe(1);
  });

  test('is made anew without a word when it is reset', async () => {
    const server = await start();
    const sockets = new Set<Socket>();
    const proxy = createServer((socket) => {
      const onward = connect(server.port, '127.0.0.1');
      for (const end of [socket, onward]) end.on('error', () => {});
      socket.pipe(onward).pipe(socket);
      sockets.add(socket);
    });
    const store = openStoreForTest({ url: `redis://127.0.0.1:${await listenOn(proxy)}` });
    const { events, changes } = watch(store);
    await waitFor(() => nulls(events) === 1, { what: 'the subscription' });
    for (const socket of sockets) socket.resetAndDestroy();
    await waitFor(() => nulls(events) === 2, { what: 'the new subscription' });
    expect(await store.readRanking('main')).toBeNull();
    expect(changes).toEqual(['true null']);
  });

  test('is made anew after CLIENT KILL, and says that events may have been missed', async () => {
    const server = await start();
    const store = openStoreForTest({ url: server.url });
    const { events, changes } = watch(store);
    await waitFor(() => nulls(events) === 1, { what: 'the subscription' });
    await server.cli('client', 'kill', 'type', 'pubsub');
    await server.cli('client', 'kill', 'type', 'normal', 'skipme', 'yes');
    expect(await store.acquire('main', 'anna', 60_000)).not.toBeNull();
    await waitFor(() => nulls(events) === 2, { what: 'the new subscription' });
    expect(changes).toEqual(['true null']);
  });

  test('comes back after a restart, with calls refused at once in between', async () => {
    const server = await start();
    const store = openStoreForTest({ url: server.url });
    const { events } = watch(store);
    await waitFor(() => nulls(events) === 1, { what: 'the subscription' });
    await server.kill();
    expect(await problemOf(store)).toMatch(/start the server/);
    // If each waited for its timeout, so many would take longer than a test may.
    for (let call = 0; call < 100; call++)
      await expect(store.readRanking('main')).rejects.toMatchObject({ code: 'RPCB_STORE' });
    await server.restart();
    await expectRecovery(store);
    await waitFor(() => nulls(events) === 2, { what: 'the new subscription' });
    const lease = await store.acquire('main', 'anna', 60_000);
    if (lease) await store.release(lease);
    await waitFor(() => events.at(-1)?.type === 'released', { what: 'the event' });
  });

  test('to a server that freezes is given up, and found again when it goes on', async () => {
    const server = await start();
    const store = openStoreForTest({ url: server.url });
    expect(await store.readRanking('main')).toBeNull();
    await server.pause();
    await expect(store.readRanking('main')).rejects.toMatchObject({ message: /does not answer in time/ });
    expect(store.health().connected).toBe(false);
    await server.resume();
    await expectRecovery(store);
  });

  test('goes on with the configured password after a rotation', async () => {
    const server = await start({ aclUsers: [USER] });
    const store = openStoreForTest({ url: server.url, username: 'anna', password: SECRET });
    expect(await store.readRanking('main')).toBeNull();
    await server.cli('acl', 'setuser', 'anna', 'resetpass', `>${WRONG}`);
    await server.cli('client', 'kill', 'user', 'anna');
    expect(await problemOf(store)).toMatch(/redis\.password/);
    await server.cli('acl', 'setuser', 'anna', `>${SECRET}`);
    await expectRecovery(store);
  });

  test('of a Redis Cluster goes to another node for events, and back for slots, when a master dies and returns', async () => {
    const cluster = await startRedisCluster();
    onTestFinished(() => cluster.stop());
    const store = openStoreForTest({ cluster: [...cluster.addresses] });
    const { events } = watch(store);
    await waitFor(() => nulls(events) === 1, { what: 'the subscription' });
    const channels = await Promise.all(cluster.nodes.map((node) => node.cli('pubsub', 'channels')));
    const first = cluster.nodes[channels.findIndex((names) => String(names) !== '')];
    await first?.kill();
    await waitFor(() => nulls(events) === 2, { what: 'the subscription at another node' });
    await expect(async () => {
      for (const network of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) await store.readRanking(network);
    }).rejects.toMatchObject({ code: 'RPCB_STORE' });
    await first?.restart();
    const all = () =>
      Promise.all(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((name) => store.readRanking(name)));
    await waitFor(all, { what: 'all slots', timeoutMs: 20_000, everyMs: 100 });
    await waitFor(() => store.health().problem === null, { what: 'no problem' });
  });
});

describe('closing', () => {
  async function expectClean(store: Store): Promise<void> {
    await store.close();
    await expect(store.readRanking('main')).rejects.toMatchObject({ code: 'RPCB_STORE', message: /closed/ });
    await store.close();
  }

  test('ends while connected, while refused, while nothing answers, and before anything began', async () => {
    const server = await start();
    const connected = openStoreForTest({ url: server.url });
    await connected.readRanking('main');
    await expectClean(connected);
    const refused = openStoreForTest({ url: `redis://127.0.0.1:${await freePort()}` });
    await problemOf(refused);
    await expectClean(refused);
    await expectClean(openStoreForTest({ url: server.url }));
    await expectClean(openStoreForTest({ sentinels: [`127.0.0.1:${await freePort()}`], name: 'main' }));
    await expectClean(openStoreForTest({ cluster: [`127.0.0.1:${await freePort()}`] }));
    await server.pause();
    const silent = openStoreForTest({ url: server.url });
    await problemOf(silent);
    await expectClean(silent);
  });

  test('refuses a call that waits for a connection', async () => {
    const server = await start();
    await server.pause();
    const store = openStoreForTest({ url: server.url });
    const waiting = store.acquire('main', 'anna', 1000);
    const refused = expect(waiting).rejects.toMatchObject({ message: /closed/ });
    await store.close();
    await refused;
  });

  test('leaves nothing behind that keeps a process alive', async () => {
    const server = await start();
    const frozen = await start();
    await frozen.pause();
    const inputs = [
      { url: server.url },
      { url: frozen.url },
      { url: `redis://127.0.0.1:${await freePort()}` },
      { sentinels: [`127.0.0.1:${await freePort()}`], name: 'main' },
      { cluster: [`127.0.0.1:${await freePort()}`] },
    ];
    const text = `
      const { createRedisStore } = await import(${JSON.stringify(inRepo('packages/shared/src/index.ts'))});
      const stores = ${JSON.stringify(inputs)}.map((redis) =>
        createRedisStore({ redis, prefix: 'rpcb', clusterId: 'test', random: () => 0.5, now: Date.now }));
      await Promise.allSettled(stores.map((store) => store.readRanking('main')));
      await Promise.all(stores.map((store) => store.close()));
      console.log('closed', process.getActiveResourcesInfo().filter((kind) => !kind.startsWith('Pipe')).join());
    `;
    const child = startProcess({ command: process.execPath, args: ['--input-type=module', '-e', text] });
    onTestFinished(() => child.kill());
    await child.waitForOutput(/closed/);
    expect(await child.exited).toEqual({ code: 0, signal: null });
  });
});
