// Decides: how these tests start a sidecar over the memory store and look at what it publishes.
import {
  type Config,
  type ConfigInput,
  createMemoryStore,
  decodeRanking,
  type Ranking,
  type Reason,
  type Resolver,
  redactorOf,
  type Store,
  systemResolver,
  validateConfig,
} from '@rpc-balancer/shared';
import { onTestFinished } from 'vitest';
import { createRandom } from '../../../test/kit/clock.ts';
import { type FakeNode, type FakeNodeOptions, startFakeNode } from '../../../test/kit/fake-node.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import { type Sidecar, startSidecar } from '../src/index.ts';
import { monotonicNow } from '../src/runtime.ts';

export async function startNodes(...options: readonly FakeNodeOptions[]): Promise<FakeNode[]> {
  const headAt = Date.now();
  const nodes = await Promise.all(options.map((one) => startFakeNode({ head: 1000, headAt, ...one })));
  onTestFinished(async () => {
    await Promise.all(nodes.map((node) => node.stop()));
  });
  return nodes;
}

type NetworkInput = Partial<NonNullable<ConfigInput>['networks'][string]>;
type SidecarInput = NonNullable<ConfigInput>['sidecar'];

/** Upstreams a, b, c … at these URLs, probed often, with patience on a busy machine. */
export function network(urls: readonly { readonly url: string }[], more: NetworkInput = {}) {
  const upstreams = urls.map(({ url }, at) => ({ id: String.fromCharCode(97 + at), url }));
  return { probe: { interval: 100, timeout: 5000, attempts: 1 }, upstreams, ...more };
}

/** The lease outlasts every halt of a busy machine, unless a test waits for its end: another tenure would probe anew. */
export function configOf(networks: Record<string, object>, sidecar: SidecarInput = {}): Config {
  return validateConfig({ sidecar: { leaseTtl: 5000, ...sidecar }, networks });
}

export interface StagedOptions {
  readonly config: Config;
  readonly store?: Store;
  readonly resolver?: Resolver;
  readonly instance?: string;
  /** Of its randomness. */
  readonly seed?: number;
  /** The sidecar's own clock. */
  readonly now?: () => number;
}

export interface Staged {
  readonly sidecar: Sidecar;
  readonly store: Store;
  /** Every ranking of this store since the sidecar was started, oldest first. */
  readonly rankings: readonly Ranking[];
  readonly logged: readonly string[];
  /** The newest ranking of a network that fulfils the condition, waited for. */
  ranked(what: string, condition?: (ranking: Ranking) => boolean, network?: string): Promise<Ranking>;
}

export function stage({
  config,
  store = createMemoryStore(monotonicNow),
  resolver = systemResolver,
  instance = 'one',
  seed = 7,
  now = monotonicNow,
}: StagedOptions): Staged {
  const rankings: Ranking[] = [];
  const logged: string[] = [];
  const unsubscribe = store.subscribe((event) => {
    // The store may be out of reach for a moment: the next event reads again.
    if (event?.type === 'ranking') void read(event.network).catch(() => {});
  });
  async function read(name: string): Promise<void> {
    const decoded = decodeRanking((await store.readRanking(name)) ?? '');
    if (!('invalid' in decoded)) rankings.push(decoded);
  }
  const write = (fields: Readonly<Record<string, unknown>>, message: string) => {
    logged.push(`${message} ${JSON.stringify(fields)}`);
  };
  const sidecar = startSidecar({
    ...{
      config,
      store,
      resolver,
      instance,
      now,
      random: createRandom(seed),
      redact: redactorOf(config),
    },
    log: { debug: write, info: write, warn: write, error: write },
  });
  onTestFinished(async () => {
    unsubscribe();
    await sidecar.stop();
  });
  return {
    sidecar,
    store,
    rankings,
    logged,
    ranked(what, condition = () => true, name = 'main') {
      const newest = () => rankings.findLast((ranking) => ranking.network === name);
      return waitFor(
        () => {
          const ranking = newest();
          if (ranking === undefined) throw new Error('no ranking yet');
          return condition(ranking) ? ranking : Promise.reject(new Error(JSON.stringify(ranking)));
        },
        { what },
      );
    },
  };
}

export function reasonsIn(ranking: Ranking): Readonly<Record<string, Reason | null>> {
  return Object.fromEntries(ranking.upstreams.map(({ id, reason }) => [id, reason]));
}

/** Whether the upstream has this reason. */
export const says = (id: string, reason: Reason | null) => (ranking: Ranking) =>
  reasonsIn(ranking)[id] === reason;

/** How often a network's lease was held: each time may have ended, or may go on, in the middle of a probe. */
export function tenuresIn(staged: readonly Staged[], name = 'main'): number {
  const begun = (line: string) =>
    line.startsWith('holds the lease and') && line.includes(`"network":"${name}"`);
  return staged.reduce((sum, { logged }) => sum + logged.filter(begun).length, 0);
}
