// Whatever data Redis loses, an epoch that was given out is never given out again, and none below it.
import { cpSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../../test/kit/paths.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import { start } from './redis-faults.ts';
import { openStoreForTest } from './redis-stores.ts';
import { rankingOf } from './store-conformance.ts';

type Server = Awaited<ReturnType<typeof start>>;

interface Loss {
  readonly what: string;
  readonly args?: readonly string[];
  /** Before the leases that will be lost are taken. */
  before?(server: Server): Promise<void>;
  lose(server: Server): Promise<unknown>;
}

const SHORT_MS = 300;
const LONG_MS = 60_000;

/** What the server has on its disk now comes back later, as from a backup or after a crash. */
function diskOf(isKept: (name: string) => boolean, save: (server: Server) => Promise<unknown>) {
  const kept = temporaryDirectory();
  const names = (dir: string) => readdirSync(dir).filter(isKept);
  return {
    async before(server: Server): Promise<void> {
      await save(server);
      for (const name of names(server.dir))
        cpSync(join(server.dir, name), join(kept, name), { recursive: true });
    },
    async lose(server: Server): Promise<void> {
      await server.kill();
      for (const name of names(server.dir)) rmSync(join(server.dir, name), { recursive: true });
      for (const name of names(kept)) cpSync(join(kept, name), join(server.dir, name), { recursive: true });
      await server.restart();
    },
  };
}

const LOSSES: readonly Loss[] = [
  { what: 'FLUSHALL', lose: (server) => server.cli('flushall') },
  { what: 'DEBUG RELOAD', lose: (server) => server.cli('debug', 'reload') },
  {
    what: 'a restart that loses everything',
    lose: async (server) => {
      await server.kill();
      await server.restart();
    },
  },
  {
    what: 'the restore of an old dump',
    ...diskOf(
      (name) => name === 'dump.rdb',
      (server) => server.cli('save'),
    ),
  },
  {
    what: 'a crash that loses the end of the AOF',
    args: ['--appendonly', 'yes', '--appendfsync', 'always'],
    ...diskOf(
      (name) => name.startsWith('appendonly'),
      async () => {},
    ),
  },
];

test.each(LOSSES)(
  'epochs still increase, and rankings with them, after $what',
  async ({ args, before, lose }) => {
    const server = await start(args ? { args } : {});
    const store = openStoreForTest({ url: server.url });
    const take = (ttlMs: number) =>
      waitFor(() => store.acquire('main', 'anna', ttlMs), { what: 'the lease', timeoutMs: 20_000 });
    const kept = await take(SHORT_MS);
    await before?.(server);
    await store.release(kept);
    const lost: number[] = [];
    for (let count = 0; count < 3; count++) {
      const lease = await take(count < 2 ? LONG_MS : SHORT_MS);
      lost.push(lease.epoch);
      expect(await store.publish(lease, rankingOf('main', 100), LONG_MS)).toBe('accepted');
      if (count < 2) await store.release(lease);
    }
    // Without its data the server has only its clock, and three leases in a moment are ahead of it.
    const seconds = async () => Number([await server.cli('time')].flat()[0]);
    await waitFor(async () => (await seconds()) * 1000 > Math.max(...lost), {
      what: 'the next second',
      everyMs: 50,
    });
    await lose(server);
    const next = await take(LONG_MS);
    expect(next.epoch).toBeGreaterThan(Math.max(kept.epoch, ...lost));
    expect(await store.publish(next, rankingOf('main', 0), LONG_MS)).toBe('accepted');
  },
);
