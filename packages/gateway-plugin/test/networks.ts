// Decides: how tests of the pure rooms get a whole network. Its pools exist, yet none of them connects before a call.
import { systemResolver } from '@rpc-balancer/shared';
import { onTestFinished } from 'vitest';
import { createRandom } from '../../../test/kit/clock.ts';
import { type Network, type NetworkOptions, openNetwork } from '../src/upstream/network.ts';
import { configOf, RANKING_MAX_AGE_MS } from './members.ts';

/** A network that tells nobody of anything. */
export function quietNetwork(name: string, ...given: Parameters<typeof configOf>): Network {
  return networkWith({ name, config: configOf(...given) });
}

/** A network as it is for quiet ones, but for what is given. */
export function networkWith(
  given: Pick<NetworkOptions, 'name' | 'config'> & Partial<NetworkOptions>,
): Network {
  const network = openNetwork({
    limits: { batchLimit: 1, batchAnswerLimitBytes: 1024, holdAnswerBytes: 1024 },
    rankingMaxAgeMs: RANKING_MAX_AGE_MS,
    zone: undefined,
    random: createRandom(1),
    resolver: systemResolver,
    log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
    onAttempt: () => {},
    onSecond: () => {},
    onEjection: () => {},
    onWrite: () => {},
    onMembers: () => {},
    ...given,
  });
  onTestFinished(() => network.close());
  return network;
}
