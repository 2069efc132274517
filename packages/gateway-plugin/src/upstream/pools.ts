// Decides: which connections belong to which upstream of a network, and when those of a former one are closed.
// Must not know: why they change.
import type { Member } from '../balance/member.ts';
import type { Connections } from './pool.ts';

export class Pools {
  #present: ReadonlyMap<Member, Connections> = new Map();
  /** No longer used by new attempts, but by some that are in flight. */
  readonly #leaving = new Set<Connections>();

  /** @throws for a member of another network, or a former one */
  of(member: Member): Connections {
    const found = this.find(member);
    if (!found) throw new Error(`${member.id} is no member of this network`);
    return found;
  }

  find(member: Member): Connections | undefined {
    return this.#present.get(member);
  }

  /** Connections that are not among the next ones are closed when their attempts have ended. */
  replace(next: Iterable<readonly [Member, Connections]>): void {
    const before = new Set(this.#present.values());
    this.#present = new Map(next);
    for (const connections of this.#present.values()) before.delete(connections);
    for (const connections of before) void this.#leave(connections);
  }

  /** Waits for the attempts in flight. */
  async close(): Promise<void> {
    await Promise.all([...this.#present.values()].map((connections) => this.#leave(connections)));
  }

  /** Ends the attempts in flight. */
  async destroy(): Promise<void> {
    await Promise.all([...this.#present.values(), ...this.#leaving].map((one) => one.destroy()));
  }

  async #leave(connections: Connections): Promise<void> {
    this.#leaving.add(connections);
    await connections.close().catch(() => {}); // Destroyed meanwhile.
    this.#leaving.delete(connections);
  }
}
