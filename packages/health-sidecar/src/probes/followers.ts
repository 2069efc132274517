// Decides: which upstreams are listened to for new heads, and where their WebSockets are.
// Must not know: what follows from a head, when an upstream is polled.
import { type Head, type LocatedUpstream, type ProtocolName, socketEndpointOf } from '@rpc-balancer/shared';
import type { Fetcher, Socket } from '../runtime.ts';
import { type Following, type FollowOptions, follow } from './follow.ts';
import type { Push } from './protocol.ts';
import { PROTOCOLS } from './protocols.ts';

export interface FollowersOptions extends Pick<FollowOptions, 'signal' | 'now' | 'random' | 'pause'> {
  readonly protocol: ProtocolName;
  readonly timeoutMs: number;
  readonly fetcherOf: (upstream: LocatedUpstream) => Promise<Fetcher>;
  readonly onHead: (upstream: string, head: Head) => void;
  /** It is not listened to any more, until its next head. */
  readonly onEnd: (upstream: string) => void;
}

interface Followed extends Following {
  readonly upstream: LocatedUpstream;
  readonly over: AbortController;
}

export interface Followers {
  /** A poll succeeded: from now on the upstream is listened to. */
  polled(upstream: LocatedUpstream, head: Head): void;
  /** Listens no more to those that are gone or have moved. */
  keep(upstreams: readonly LocatedUpstream[]): void;
  /** Resolves when nobody is listened to any more. */
  idle(): Promise<void>;
}

export function createFollowers(options: FollowersOptions): Followers {
  const { push } = PROTOCOLS[options.protocol];
  const followed = new Map<string, Followed>();
  const ending = new Set<Promise<void>>();
  options.signal.addEventListener('abort', () => keep([]), { once: true });

  function begin(upstream: LocatedUpstream, pushed: Push): Followed {
    const over = new AbortController();
    const following = follow({
      ...options,
      push: pushed,
      signal: over.signal,
      open: async () => openSocket(await options.fetcherOf(upstream), upstream, pushed),
      onHead: (head) => options.onHead(upstream.id, head),
      onEnd: () => options.onEnd(upstream.id),
    });
    const one = { ...following, upstream, over };
    followed.set(upstream.id, one);
    ending.add(following.ended);
    void following.ended.then(() => ending.delete(following.ended));
    return one;
  }

  function keep(upstreams: readonly LocatedUpstream[]): void {
    // Each is another object whenever an address of any of them has changed.
    const present = new Set(upstreams.map(placeOf));
    for (const [id, { upstream, over }] of followed) {
      if (present.has(placeOf(upstream))) continue;
      followed.delete(id);
      over.abort();
    }
  }

  return {
    polled(upstream, head) {
      if (!push || options.signal.aborted) return;
      const one = followed.get(upstream.id) ?? begin(upstream, push);
      one.polled(head.number);
    },
    keep,
    async idle() {
      await Promise.all(ending);
    },
  };
}

function placeOf({ id, addresses }: LocatedUpstream): string {
  return [id, ...addresses.toSorted()].join();
}

function openSocket(fetcher: Fetcher, upstream: LocatedUpstream, push: Push): Socket {
  const { origin, path, query, headers } = socketEndpointOf(upstream, push.path);
  return fetcher.socket(`${origin}${path}${query}`, headers);
}
