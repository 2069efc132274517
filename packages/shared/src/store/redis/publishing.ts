// Decides: how leases are held and rankings published over Redis, each step as one command or script.
// Must not know: connections, timeouts, what a ranking says.
import type { StoreEvent } from '../../wire/events.ts';
import { type KeyOptions, networkKeys } from '../../wire/keys.ts';
import { encodeRanking } from '../../wire/ranking.ts';
import { acquire } from '../lua/acquire.ts';
import { publish } from '../lua/publish.ts';
import { release } from '../lua/release.ts';
import { renew } from '../lua/renew.ts';
import type { Publishing } from '../store.ts';
import { type Run, script } from './step.ts';

export function createPublishing(keyOptions: KeyOptions, channel: string, run: Run): Publishing {
  return {
    async acquire(network, holder, ttlMs) {
      const { lease, epoch } = networkKeys(keyOptions, network);
      const taken = await run('acquire', script(acquire, [lease, epoch], [holder, ttlMs]));
      return taken === null ? null : { network, holder, epoch: Number(taken) };
    },
    async renew({ network, holder, epoch }, ttlMs) {
      const { lease } = networkKeys(keyOptions, network);
      return (await run('renew', script(renew, [lease], [holder, epoch, ttlMs]))) === 1;
    },
    async release({ network, holder, epoch }, heir = null) {
      const { lease } = networkKeys(keyOptions, network);
      const event = JSON.stringify({
        ...{ type: 'released', network },
        ...(heir !== null && { heir }),
      } satisfies StoreEvent);
      await run('release', script(release, [lease], [holder, epoch, channel, event]));
    },
    async publish({ network, holder, epoch }, ranking, maxAgeMs) {
      const keys = networkKeys(keyOptions, network);
      const { seq } = ranking;
      const text = encodeRanking({ ...ranking, epoch });
      const event = JSON.stringify({ type: 'ranking', network, epoch, seq } satisfies StoreEvent);
      const args = [holder, epoch, seq, maxAgeMs, text, channel, event];
      // Not repeated: if the first had arrived, the second would be told that it is fenced.
      const answer = await run('publish', script(publish, [keys.lease, keys.ranking], args), false);
      return answer === 1 ? 'accepted' : 'fenced';
    },
    readRanking(network) {
      const { ranking } = networkKeys(keyOptions, network);
      return run('read_ranking', (client) => client.hget(ranking, 'doc'));
    },
  };
}
