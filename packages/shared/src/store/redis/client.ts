// Decides: which kinds of ioredis client there are.
// Must not know: what they are used for.
import type { Cluster, Redis } from 'ioredis';

export type Client = Redis | Cluster;

/** By its flag, not by `instanceof`: a client that is passed in may come from another copy of ioredis. */
export function isCluster(client: Client): client is Cluster {
  return client.isCluster;
}
