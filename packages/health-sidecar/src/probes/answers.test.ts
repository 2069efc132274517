// Decides: whether any answer at all makes a sample that is sound, in every protocol. No socket is opened.
import { decodeRanking, encodeRanking, type ProtocolName, validateConfig } from '@rpc-balancer/shared';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { rank } from '../rank.ts';
import type { Fetcher } from '../runtime.ts';
import { addSample, emptyWindow, type Sample } from '../samples.ts';
import { PROTOCOLS } from './protocols.ts';

const NOW = 1_704_067_200_000;
const NAMES = Object.keys(PROTOCOLS) as ProtocolName[]; // Object.keys widens to string[].
/** All protocols together are given 100,000 answers at least; a share of them in the everyday run. */
const RUNS = process.env.RPCB_LONG === '1' ? 25_000 : 1000;

/** What heights, identities and flags have been in bad answers, and all other JSON. */
const SCALARS = [
  ...[null, true, false, '', '0x', '0x0', '0x10', '0x-1', '-1', '1.5', 'NaN', '0b11', ' 7', '7'],
  ...['18446744073709551616', `0x1${'0'.repeat(16)}`, `0x${'f'.repeat(64)}`, `0x${'f'.repeat(65)}`],
  ...[0, -1, 1.5, 7, 2 ** 53, 2 ** 64, -0, 1e308],
];
const scalar = fc.oneof(fc.constantFrom(...SCALARS), fc.string(), fc.double(), fc.integer());
const anything = fc.oneof(scalar, fc.array(scalar, { maxLength: 3 }), fc.jsonValue({ maxDepth: 2 }));

type Json = unknown;

interface Right {
  readonly identity: string | null;
  /** What a healthy upstream answers to this method, or path. */
  readonly resultOf: (asked: string) => Json;
}

const HASH = `0x${'ab'.repeat(32)}`;
const BLOCK = { number: '0x10', hash: HASH, timestamp: '0x6592008b' };

const RIGHT: Readonly<Record<ProtocolName, Right>> = {
  evm: {
    identity: '1',
    resultOf: (method) =>
      ({ eth_chainId: '0x1', eth_syncing: false, eth_blockNumber: '0x10', eth_getBlockByNumber: BLOCK })[
        method
      ],
  },
  substrate: {
    identity: HASH,
    resultOf: (method) =>
      ({
        ...{ chain_getBlockHash: HASH, chain_getFinalizedHead: HASH, chain_getHeader: { number: '0x10' } },
        system_health: { isSyncing: false, peers: 3, shouldHavePeers: true },
        state_getRuntimeVersion: { specName: 'statemine', specVersion: 900 },
        rpc_methods: { methods: ['rpc_methods'] },
      })[method],
  },
  cometbft: {
    identity: 'chain-a',
    resultOf: () => ({
      node_info: { network: 'chain-a', version: '0.38.19' },
      sync_info: {
        ...{ latest_block_height: '16', latest_block_hash: 'AB'.repeat(32), catching_up: false },
        latest_block_time: '2024-01-01T00:00:00.123456789Z',
      },
    }),
  },
  http: {
    identity: null,
    resultOf: () => ({ status: 'ok', height: 16, uptime: 5, version: '1.0.0' }),
  },
};

/** A wrong value in the place of one of those in a right answer, or a wrong answer as a whole. */
type Fault =
  | { readonly kind: 'value'; readonly place: number; readonly value: Json }
  | { readonly kind: 'error'; readonly error: Json }
  /** Missing in a batch; elsewhere an empty answer. */
  | { readonly kind: 'missing' }
  | { readonly kind: 'whole'; readonly status: number; readonly body: string };

const fault: fc.Arbitrary<Fault> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('value'), place: fc.nat(9), value: anything }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('error'),
      error: fc.record({
        code: fc.oneof(anything, fc.constantFrom(-32_601, -32_005, 429)),
        message: anything,
      }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('missing') }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('whole'),
      status: fc.constantFrom(200, 200, 302, 400, 401, 403, 404, 429, 500, 503),
      body: fc.oneof(fc.string(), fc.json()),
    }),
  },
);

const faults = fc.array(fc.option(fault), { minLength: 1, maxLength: 9 });

/** The value with what stands at a place, counted from the outside, replaced. */
function replaced(value: Json, place: number, by: Json): Json {
  if (place === 0) return by;
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value);
  const at = (place - 1) % Math.max(1, entries.length);
  const inner = Math.floor((place - 1) / Math.max(1, entries.length));
  return Object.fromEntries(
    entries.map(([key, one], of) => [key, of === at ? replaced(one, inner, by) : one]),
  );
}

