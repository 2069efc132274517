import fc from 'fast-check';
import { expect, test } from 'vitest';
import { clusterKeys, eventsChannel, networkKeys, trialKey } from './keys.ts';

const prefix = fc.stringMatching(/^[\w.:-]{1,64}$/);
const word = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/);

/** As Redis finds it: between the first `{` and the first `}` after it. */
const tagOf = (key: string): string | undefined => /\{([^}]+)\}/.exec(key)?.[1];

test('all keys of a network carry one hash tag, and no other network has it', () => {
  fc.assert(
    fc.property(prefix, word, word, word, (first, clusterId, network, other) => {
      const options = { prefix: first, clusterId };
      const keys = [
        ...Object.values(networkKeys(options, network)),
        trialKey(options, network, other, 'usual'),
        trialKey(options, network, other, 'urgent'),
      ];
      expect(new Set(keys).size).toBe(keys.length);
      expect(new Set(keys.map(tagOf))).toEqual(new Set([`${clusterId}:${network}`]));
      for (const key of keys) expect(key.startsWith(`${first}:{`)).toBe(true);
      if (other === network) return;
      const others = Object.values(networkKeys({ prefix: first, clusterId }, other));
      expect(keys.filter((key) => others.includes(key))).toEqual([]);
    }),
  );
});

test('each cluster has an events channel and sidecars of its own, which no network can be taken for', () => {
  const { sidecars, sidecarBeats } = clusterKeys({ prefix: 'rpcb', clusterId: 'eu' });
  expect([sidecars, sidecarBeats]).toEqual(['rpcb:{eu}:sidecars', 'rpcb:{eu}:sidecar-beats']);
  expect(eventsChannel({ prefix: 'rpcb', clusterId: 'eu' })).toBe('rpcb:{eu}:events');
  expect(tagOf(eventsChannel({ prefix: 'rpcb', clusterId: 'us' }))).toBe('us');
});
