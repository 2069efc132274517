// Decides: how a client with viem reads all the time from one replica, and moves on only when that replica was killed.
// Must not know: what is killed.
import { createPublicClient, http, type PublicClient } from 'viem';
import type { Gateway } from '../kit/gateway.ts';
import { waitFor } from '../kit/wait.ts';

/** Often enough that each fault is met by many reads, seldom enough for a machine of two cores. */
const READ_EVERY_MS = 10;
/** Longest list of what went wrong. */
const PROBLEMS_MAX = 20;

export interface SteadyClient {
  /** Reads answered so far. */
  readonly answered: number;
  /** Failed reads whose replica was alive. */
  readonly problems: readonly string[];
  /** Reads that were in flight on a replica when it was killed. */
  readonly lost: number;
  /** Resolves when so many further reads were answered. */
  more(count: number): Promise<unknown>;
  stop(): Promise<void>;
}

/** What is read in turn; each must answer at all times. */
const READS: readonly ((client: PublicClient) => Promise<unknown>)[] = [
  (client) => client.getBlockNumber({ cacheTime: 0 }),
  (client) => client.getBalance({ address: '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266' }),
  (client) => client.getBlock(),
  (client) => client.getChainId(),
];

/**
 * @param replicas is looked at anew for each move; the client begins with the one at `first`
 * @param killed those that were sent a SIGKILL
 */
export function startSteadyClient(
  replicas: readonly Gateway[],
  killed: ReadonlySet<Gateway>,
  network: string,
  first: number,
): SteadyClient {
  const problems: string[] = [];
  const counts = { answered: 0, lost: 0, begun: 0 };
  let replica = replicas[first % replicas.length];
  let client = clientOf(replica);
  let reading: Promise<void> | null = null;

  function clientOf(gateway: Gateway | undefined): PublicClient {
    return createPublicClient({ transport: http(`${gateway?.url}/${network}`, { retryCount: 0 }) });
  }

  async function read(): Promise<void> {
    const turn = READS[counts.begun++ % READS.length];
    try {
      await turn?.(client);
      counts.answered++;
    } catch (error) {
      if (replica && killed.has(replica)) {
        counts.lost++;
        replica = replicas.find((other) => !killed.has(other));
        client = clientOf(replica);
      } else if (problems.length < PROBLEMS_MAX) problems.push(String(error));
    }
  }

  const timer = setInterval(() => {
    reading ??= read().finally(() => {
      reading = null;
    });
  }, READ_EVERY_MS);

  return {
    problems,
    get answered() {
      return counts.answered;
    },
    get lost() {
      return counts.lost;
    },
    more(count) {
      const goal = counts.answered + count;
      return waitFor(() => counts.answered >= goal, { what: `${count} more reads to be answered` });
    },
    async stop() {
      clearInterval(timer);
      await reading;
    },
  };
}