/** Each answer, also in a batch, has the next of these faults, if there is one. */
function fetcherOf(protocol: ProtocolName, faults: readonly (Fault | null)[]): Fetcher {
  let count = 0;
  function told(asked: string, fault: Fault | null, id: unknown): readonly Json[] {
    const right = RIGHT[protocol].resultOf(asked);
    const result = fault?.kind === 'value' ? replaced(right, fault.place, fault.value) : right;
    if (fault?.kind === 'missing') return [];
    if (protocol === 'http') return [result ?? null];
    return [{ jsonrpc: '2.0', id, ...(fault?.kind === 'error' ? { error: fault.error } : { result }) }];
  }
  return {
    async fetch(url, { body = '{}' }) {
      const asked = JSON.parse(body);
      const calls = [asked].flat().map((call) => ({ call, fault: faults[count++] ?? null }));
      const whole = calls.map(({ fault }) => fault).find((fault) => fault?.kind === 'whole');
      if (whole?.kind === 'whole') return new Response(whole.body, { status: whole.status });
      const answers = calls.flatMap(({ call, fault }) =>
        told(call.method ?? new URL(url).pathname, fault, call.id),
      );
      return Array.isArray(asked) || answers.length > 0
        ? Response.json(Array.isArray(asked) ? answers : answers[0])
        : new Response('');
    },
    socket: () => {
      throw new Error('there are no sockets here');
    },
    close: async () => {},
  };
}

/** Whatever its length, no foreign text is searched for secrets any further than it is shown. */
function redactShown(text: string, charsMax?: number): string {
  expect(charsMax).toBeLessThan(1000);
  return text;
}

async function sampleOf(protocol: ProtocolName, fetcher: Fetcher, singly = false): Promise<Sample> {
  const keys = { json: { '/status': 'ok' }, head: { pointer: '/height' } };
  const { networks } = validateConfig({
    networks: {
      main: {
        protocol,
        ...(protocol === 'http' && { probe: keys }),
        upstreams: [{ id: 'a', url: 'http://127.0.0.1:1' }],
      },
    },
  });
  const [upstream] = networks.main?.upstreams ?? [];
  if (!networks.main?.probe || !upstream) throw new TypeError('the network was named in the lines above');
  return PROTOCOLS[protocol].probeOnce(upstream, {
    ...{ probe: networks.main.probe, fetcher, now: () => NOW, redact: redactShown },
    ...{ describe: true, batches: { areRefused: () => singly, refused: () => {} } },
    signal: new AbortController().signal,
  });
}

const isHeight = (value: number | null): boolean =>
  value === null || (Number.isSafeInteger(value) && value >= 0);

/** What a ranking makes of the upstream beside two healthy ones. */
function rankedBeside(protocol: ProtocolName, sample: Sample) {
  const head = { number: 16, hash: null, headerAt: null };
  const { identity } = RIGHT[protocol];
  const well: Sample = {
    ...{ failure: null, sampledAt: NOW, latencyMs: 1, identity, syncing: false, head, finalized: null },
  };
  const windows = { a: sample, b: well, c: well };
  return rank({
    ...{ network: 'main', configHash: '', publisher: 'test', past: null, settled: true },
    config: { maxLagBlocks: 3 },
    upstreams: Object.keys(windows).map((id) => ({ id, voter: id, disabled: false })),
    windows: new Map(Object.entries(windows).map(([id, one]) => [id, addSample(emptyWindow, one)])),
    ...{ loads: new Map(), budgets: new Map(), now: NOW, freshSince: NOW - 1000, lookMs: 1000 },
  });
}

/** Throws for a sample that no upstream may give. */
function examine(protocol: ProtocolName, sample: Sample): void {
  if (sample.failure === null) {
    expect(isHeight(sample.head?.number ?? null) && isHeight(sample.finalized ?? null)).toBe(true);
    expect(sample.identity?.length ?? 0).toBeLessThanOrEqual(128);
  } else expect(sample.detail.length).toBeLessThan(210);
  const draft = rankedBeside(protocol, sample);
  const published = decodeRanking(encodeRanking({ ...draft, epoch: 1, seq: 1 }));
  if ('invalid' in published) throw new Error(published.invalid);
  expect(published).toMatchObject({ identity: RIGHT[protocol].identity, head: { number: 16 } });
  const others = published.upstreams.filter(({ id }) => id !== 'a');
  expect(others.map(({ reason }) => reason)).toEqual([null, null]);
}

describe.each(NAMES)('whatever an upstream answers, by %s', (protocol) => {
  test(`a right answer makes a good sample: ${protocol}`, async () => {
    expect(await sampleOf(protocol, fetcherOf(protocol, []))).toMatchObject({
      ...{ failure: null, identity: RIGHT[protocol].identity, head: { number: 16 }, syncing: false },
    });
  });

  test(`its sample is sound, and no other upstream is touched by it: ${protocol}`, async () => {
    const seen = new Set<string | null>();
    await fc.assert(
      fc.asyncProperty(faults, fc.boolean(), async (given, singly) => {
        const sample = await sampleOf(protocol, fetcherOf(protocol, given), singly);
        seen.add(sample.failure);
        examine(protocol, sample);
      }),
      { numRuns: RUNS },
    );
    expect([...seen]).toEqual(expect.arrayContaining([null, 'probe_failed', 'unauthorized', 'throttled']));
  }, 600_000);
});
