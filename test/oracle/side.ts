// Decides: what playing a scenario needs of nginx or of a replica: nodes of its own, a way to ask, and what was tried.
// Must not know: which of the two it is.
import { Agent, type Dispatcher } from 'undici';
import { type FakeNode, startFakeNode } from '../kit/fake-node.ts';
import { waitFor } from '../kit/wait.ts';
import type { NodeMode } from './scenario.ts';

/** To connect, and to the first byte and between two: short, since a node that hangs costs it each time. */
export const TIMEOUT_MS = 400;

/** The method that a node never answers. */
const HELD = 'oracle_held';

/** What a client saw, and which nodes were asked for it. */
export interface Seen {
  readonly status: number;
  readonly truncated: boolean;
  /** Positions of nodes, in the order of the attempts. */
  readonly tried: readonly number[];
}

export interface Held {
  /** Null while it is held; what was seen, if it ended by itself. */
  seen: Seen | null;
  leave(): void;
}

export interface Door {
  readonly origin: string;
  readonly path: string;
  /** Whether what is asked stands in the path, and not in a JSON-RPC body. */
  readonly plain: boolean;
  /** The ports that were tried for the answer with these headers. */
  tried(headers: Readonly<Record<string, string | string[] | undefined>>): readonly number[];
}

export class Side {
  readonly nodes: readonly FakeNode[];
  readonly #door: Door;
  readonly #agent = new Agent({ pipelining: 0 });
  /** Requests that a node has begun to hold. */
  #heldCount = 0;
  readonly #down = new Set<FakeNode>();

  constructor(nodes: readonly FakeNode[], door: Door) {
    this.nodes = nodes;
    this.#door = door;
  }

  async request(verb = 'POST'): Promise<Seen> {
    return this.#send(verb, 'eth_gasPrice', new AbortController().signal);
  }

  /** Resolves when a node has it, or when it has ended by itself. */
  async hold(): Promise<Held> {
    const before = this.#heldCount;
    const left = new AbortController();
    const held: Held = { seen: null, leave: () => left.abort() };
    this.#send('POST', HELD, left.signal).then(
      (seen) => {
        held.seen = seen;
      },
      () => {},
    );
    await waitFor(() => held.seen !== null || this.#heldCount > before, {
      what: 'a request to be held',
      everyMs: 2,
    });
    // What was tried for it is known of the replica alone, so it is left out; the hits are compared.
    if (held.seen === null) this.#door.tried({});
    return held;
  }

  /** Resolves when the node has noticed. */
  async leave(held: Held): Promise<void> {
    const before = this.#inFlight();
    if (held.seen !== null) return;
    held.leave();
    await waitFor(() => this.#inFlight() < before, { what: 'a node to lose its client', everyMs: 2 });
  }

  async setMode(at: number, mode: NodeMode): Promise<void> {
    const node = this.nodes[at];
    if (!node) throw new Error(`there is no node ${at}`);
    const status = /^http(501|502|504|403|404)$/.exec(mode)?.[1];
    if (mode === 'refused') {
      this.#down.add(node);
      return node.kill();
    }
    if (this.#down.delete(node)) await node.restart();
    node.answer = ({ method }) => {
      if (status !== undefined) return { status: Number(status) };
      if (method !== HELD) return undefined;
      this.#heldCount++;
      return { hang: true };
    };
    // What is left after those that FakeNodes know are statuses.
    node.mode = status === undefined ? (mode as FakeNode['mode']) : 'ok';
  }

  hits(): number[] {
    return this.nodes.map((node) => node.hits());
  }

  async stop(): Promise<void> {
    await this.#agent.destroy();
    await Promise.all(this.nodes.map((node) => node.stop()));
  }

  #inFlight(): number {
    return this.nodes.reduce((sum, node) => sum + node.inFlight, 0);
  }

  async #send(verb: string, method: string, signal: AbortSignal): Promise<Seen> {
    const { origin, path, plain, tried } = this.#door;
    const call = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: [] });
    const response = await this.#agent.request({
      ...{ origin, path: plain ? `${path}${method}` : path, signal, reset: true },
      method: verb as Dispatcher.HttpMethod, // undici sends any token
      headers: { 'content-type': 'application/json' },
      body: plain ? null : call,
    });
    const truncated = await response.body.text().then(
      () => false,
      () => true,
    );
    const ports = tried(response.headers);
    const positions = ports.map((port) => this.nodes.findIndex((node) => node.port === port));
    return { status: response.statusCode, truncated, tried: positions };
  }
}

export function startNodes(count: number): Promise<FakeNode[]> {
  return Promise.all(Array.from({ length: count }, () => startFakeNode({ anyVerb: true })));
}
