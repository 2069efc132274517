// Decides: whether each protocol gives a network its own defaults, identities and probes.
import { describe, expect, test } from 'vitest';
import { validateConfig } from './parse.ts';

function networkOf(network: Readonly<Record<string, unknown>>) {
  const upstreams = [{ id: 'a', url: 'http://10.0.0.1' }];
  return validateConfig({ networks: { main: { upstreams, ...network } } }).networks.main;
}

const GENESIS = '0x91B171BB158E2D3848FA23A9F1C25182FB8E20313B2C1EB49219DA7A70CE90C3';

describe('a network of a protocol', () => {
  test.each([
    ['evm', 5],
    ['substrate', 3],
    ['cometbft', 3],
    ['http', 5],
  ])('lets an upstream lag by its own default: %s', (protocol, maxLagBlocks) => {
    expect(networkOf({ protocol })?.maxLagBlocks).toBe(maxLagBlocks);
    expect(networkOf({ protocol, maxLagBlocks: 7 })?.maxLagBlocks).toBe(7);
  });

  test.each([
    ['evm', '1', '1'],
    ['substrate', GENESIS, GENESIS.toLowerCase()],
    ['cometbft', 'cosmoshub-4', 'cosmoshub-4'],
    ['cometbft', 4, '4'],
    ['cometbft', 'Chain-A', 'Chain-A'],
  ])('keeps an identity as it is compared: %s %s', (protocol, identity, kept) => {
    expect(networkOf({ protocol, identity })?.identity).toBe(kept);
  });
});

describe('the probe of an http network', () => {
  test.each([
    [{ status: 200 }, { status: { first: 200, last: 200 } }],
    [{ status: '200-404' }, { status: { first: 200, last: 404 } }],
    [{ json: { '/a~1b/0': null, '': 1 } }, { json: { '/a~1b/0': null, '': 1 } }],
    [{ head: { pointer: '/height' } }, { head: { pointer: '/height' } }],
    [{ head: 'off' }, { head: null }],
    [{ path: '/api/health?full=1' }, { path: '/api/health?full=1' }],
  ])('is read: %j', (probe, expected) => {
    expect(networkOf({ protocol: 'http', probe })?.probe).toMatchObject(expected);
  });

  test('may be off', () => {
    expect(networkOf({ protocol: 'http', probe: 'off' })?.probe).toBeNull();
  });
});
