// Decides: which upstreams operators have taken out: the last word about each, whether this replica or the store has it.
// Must not know: who is allowed to say it, or how upstreams are picked.
import {
  BalancerError,
  type Drain,
  type DrainNote,
  decodeDrain,
  type Log,
  nextDrain,
  type Store,
} from '@rpc-balancer/shared';
import { setDrained } from '../balance/member.ts';
import type { Network } from '../upstream/network.ts';

/** Repairs a lost event, and brings the drains back after the store lost its data. */
const POLL_MS = 2000;

/** Somebody else may speak about the same upstream at the same moment, but not time and again. */
const WRITES_MAX = 3;

export interface DrainsOptions {
  readonly networks: () => Iterable<Network>;
  readonly store: Store;
  readonly now: () => number;
  readonly log: Log;
}

/** What is said of an upstream. */
export interface Word extends DrainNote {
  readonly upstream: string;
  readonly drained: boolean;
}

export class Drains {
  readonly #options: DrainsOptions;
  /** By network and upstream; what was lifted is kept too. */
  readonly #known = new Map<string, Map<string, Drain>>();
  readonly #reading = new Set<Promise<void>>();
  #stop = () => {};

  constructor(options: DrainsOptions) {
    this.#options = options;
  }

  /** Follows the store from now on. Resolves when it was read once, or is out of reach. */
  async start(): Promise<void> {
    const unsubscribe = this.#options.store.subscribe((event) => {
      if (event === null) void this.#readAll();
      else if (event.type === 'drain' && this.#has(event.network)) void this.#follow(event.network);
    });
    const poll = setInterval(() => void this.#readAll(), POLL_MS);
    this.#stop = () => {
      clearInterval(poll);
      unsubscribe();
    };
    await this.#readAll();
  }

  async stop(): Promise<void> {
    this.#stop();
    await Promise.all(this.#reading);
  }

  of(network: string): ReadonlyMap<string, Drain> {
    return this.#known.get(network) ?? new Map();
  }

  /**
   * Applies the word here at once; resolves when the store has it.
   * @throws BalancerError `RPCB_STORE`; then it holds here, and is stored as soon as that is possible
   */
  async say(network: string, word: Word): Promise<Drain> {
    const { store, now } = this.#options;
    for (let writes = 0; writes < WRITES_MAX; writes++) {
      const before = this.of(network).get(word.upstream) ?? null;
      const drain = nextDrain(before, { ...word, now: now() });
      this.#learn(network, drain);
      if (await store.writeDrain(network, drain)) return drain;
      await this.read(network);
    }
    throw new BalancerError('RPCB_STORE', {
      detail: `others drain or undrain "${word.upstream}" at the same time; look at the status and try again`,
    });
  }

  /** Learns what the store has, and tells it what it lacks. */
  async read(network: string): Promise<void> {
    const { store } = this.#options;
    const stored = new Map<string, number>();
    for (const text of await store.readDrains(network)) {
      const drain = decodeDrain(text);
      if (drain === null) continue;
      stored.set(drain.upstream, drain.revision);
      this.#learn(network, drain);
    }
    for (const drain of this.of(network).values()) {
      if ((stored.get(drain.upstream) ?? 0) < drain.revision) await store.writeDrain(network, drain);
    }
  }

  /** Tells the members, which may have come just now. */
  apply(): void {
    for (const { name, state, config } of this.#options.networks()) {
      const known = this.of(name);
      for (const member of state.members) {
        const words = idsOf(member.id, config).map((id) => known.get(id));
        setDrained(member, words.find((word) => word?.drained) ?? null);
      }
    }
  }

  #has(network: string): boolean {
    return [...this.#options.networks()].some(({ name }) => name === network);
  }

  async #readAll(): Promise<void> {
    await Promise.all([...this.#options.networks()].map(({ name }) => this.#follow(name)));
  }

  /** As {@link read}; the next poll repairs what fails. */
  #follow(network: string): Promise<void> {
    const reading: Promise<void> = this.read(network)
      .catch((error: Error) =>
        this.#options.log.debug({ network, problem: error.message }, 'no drains could be read'),
      )
      .then(() => void this.#reading.delete(reading));
    this.#reading.add(reading);
    return reading;
  }

  /** The later word holds, in whatever order they come. */
  #learn(network: string, drain: Drain): void {
    const known = this.#known.get(network) ?? new Map<string, Drain>();
    this.#known.set(network, known);
    const { upstream, revision, drained, by, reason } = drain;
    const before = known.get(upstream);
    if (before && before.revision >= revision) return;
    known.set(upstream, drain);
    this.apply();
    if (drained === (before?.drained ?? false)) return;
    const message = drained ? 'drained by an operator: it gets no new request' : 'undrained by an operator';
    this.#options.log.info({ network, upstream, by, reason }, message);
  }
}

/** With `resolve: each` whoever drains a configured upstream drains all its addresses. */
function idsOf(id: string, { resolve }: Network['config']): readonly string[] {
  const at = id.indexOf('@');
  return resolve === 'each' && at !== -1 ? [id, id.slice(0, at)] : [id];
}
