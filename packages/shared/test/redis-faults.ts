// Decides: how tests of faults start a server, find a problem and see it end.
// Must not know: which fault.
import type { Server } from 'node:net';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, expect, onTestFinished } from 'vitest';
import { freePort } from '../../../test/kit/ports.ts';
import { type RedisOptions, type RedisServer, startRedis } from '../../../test/kit/redis.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import type { Store } from '../src/index.ts';

export const SECRET = 's3cret-word';
export const WRONG = 'wr0ng-word';
export const USER = `anna on >${SECRET} ~* &* +@all`;

/** Call at the top of a test file: after each test nothing may be left that nobody handled. */
export function expectNothingUnhandled(): void {
  const unhandled: unknown[] = [];
  const note = (error: unknown) => unhandled.push(error);
  beforeAll(() => {
    process.on('unhandledRejection', note);
    process.on('uncaughtException', note);
  });
  afterEach(() => expect(unhandled).toEqual([]));
  afterAll(() => {
    process.off('unhandledRejection', note);
    process.off('uncaughtException', note);
  });
}

export async function start(options: RedisOptions = {}): Promise<RedisServer> {
  const server = await startRedis(options);
  onTestFinished(() => server.stop());
  return server;
}

export async function listenOn(listener: Server): Promise<number> {
  const port = await freePort();
  await new Promise<void>((listening) => listener.listen(port, '127.0.0.1', listening));
  onTestFinished(() => void listener.close());
  return port;
}

/** The problem that the store finds; checks that calls fail with it, and that nothing secret is shown. */
export async function problemOf(store: Store): Promise<string> {
  const down = () => !store.health().connected && store.health().problem;
  const problem = await waitFor(down, { what: 'a problem' });
  const error: unknown = await store.readRanking('main').catch((reason: unknown) => reason);
  expect(error).toMatchObject({ name: 'BalancerError', code: 'RPCB_STORE' });
  const shown = inspect(error, { depth: 10, showHidden: true }) + problem;
  expect(shown).not.toContain(SECRET);
  expect(shown).not.toContain(WRONG);
  return problem;
}

export async function expectRecovery(store: Store): Promise<void> {
  const well = () => store.health().connected && store.health().problem === null;
  await waitFor(well, { what: 'the recovery' });
  expect(await store.readRanking('main')).toBeNull();
}
