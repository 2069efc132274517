// Decides: what is counted of that which befell the connections and may be over by now.
// Must not know: what follows from it, or what is sent over them.
import type { Cluster, Redis } from 'ioredis';
import type { StoreHistory } from '../store.ts';
import { type Client, isCluster } from './client.ts';

export interface History {
  read(): StoreHistory;
  /** Counts what befalls the connections of this client from now on. */
  watch(client: Client): void;
  failed(step: string): void;
  /** What ends from now on is ended by us. */
  close(): void;
}

/** @param now the current time in epoch ms */
export function createHistory(now: () => number): History {
  const failures = new Map<string, number>();
  let connectionsLost = 0;
  let lastLostAt: number | null = null;
  let slotsMoved = 0;
  let closed = false;

  function watchConnection(connection: Redis, isWanted: () => boolean): void {
    let wasReady = false;
    connection.on('ready', () => {
      wasReady = true;
    });
    connection.on('close', () => {
      if (wasReady && isWanted() && !closed) {
        connectionsLost++;
        lastLostAt = now();
      }
      wasReady = false;
    });
  }

  function watchCluster(cluster: Cluster): void {
    // One that holds no slot any more is taken out before it is closed, and is no loss.
    cluster.on('+node', (node: Redis) => watchConnection(node, () => cluster.nodes().includes(node)));
    let owners: readonly (string | undefined)[] = [];
    // Not by the redirections, of which ioredis tells nobody; each of them makes it ask for the slots again.
    cluster.on('refresh', () => {
      const before = owners;
      owners = Array.from(cluster.slots, (nodes) => nodes?.[0]);
      slotsMoved += owners.filter(
        (owner, slot) => before[slot] !== undefined && owner !== before[slot],
      ).length;
    });
  }

  return {
    read: () => ({ connectionsLost, lastLostAt, slotsMoved, failures: Object.fromEntries(failures) }),
    watch(client) {
      if (isCluster(client)) watchCluster(client);
      else watchConnection(client, () => true);
    },
    failed(step) {
      failures.set(step, (failures.get(step) ?? 0) + 1);
    },
    close() {
      closed = true;
    },
  };
}
