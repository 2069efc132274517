// Decides: that a network is read once at a time, and that all that comes meanwhile is answered by one more read.
// Must not know: what is read, or why.
import type { Network } from '../upstream/network.ts';

export class Refresher {
  /** Never rejects. */
  readonly #read: (network: Network) => Promise<void>;
  /** By name of the network, like {@link #again}. */
  readonly #reading = new Map<string, Promise<void>>();
  readonly #again = new Map<string, Network>();

  constructor(read: (network: Network) => Promise<void>) {
    this.#read = read;
  }

  refresh(network: Network): void {
    const { name } = network;
    if (this.isReading(network)) {
      this.#again.set(name, network);
      return;
    }
    const read = this.#read(network).then(() => {
      this.#reading.delete(name);
      const next = this.#again.get(name);
      if (this.#again.delete(name) && next) this.refresh(next);
    });
    this.#reading.set(name, read);
  }

  isReading({ name }: Network): boolean {
    return this.#reading.has(name);
  }

  /** Waits for the reads that run; those that were to follow are given up. */
  async stop(): Promise<void> {
    this.#again.clear();
    await Promise.all(this.#reading.values());
  }
}
