import { expect, test } from 'vitest';
import { configHash } from './hash.ts';
import { validateConfig } from './parse.ts';

type Keys = Readonly<Record<string, unknown>>;

const UPSTREAM = { id: 'a', url: 'http://10.0.0.1:8545' };

function hashOf(network: Keys = {}, upstream: Keys = {}, rest: Keys = {}): string {
  const config = validateConfig({
    ...rest,
    networks: { main: { ...network, upstreams: [{ ...UPSTREAM, ...upstream }] } },
  });
  const { main } = config.networks;
  if (main === undefined) throw new Error('the line above has it');
  return configHash(main);
}

const LOAD = { url: 'http://10.0.0.1:9100/metrics', metric: 'node_load1' };

const PEM = '-----BEGIN CERTIFICATE-----\nMIIB';

test.each<[string, string]>([
  ['another host of the gateway', hashOf({}, {}, { gateway: { host: '0.0.0.0', port: 1 } })],
  ['another port of the sidecar', hashOf({}, {}, { sidecar: { port: 1, leaseTtl: '9s' } })],
  ['a Redis', hashOf({}, {}, { redis: { url: 'redis://:secret@10.0.0.5' } })],
  ['another url of the upstream', hashOf({}, { url: 'https://node.example/v3/key' })],
  ['a wsUrl', hashOf({}, { wsUrl: 'wss://node.example/v3/key' })],
  ['other headers', hashOf({}, { headers: { authorization: 'Bearer key' } })],
  ['other certificates', hashOf({}, { tls: { ca: PEM } })],
  ['a default that is written out', hashOf({ tries: 3, readTimeout: '10s', probe: {} }, { weight: 1 })],
])('the hash of a network stays with %s', (_, hash) => {
  expect(hash).toBe(hashOf());
});

test.each<[string, string]>([
  ['maxLagBlocks', hashOf({ maxLagBlocks: 6 })],
  ['identity', hashOf({ identity: '1' })],
  ['tries', hashOf({ tries: 2 })],
  ['deadlines', hashOf({ deadlines: {} })],
  ['the probe', hashOf({ probe: { interval: '3s' } })],
  ['a probe that is off', hashOf({ probe: 'off' })],
  ['methods', hashOf({ methods: { writes: ['x'] } })],
  ['the weight of an upstream', hashOf({}, { weight: 2 })],
  ['the tier of an upstream', hashOf({}, { tier: 'fallback' })],
  ['the id of an upstream', hashOf({}, { id: 'b' })],
  ['an upstream that is disabled', hashOf({}, { disabled: true })],
])('the hash of a network changes with %s', (_, hash) => {
  expect(hash).not.toBe(hashOf());
  expect(hash).toMatch(/^[0-9a-f]{16}$/);
});

test('the hash of a network changes with a load and its metric, but not with where that is read', () => {
  const hash = hashOf({}, { load: LOAD });
  expect(hash).not.toBe(hashOf());
  expect(hashOf({}, { load: { ...LOAD, metric: 'node_load5' } })).not.toBe(hash);
  expect(hashOf({}, { load: { ...LOAD, url: 'http://user:key@exporter.example/metrics' } })).toBe(hash);
});

test('the hash of a network does not depend on the order of keys', () => {
  const one = hashOf({ tries: 2, maxFails: 1, deadlines: { a: 1, b: 2 } }, { weight: 2, tier: 'fallback' });
  const two = hashOf({ deadlines: { b: 2, a: 1 }, maxFails: 1, tries: 2 }, { tier: 'fallback', weight: 2 });
  expect(one).toBe(two);
});
