// Decides: how the replicas learn which upstream took a transaction: at once by an event, all that count after a reconnection.
// Must not know: what is read back. No request waits for any of it.
import { decodeRecentWrite, type Log, type RecentWrite, type Store } from '@rpc-balancer/shared';
import { RECENT_WRITE_MS } from '../balance/recent-writes.ts';
import type { Network, TakenWrite } from '../upstream/network.ts';
import { senderOf } from './sender.ts';

/** Transactions whose senders are still to be recovered, a millisecond each; of further ones only the hash is told. */
const QUEUE_MAX = 64;

export interface WriteSharingOptions {
  readonly networks: () => Iterable<Network>;
  readonly store: Store;
  readonly now: () => number;
  readonly log: Log;
}

export interface WriteSharing {
  /** An upstream of this replica took a transaction. */
  take(write: TakenWrite): void;
  stop(): Promise<void>;
}

export function startWriteSharing({ networks, store, now, log }: WriteSharingOptions): WriteSharing {
  const running = new Set<Promise<void>>();
  let queue = Promise.resolve();
  let queuedCount = 0;

  function note({ state }: Network, { subjects, upstream }: RecentWrite): void {
    if (state.members.some(({ id }) => id === upstream))
      state.writes.note(subjects, upstream, state.heads.mark, now());
  }

  async function share({ network, upstream, hash }: TakenWrite, sender: string | null): Promise<void> {
    const write = { upstream, subjects: sender === null ? [hash] : [hash, sender] };
    note(network, write);
    await store.noteWrite(network.name, write, RECENT_WRITE_MS);
  }

  async function readAll(): Promise<void> {
    for (const network of networks()) {
      for (const text of await store.readWrites(network.name)) {
        const write = decodeRecentWrite(text);
        if (write !== null) note(network, write);
      }
    }
  }

  function run(work: Promise<void>): void {
    const done = work
      .catch((error: Error) => log.debug({ problem: error.message }, 'recent writes could not be shared'))
      .finally(() => running.delete(done));
    running.add(done);
  }

  /** One at a time, each in a turn of its own: requests come between. */
  function recover(write: TakenWrite): Promise<void> {
    queuedCount++;
    const turn = queue.then(() => new Promise<void>((resolve) => setImmediate(resolve)));
    const sender = turn.then(() => senderOf(write.raw)).finally(() => queuedCount--);
    queue = sender.then(
      () => {},
      () => {},
    );
    return sender.then((found) => share(write, found));
  }

  const unsubscribe = store.subscribe((event) => {
    if (event === null) return run(readAll());
    if (event.type !== 'written') return;
    for (const network of networks()) if (network.name === event.network) note(network, event);
  });

  return {
    take: (write) => run(queuedCount < QUEUE_MAX ? recover(write) : share(write, null)),
    async stop() {
      unsubscribe();
      await Promise.all(running);
    },
  };
}
