// Decides: how recent writes are kept in Redis and told to the other gateways.
// Must not know: what is read back.
import type { StoreEvent } from '../../wire/events.ts';
import { type KeyOptions, networkKeys } from '../../wire/keys.ts';
import { noteWrite } from '../lua/note-write.ts';
import { readWrites } from '../lua/read-writes.ts';
import { RECENT_WRITES_MAX, type WriteSharing } from '../store.ts';
import { type Run, script } from './step.ts';

export function createRedisWrites(keyOptions: KeyOptions, channel: string, run: Run): WriteSharing {
  const keyOf = (network: string) => networkKeys(keyOptions, network).writes;
  return {
    async noteWrite(network, { upstream, subjects }, ttlMs) {
      const event = JSON.stringify({ type: 'written', network, upstream, subjects } satisfies StoreEvent);
      const text = JSON.stringify({ upstream, subjects });
      const args = [text, ttlMs, RECENT_WRITES_MAX, channel, event];
      await run('note_write', script(noteWrite, [keyOf(network)], args));
    },
    async readWrites(network) {
      const texts = await run('read_writes', script(readWrites, [keyOf(network)], []));
      return Array.isArray(texts) ? texts.map(String) : [];
    },
  };
}
