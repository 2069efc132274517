// Decides: how recent writes are kept in Redis and told to the other gateways.
// Must not know: what is read back.
import type { StoreEvent } from '../../wire/events.ts';
import { noteWrite } from '../lua/note-write.ts';
import { readWrites } from '../lua/read-writes.ts';
import { RECENT_WRITES_MAX, type WriteSharing } from '../store.ts';

/** Runs one atomic step: its name, its text, its keys and its arguments. */
export type RunScript = (
  step: string,
  text: string,
  keys: readonly string[],
  args: readonly (string | number)[],
) => Promise<unknown>;

export function createRedisWrites(
  run: RunScript,
  keyOf: (network: string) => string,
  channel: string,
): WriteSharing {
  return {
    async noteWrite(network, { upstream, subjects }, ttlMs) {
      const event = JSON.stringify({ type: 'written', network, upstream, subjects } satisfies StoreEvent);
      const text = JSON.stringify({ upstream, subjects });
      await run('note_write', noteWrite, [keyOf(network)], [text, ttlMs, RECENT_WRITES_MAX, channel, event]);
    },
    async readWrites(network) {
      const texts = await run('read_writes', readWrites, [keyOf(network)], []);
      return Array.isArray(texts) ? texts.map(String) : [];
    },
  };
}
