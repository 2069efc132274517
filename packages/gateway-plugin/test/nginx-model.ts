// Decides: what nginx's least_conn and round robin do, written down a second time from its documentation and source, independently
// of ours: the oracle of the model test. Either exactly so, or in ms with the differences that are meant: an aborted
// attempt is neutral, and while everybody is out, trials come every second.

export interface PeerSettings {
  readonly weight: number;
  readonly maxFails: number;
  readonly failTimeout: number;
  readonly maxConns: number;
  /** 0: primary; higher: backups of backups. */
  readonly tier: number;
  readonly down: boolean;
}

interface Peer extends PeerSettings {
  conns: number;
  fails: number;
  accessed: number;
  checked: number;
  current: number;
  effective: number;
}

/** An attempt that runs: whose, and what `checked` was before it began. */
export interface Session {
  readonly peer: number;
  readonly checkedBefore: number | null;
  readonly begunAt: number;
}

export class NginxModel {
  readonly peers: Peer[];
  readonly #exact: boolean;
  readonly #roundRobin: boolean;

  /** @param exact nginx as it is, whole seconds included; else with the differences of our own rules */
  constructor(settings: readonly PeerSettings[], exact: boolean, roundRobin: boolean) {
    this.#exact = exact;
    this.#roundRobin = roundRobin;
    this.peers = settings.map((one) => ({
      ...one,
      conns: 0,
      fails: 0,
      accessed: 0,
      checked: 0,
      current: 0,
      effective: one.weight,
    }));
  }

  /**
   * Position of the chosen peer, or -1.
   * @param firstTier of the last peer that the request was sent to: nginx does not return to the list before
   */
  get(
    at: number,
    tried: ReadonlySet<number>,
    firstTier = 0,
  ): { readonly chosen: number; readonly session: Session | null } {
    const now = this.#time(at);
    const tiers = [...new Set(this.peers.map(({ tier }) => tier))].sort((a, b) => a - b);
    for (const tier of tiers) {
      if (this.#exact && tier < firstTier) continue;
      const candidates = this.peers.filter(
        (peer, at) => peer.tier === tier && !tried.has(at) && this.#usable(peer, now),
      );
      if (candidates.length > 0) {
        const peer = this.#roundRobin ? this.#smooth(candidates) : this.#leastConn(candidates);
        return this.#start(peer, now);
      }
    }
    return { chosen: -1, session: null };
  }

  free(session: Session, end: 'good' | 'bad' | 'nothing', at: number): void {
    const peer = this.#at(session.peer);
    const now = this.#time(at);
    if (this.#exact && this.peers.length === 1) {
      peer.conns -= 1;
      return;
    }
    if (end === 'bad') {
      peer.fails += 1;
      peer.accessed = peer.checked = now;
      if (peer.maxFails > 0) peer.effective -= Math.floor(peer.weight / peer.maxFails);
      if (peer.effective < 0) peer.effective = 0;
    } else if (end === 'good' || this.#exact) {
      if (peer.accessed < peer.checked) peer.fails = 0;
    } else if (session.checkedBefore !== null && peer.checked === session.begunAt) {
      peer.checked = session.checkedBefore;
    }
    peer.conns -= 1;
  }

  #time(at: number): number {
    return this.#exact ? Math.floor(at / 1000) * 1000 : at;
  }

  #at(index: number): Peer {
    const peer = this.peers[index];
    if (!peer) throw new Error(`there is no peer ${index}`);
    return peer;
  }

  #exhausted(peer: Peer): boolean {
    return this.peers.length > 1 && peer.maxFails > 0 && peer.fails >= peer.maxFails;
  }

  /** How long after `checked` the peer is left alone. */
  #pause(peer: Peer): number {
    if (this.#exact) return peer.failTimeout;
    const nobodyLeft = this.peers.every((other) => other.down || this.#exhausted(other));
    return nobodyLeft && peer.failTimeout > 1000 ? 1000 : peer.failTimeout;
  }

  #usable(peer: Peer, now: number): boolean {
    if (peer.down) return false;
    if (this.#exhausted(peer) && now - peer.checked <= this.#pause(peer)) return false;
    return peer.maxConns === 0 || peer.conns < peer.maxConns;
  }

  #leastConn(candidates: readonly Peer[]): Peer {
    const loads = candidates.map((peer) => peer.conns / peer.weight);
    const least = Math.min(...loads);
    const tied = candidates.filter((peer) => Math.abs(peer.conns / peer.weight - least) < 1e-9);
    const [first] = tied;
    if (!first) throw new Error('one of them has the least');
    return tied.length === 1 ? first : this.#smooth(tied);
  }

  #smooth(tied: readonly Peer[]): Peer {
    let sum = 0;
    for (const peer of tied) {
      peer.current += peer.effective;
      sum += peer.effective;
      if (peer.effective < peer.weight) peer.effective += 1;
    }
    const highest = Math.max(...tied.map(({ current }) => current));
    const winner = tied.find(({ current }) => current === highest);
    if (!winner) throw new Error('one of them has the highest');
    winner.current -= sum;
    return winner;
  }

  #start(peer: Peer, now: number): { chosen: number; session: Session } {
    const chosen = this.peers.indexOf(peer);
    peer.conns += 1;
    const opens = now - peer.checked > this.#pause(peer);
    const session = { peer: chosen, checkedBefore: opens ? peer.checked : null, begunAt: now };
    if (opens) peer.checked = now;
    return { chosen, session };
  }
}
