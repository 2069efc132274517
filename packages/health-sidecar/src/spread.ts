// Decides: which of its leases a sidecar hands to which other, so that all of them hold alike.
// Must not know: how leases are held, or how sidecars learn of each other.

/** What is known of another sidecar. */
export interface Standing {
  readonly instance: string;
  /** How many leases it holds. */
  readonly held: number;
  /** The networks that it would publish. */
  readonly takes: ReadonlySet<string>;
}

export interface Gift {
  readonly network: string;
  readonly heir: string;
}

/** One network's place in what a sidecar tells the others. */
export interface Seat {
  /** Whether this sidecar holds the lease. */
  hold(held: boolean): void;
  /** The others must not count on this sidecar for the network, for so long. */
  shun(forMs: number): void;
  /** The sidecar that should have the network instead of this one, as known; null: there is none. */
  heir(): string | null;
  /** The same, after another look. */
  findHeir(): Promise<string | null>;
  leave(): void;
}

/** Closer together a lease would only go to and fro. */
const APART_LEASES = 2;

/** In so many steps, nearly: so what is known of the others may be a little old. */
const SHARE_OF_EXCESS = 1 / 2;

/**
 * Only who holds most gives, so that not all give to the same one; only to the one who holds least. Each lease that goes
 * brings two sidecars closer together, hence it comes to an end.
 * @param held the networks that it holds, in the order in which they would go
 */
export function spread(instance: string, held: readonly string[], others: readonly Standing[]): Gift[] {
  const peers = others.filter(({ takes }) => held.some((network) => takes.has(network)));
  const isOutdone = (peer: Standing): boolean =>
    peer.held > held.length || (peer.held === held.length && peer.instance < instance);
  if (peers.some(isOutdone)) return [];
  const total = peers.reduce((sum, peer) => sum + peer.held, held.length);
  const excess = held.length - total / (peers.length + 1);
  const limit = Math.max(1, Math.ceil(excess * SHARE_OF_EXCESS));
  const gifts: Gift[] = [];
  let loads: readonly Standing[] = peers;
  for (const network of held) {
    const heir = heirAmong(loads, network);
    if (gifts.length === limit) break;
    if (heir === null || held.length - gifts.length - heir.held < APART_LEASES) continue;
    gifts.push({ network, heir: heir.instance });
    loads = oneMore(loads, heir.instance);
  }
  return gifts;
}

/** Of those who would publish the network, the one who holds least. */
export function heirAmong(others: readonly Standing[], network: string): Standing | null {
  return others.reduce<Standing | null>((least, one) => {
    if (!one.takes.has(network)) return least;
    if (least === null || one.held < least.held) return one;
    return one.held === least.held && one.instance < least.instance ? one : least;
  }, null);
}

/** As they stand once this one has taken one lease more. */
export function oneMore(others: readonly Standing[], instance: string): readonly Standing[] {
  return others.map((one) => (one.instance === instance ? { ...one, held: one.held + 1 } : one));
}
