// Decides: whether the addresses of names become the upstreams that design 3 promises.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { locateUpstreams, nameOf } from './addresses.ts';
import type { UpstreamConfig } from './network.ts';
import { validateConfig } from './parse.ts';

function networkOf(resolve: 'one' | 'each', ...upstreams: readonly object[]) {
  const { networks } = validateConfig({ networks: { main: { resolve, upstreams } } });
  if (networks.main === undefined) throw new TypeError('the network was named in the line above');
  return networks.main;
}

const nodes = { id: 'a', url: 'http://nodes.test:8545' };
const known =
  (...addresses: readonly string[]) =>
  () =>
    addresses;

function idsOf(resolve: 'one' | 'each', addresses: readonly string[]): string[] {
  return locateUpstreams(networkOf(resolve, nodes), known(...addresses)).map(({ id }) => id);
}

describe('the name to be resolved', () => {
  test.each([
    ['http://nodes.test:8545/key?x=1', 'nodes.test'],
    ['https://user:p%40ss@Nodes.TEST', 'nodes.test'],
    ['http://10.0.0.1:8545', null],
    ['http://0x0a.1', null],
    ['http://[2001:db8::1]:8545', null],
  ])('of %s is %s', (url, name) => {
    const [upstream] = networkOf('one', { id: 'a', url }).upstreams;
    expect(nameOf(upstream as UpstreamConfig)).toBe(name); // The schema wants at least one.
  });

  test('is none for an upstream that is disabled', () => {
    const [upstream] = networkOf('one', { ...nodes, disabled: true }).upstreams;
    expect(nameOf(upstream as UpstreamConfig)).toBeNull(); // The schema wants at least one.
  });
});

describe('resolve: each', () => {
  test('makes an upstream of each address, in an order that does not depend on the resolver', () => {
    const expected = ['a@10.0.0.1', 'a@10.0.0.2', 'a@2001:db8::1'];
    expect(idsOf('each', ['10.0.0.2', '2001:db8::1', '10.0.0.1'])).toEqual(expected);
    expect(idsOf('each', ['10.0.0.1', '10.0.0.2', '2001:db8::1'])).toEqual(expected);
  });

  test('gives each address the full weight, its place to connect to and the vote of its id', () => {
    const network = networkOf('each', { ...nodes, weight: 3, tier: 'fallback' });
    const [, second] = locateUpstreams(network, known('10.0.0.1', '10.0.0.2'));
    const expected = { weight: 3, tier: 'fallback', addresses: ['10.0.0.2'], voter: 'a', url: nodes.url };
    expect(second).toMatchObject(expected);
  });

  test('leaves a name without known addresses and an address as they are', () => {
    expect(idsOf('each', [])).toEqual(['a']);
    const network = networkOf('each', { id: 'b', url: 'http://10.0.0.9:8545' });
    expect(locateUpstreams(network, known('10.0.0.1'))).toMatchObject([{ id: 'b', addresses: [] }]);
  });

  test('never makes more upstreams or longer ids than a ranking takes', () => {
    const property = fc.property(
      fc.integer({ min: 1, max: 256 }),
      fc.uniqueArray(fc.ipV4(), { minLength: 1, maxLength: 100 }),
      (count, addresses) => {
        const upstreams = Array.from({ length: count }, (_, at) => ({ ...nodes, id: `n${at}` }));
        const located = locateUpstreams(networkOf('each', ...upstreams), known(...addresses));
        expect(located.length).toBeLessThanOrEqual(256);
        expect(new Set(located.map(({ id }) => id)).size).toBe(located.length);
        expect(new Set(located.map(({ voter }) => voter)).size).toBe(count);
      },
    );
    fc.assert(property, { numRuns: 50 });
    const many = Array.from({ length: 200 }, (_, at) => `10.0.0.${at}`);
    expect(idsOf('each', many)).toHaveLength(64);
    const longest = networkOf('each', { ...nodes, id: 'x'.repeat(24) });
    const [located] = locateUpstreams(longest, known('2001:0db8:0000:0000:0000:0000:1111:2222'));
    expect(located?.id).toHaveLength(64);
  });
});

test('resolve: one keeps one upstream that may connect to every address', () => {
  const [located, ...others] = locateUpstreams(networkOf('one', nodes), known('10.0.0.2', '10.0.0.1'));
  expect(located).toMatchObject({ id: 'a', voter: 'a', addresses: ['10.0.0.2', '10.0.0.1'] });
  expect(others).toEqual([]);
});
