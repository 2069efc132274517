// Decides: when replicas tell each other of failures and of exclusions that ended, and when they listen.
// Must not know: what counts together and what follows from it (balance/shared-health.ts).
import { decodeReport, type Log, type Report, type Store, type StoreEvent } from '@rpc-balancer/shared';
import { applyReport, takeReported } from '../balance/shared-health.ts';
import type { Network } from '../upstream/network.ts';
import { Refresher } from './refresher.ts';

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

/** How far this replica has read of one network. */
interface Reader {
  /** Id of the last report. */
  last: string | null;
  /** False until the reports that were there at the start have been read. */
  begun: boolean;
}

export function startSharedFails(options: SharedFailsOptions): SharedFails {
  return new SharedFails(options);
}

export class SharedFails {
  readonly #options: SharedFailsOptions;
  readonly #refresher: Refresher;
  readonly #unsubscribe: () => void;
  readonly #poll: NodeJS.Timeout;
  /** Forgotten with its network: one that comes in its place has heard nothing. */
  readonly #readers = new WeakMap<Network, Reader>();
  readonly #sending = new Set<Promise<void>>();
  #batch: NodeJS.Timeout | null = null;

  constructor(options: SharedFailsOptions) {
    const { store, log } = options;
    this.#options = options;
    this.#refresher = new Refresher((network) =>
      this.#read(network).catch((error: Error) =>
        log.debug({ network: network.name, problem: error.message }, 'no reports could be read'),
      ),
    );
    this.#unsubscribe = store.subscribe((event) => this.#hear(event));
    this.#poll = setInterval(() => this.#refreshAll(), POLL_MS);
    this.#refreshAll();
  }

  async stop(): Promise<void> {
    clearInterval(this.#poll);
    this.#unsubscribe();
    for (const { state } of this.#options.networks()) state.tell = () => {};
    if (this.#batch) {
      clearTimeout(this.#batch);
      this.#flush();
    }
    await Promise.all([...this.#sending, this.#refresher.stop()]);
  }

  readonly #tell = () => {
    this.#batch ??= setTimeout(() => this.#flush(), BATCH_MS);
  };

  #flush(): void {
    const { networks, now } = this.#options;
    this.#batch = null;
    for (const network of networks()) {
      const upstreams = takeReported(network.state, now());
      if (upstreams.length > 0) this.#send(network, upstreams);
    }
  }

  #send({ name, state }: Network, upstreams: Report['upstreams']): void {
    const { store, instance, log, onReportFailure } = this.#options;
    const ttlMs = KEPT_TURNS * Math.max(...state.members.map((member) => member.failTimeoutMs), POLL_MS);
    const sent: Promise<void> = store
      .report(name, { by: instance, upstreams }, ttlMs)
      .catch((error: Error) => {
        onReportFailure(name);
        log.debug({ network: name, problem: error.message }, 'failures could not be reported');
      })
      .finally(() => this.#sending.delete(sent));
    this.#sending.add(sent);
  }

  #hear(event: StoreEvent | null): void {
    if (event === null) this.#refreshAll();
    else if (event.type === 'reported') {
      for (const network of this.#options.networks())
        if (network.name === event.network) this.#refresher.refresh(network);
    }
  }

  #refreshAll(): void {
    for (const network of this.#options.networks()) {
      network.state.tell = this.#tell;
      this.#refresher.refresh(network);
    }
  }

  async #read(network: Network): Promise<void> {
    const { store, instance, now } = this.#options;
    const reader = this.#readers.get(network) ?? { last: null, begun: false };
    this.#readers.set(network, reader);
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
}
