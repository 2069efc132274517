// Decides: whether the prober knows those upstreams that there are now, and no others.
import { type LocatedUpstream, type ProbeConfig, validateConfig } from '@rpc-balancer/shared';
import { expect, test } from 'vitest';
import type { Fetcher } from '../runtime.ts';
import { createProber, type ProberOptions } from './prober.ts';

const URL_OF_NONE = 'http://127.0.0.1:1';

function networkOf(...ids: readonly string[]) {
  const probe = { interval: 100, timeout: 100, attempts: 1 };
  const upstreams = ids.map((id) => ({ id, url: URL_OF_NONE }));
  return validateConfig({ networks: { main: { probe, upstreams } } }).networks.main;
}

function probeOf(): ProbeConfig {
  const probe = networkOf('a')?.probe;
  if (!probe) throw new TypeError('the network has a probe');
  return probe;
}

function upstreamsOf(...ids: readonly string[]): LocatedUpstream[] {
  return (networkOf(...ids)?.upstreams ?? []).map((upstream) => ({
    ...upstream,
    voter: upstream.id,
    addresses: [],
  }));
}

function proberOf(fetcherOf: ProberOptions['fetcherOf'], given: Partial<ProberOptions> = {}) {
  const sampled: string[] = [];
  const prober = createProber({
    config: { protocol: 'evm', maxLagBlocks: 5 },
    probe: probeOf(),
    fetcherOf,
    retryAt: () => 0,
    signal: new AbortController().signal,
    now: () => 0,
    random: () => 0,
    pause: () => new Promise(() => {}),
    redact: (text) => text,
    onSample: (upstream) => sampled.push(upstream),
    onPushed: () => {},
    ...given,
  });
  return { prober, sampled };
}

test('an upstream that is gone is forgotten, and one that comes is probed', async () => {
  const { prober, sampled } = proberOf(() => Promise.reject(new Error('no way there')));
  await prober.start(upstreamsOf('a', 'b')).whole;
  await prober.start(upstreamsOf('b', 'c')).whole;
  expect([...prober.windows.keys()]).toEqual(['b', 'c']);
  expect(sampled).toEqual(['a', 'b', 'c']);
});

test('an upstream that asked to be left alone is probed again when that is over, and not before', async () => {
  let now = 0;
  const { prober, sampled } = proberOf(() => Promise.reject(new Error('no way there')), {
    ...{ now: () => now, retryAt: (id) => (id === 'a' ? 1500 : 0) },
  });
  const leftAlone: boolean[] = [];
  for (now of [1000, 1499, 1500, 1600]) {
    await prober.start(upstreamsOf('a', 'b')).whole;
    leftAlone.push(prober.isLeftAlone('a'));
  }
  expect(sampled).toEqual(['b', 'b', 'a', 'a', 'b']);
  expect(leftAlone).toEqual([true, true, false, false]);
  expect(prober.isLeftAlone('b')).toBe(false);
});

test('what a probe finds of an upstream that is gone meanwhile is left aside', async () => {
  const opening = Promise.withResolvers<Fetcher>();
  const { prober, sampled } = proberOf(() => opening.promise);
  const round = prober.start(upstreamsOf('a', 'b'));
  prober.start(upstreamsOf('b'));
  opening.reject(new Error('no way there'));
  await round.whole;
  expect([...prober.windows.keys()]).toEqual(['b']);
  expect(sampled).toEqual(['b']);
});

/** Answers as Substrate does; a batch is refused. */
function substrateFetcher(asked: string[]): Fetcher {
  return {
    async fetch(_, { body = '' }) {
      const given = JSON.parse(body);
      if (Array.isArray(given)) {
        asked.push('a batch');
        return new Response('one at a time', { status: 400 });
      }
      asked.push(given.method);
      const answer = { number: '0x10', isSyncing: false, specName: 'statemine', methods: [] };
      const result = given.method === 'chain_getBlockHash' ? '0xab' : answer;
      return Response.json({ jsonrpc: '2.0', id: 1, result });
    },
    socket: () => {
      throw new Error('there are no sockets here');
    },
    close: async () => {},
  };
}

test.each([
  { what: 'what seldom changes', method: 'state_getRuntimeVersion' },
  { what: 'in a batch, after it was refused,', method: 'a batch' },
])('$what is asked of an upstream when it is new, and again after minutes', async ({ method }) => {
  const asked: string[] = [];
  let now = 0;
  const { prober } = proberOf(async () => substrateFetcher(asked), {
    ...{ config: { protocol: 'substrate', maxLagBlocks: 3 }, now: () => now },
  });
  const countAt = async (at: number, ...ids: readonly string[]) => {
    now = at;
    asked.length = 0;
    await prober.start(upstreamsOf(...ids)).whole;
    return asked.filter((one) => one === method).length;
  };
  expect(await countAt(0, 'a')).toBe(1);
  expect(await countAt(2000, 'a', 'b')).toBe(1);
  expect(await countAt(599_000, 'a', 'b')).toBe(0);
  expect(await countAt(600_000, 'a', 'b')).toBe(1);
  expect(await countAt(600_100, 'a')).toBe(0);
  expect(await countAt(600_200, 'a', 'b')).toBe(1);
});

test('incident 11: where calls are counted no batch is tried, because its refusal would be counted, too', async () => {
  const asked: string[] = [];
  const probe = { ...probeOf(), maxPerMinute: 1000 };
  const { prober } = proberOf(async () => substrateFetcher(asked), {
    ...{ config: { protocol: 'substrate', maxLagBlocks: 3 }, probe },
  });
  await prober.start(upstreamsOf('a')).whole;
  expect(asked).toContain('chain_getHeader');
  expect(asked).not.toContain('a batch');
});
