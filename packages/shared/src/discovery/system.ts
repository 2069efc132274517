// Decides: how names are resolved unless the host says otherwise: as every program of the machine resolves them.
// Must not know: what the addresses are for.
import { lookup } from 'node:dns/promises';
import type { Resolver } from './names.ts';

/** The system's resolver, which knows /etc/hosts and search domains. It tells no TTL: half a minute is a usual one. */
export const systemResolver: Resolver = {
  async resolve(name) {
    const found = await lookup(name, { all: true });
    return found.map(({ address }) => address);
  },
  intervalMs: 30_000,
};
