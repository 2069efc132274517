// Decides: whether a probe makes as many calls at most as a budget has room for.
import type { ProtocolName } from '@rpc-balancer/shared';
import { expect, test } from 'vitest';
import { PROTOCOLS } from '../src/probes/protocols.ts';
import type { Fetcher } from '../src/runtime.ts';
import { probe, SINGLY } from './probing.ts';

const HASH = `0x${'1'.repeat(64)}`;

/** With these answers no probe can stop early. */
const RESULTS: Readonly<Record<string, unknown>> = {
  system_health: { isSyncing: false, peers: 3, shouldHavePeers: true },
  chain_getBlockHash: HASH,
  chain_getFinalizedHead: HASH,
  chain_getHeader: { number: '0x10' },
};

function methodIn(body: string | undefined): string {
  const call: unknown = JSON.parse(body ?? '{}');
  return typeof call === 'object' && call !== null && 'method' in call ? String(call.method) : '';
}

const PROBES: readonly {
  readonly protocol: ProtocolName;
  readonly keys?: object;
  readonly status?: number;
}[] = [
  { protocol: 'evm' },
  { protocol: 'substrate' },
  // Whoever lets no POST through is asked again by GET.
  { protocol: 'cometbft', status: 502 },
  { protocol: 'http', keys: { head: { path: '/head', pointer: '/result' } } },
];

test.each(PROBES)(
  'incident 11: the longest probe of $protocol makes the calls that its budget counts',
  async ({ protocol, keys = {}, status = 200 }) => {
    let calls = 0;
    const fetcher: Fetcher = {
      async fetch(_url, { body }) {
        calls++;
        return Response.json({ jsonrpc: '2.0', id: 1, result: RESULTS[methodIn(body)] ?? null }, { status });
      },
      socket: () => {
        throw new Error('there are no sockets here');
      },
      close: async () => {},
    };
    await probe(
      { url: 'http://127.0.0.1:1' },
      { protocol, keys: { ...keys }, describe: true, batches: SINGLY, fetcher },
    );
    expect(calls).toBe(PROTOCOLS[protocol].callsMax);
  },
);
