// Decides: when replicas tell each other of failures and of exclusions that ended, and when they listen.
// Must not know: what counts together and what follows from it (balance/shared-health.ts).
import { decodeReport, type Log, type Store } from '@rpc-balancer/shared';
import { applyReport, takeReported } from '../balance/shared-health.ts';
import type { Network } from '../upstream/network.ts';

/** Failures of this time go in one report; a timer may be late by a millisecond or two. */
const BATCH_MS = 8;

/** Repairs a lost event. */
const POLL_MS = 1000;

/** Reports are kept for some turns of the longest exclusion, so that a replica that starts learns of it. */
const KEPT_TURNS = 3;

export interface SharedFailsOptions {
  readonly networks: () => Iterable<Network>;
  readonly store: Store;
  readonly instance: string;
  readonly now: () => number;
  readonly log: Log;
  /** Told of every report that could not be sent. */
  readonly onReportFailure: (network: string) => void;
}

export interface SharedFails {
  stop(): Promise<void>;
}

/** What this replica has read so far of one network. */
interface Reader {
  last: string | null;
  /** False until the reports that were there at the start have been read. */
  begun: boolean;
  running: Promise<void> | null;
  /** Something came while it was running. */
  again: boolean;
}

export function startSharedFails(options: SharedFailsOptions): SharedFails {
  const { networks, store, instance, now, log, onReportFailure } = options;
  const readers = new Map<string, Reader>();
  const sending = new Set<Promise<void>>();
  let batch: NodeJS.Timeout | null = null;

  function tell(): void {
    batch ??= setTimeout(flush, BATCH_MS);
  }

  function flush(): void {
    batch = null;
    for (const network of networks()) {
      const upstreams = takeReported(network.state, now());
      if (upstreams.length === 0) continue;
      const ttlMs =
        KEPT_TURNS * Math.max(...network.state.members.map((member) => member.failTimeoutMs), POLL_MS);
      const sent: Promise<void> = store
        .report(network.name, { by: instance, upstreams }, ttlMs)
        .catch((error: Error) => {
          onReportFailure(network.name);
          log.debug({ network: network.name, problem: error.message }, 'failures could not be reported');
        })
        .finally(() => sending.delete(sent));
      sending.add(sent);
    }
  }

  async function read(network: Network, reader: Reader): Promise<void> {
    const reports = await store.readReports(network.name, reader.last);
    const readAt = now();
    for (const { id, ageMs, text } of reports) {
      reader.last = id;
      const report = decodeReport(text);
      if (report === null || report.by === instance) continue;
      const hearing = { writtenAt: readAt - ageMs, past: !reader.begun };
      for (const { member, ejected } of applyReport(network.state, report, hearing)) {
        network.onEjection(network.name, member.id, ejected);
      }
    }
    reader.begun = true;
  }

  /** One read per network at a time; what comes meanwhile is answered by one more. */
  function refresh(network: Network): void {
    const reader = readers.get(network.name) ?? { last: null, begun: false, running: null, again: false };
    readers.set(network.name, reader);
    if (reader.running) {
      reader.again = true;
      return;
    }
    reader.running = read(network, reader)
      .catch((error: Error) =>
        log.debug({ network: network.name, problem: error.message }, 'no reports could be read'),
      )
      .then(() => {
        reader.running = null;
        if (!reader.again) return;
        reader.again = false;
        refresh(network);
      });
  }

  function refreshAll(): void {
    for (const network of networks()) {
      network.state.tell = tell;
      refresh(network);
    }
  }

  const unsubscribe = store.subscribe((event) => {
    if (event === null) return refreshAll();
    if (event.type !== 'reported') return;
    for (const network of networks()) if (network.name === event.network) refresh(network);
  });
  const poll = setInterval(refreshAll, POLL_MS);
  refreshAll();

  return {
    async stop() {
      clearInterval(poll);
      unsubscribe();
      for (const { state } of networks()) state.tell = () => {};
      if (batch) {
        clearTimeout(batch);
        flush();
      }
      await Promise.all([...sending, ...[...readers.values()].map(({ running }) => running)]);
    },
  };
}
