// Decides: which WebSocket URLs of upstreams cannot be used as their network is configured.
// Must not know: who connects to them.
import type { z } from 'zod';

interface Network {
  readonly resolve: 'one' | 'each';
  readonly upstreams: readonly { readonly url: string; readonly wsUrl?: string | undefined }[];
}

/** Each address of a name is followed as itself; another name would say nothing about any of them. */
export function checkSockets({ resolve, upstreams }: Network, context: z.RefinementCtx): void {
  upstreams.forEach(({ url, wsUrl }, at) => {
    if (resolve === 'one' || wsUrl === undefined || hostOf(wsUrl) === hostOf(url)) return;
    context.addIssue({
      code: 'custom',
      path: ['upstreams', at, 'wsUrl'],
      message:
        'expected the host of url (the port may be another), since "resolve: each" makes an upstream of every address of that host',
    });
  });
}

/** Null for what is no URL: that is said elsewhere. */
function hostOf(url: string): string | null {
  return URL.canParse(url) ? new URL(url).hostname : null;
}
