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

function proberOf(fetcherOf: ProberOptions['fetcherOf']) {
  const sampled: string[] = [];
  const prober = createProber({
    config: { protocol: 'evm' },
    probe: probeOf(),
    fetcherOf,
    signal: new AbortController().signal,
    now: () => 0,
    pause: async () => {},
    redact: (text) => text,
    onSample: (upstream) => sampled.push(upstream),
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
