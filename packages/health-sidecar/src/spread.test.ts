import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createRandom } from '../../../test/kit/clock.ts';
import { heirAmong, type Standing, spread } from './spread.ts';

const NETWORKS = Array.from({ length: 30 }, (_, at) => `net-${at}`);
const standing = (instance: string, held: number, takes: readonly string[] = NETWORKS): Standing => {
  return { instance, held, takes: new Set(takes) };
};

interface Sidecar {
  readonly instance: string;
  readonly takes: readonly string[];
  readonly held: string[];
}

/** What a sidecar knows of the others. */
const standings = (sidecars: readonly Sidecar[], but: Sidecar): Standing[] =>
  sidecars
    .filter((one) => one !== but)
    .map(({ instance, held, takes }) => standing(instance, held.length, takes));

/** Each has its turn once, and every gift arrives at once; gives how many leases went from one to another. */
function round(sidecars: readonly Sidecar[], order: readonly Sidecar[]): number {
  let moves = 0;
  for (const giver of order) {
    for (const { network, heir } of spread(giver.instance, giver.held, standings(sidecars, giver))) {
      giver.held.splice(giver.held.indexOf(network), 1);
      sidecars.find(({ instance }) => instance === heir)?.held.push(network);
      moves++;
    }
  }
  return moves;
}

const loads = (sidecars: readonly Sidecar[]) => sidecars.map(({ held }) => held.length);
const apart = (sidecars: readonly Sidecar[]) => Math.max(...loads(sidecars)) - Math.min(...loads(sidecars));

/** Any number of sidecars that hold all of the networks in any way. */
const cluster = fc
  .record({ count: fc.integer({ min: 1, max: 8 }), seed: fc.integer() })
  .map(({ count, seed }) => {
    const random = createRandom(seed);
    const sidecars: Sidecar[] = Array.from({ length: count }, (_, at) => ({
      ...{ instance: `s${at}`, takes: NETWORKS, held: [] },
    }));
    for (const network of NETWORKS) sidecars[Math.floor(random() * count)]?.held.push(network);
    return { sidecars, random };
  });

test('leases come to be spread evenly from whatever they were, and then stay where they are', () => {
  fc.assert(
    fc.property(cluster, ({ sidecars, random }) => {
      const order = sidecars.toSorted(() => random() - 0.5);
      const before = Math.max(...loads(sidecars));
      let moves = 0;
      for (let turn = 0; turn < 30; turn++) moves += round(sidecars, order);
      expect(apart(sidecars)).toBeLessThanOrEqual(1);
      expect(round(sidecars, order)).toBe(0);
      // No lease goes to one who gives it on.
      expect(moves).toBeLessThanOrEqual(NETWORKS.length);
      expect(Math.max(...loads(sidecars))).toBeLessThanOrEqual(before);
    }),
  );
});

test('twenty leases of one spread over four that join within six turns', () => {
  const one: Sidecar = { instance: 'a', takes: NETWORKS, held: NETWORKS.slice(0, 20) };
  const joined = ['b', 'c', 'd', 'e'].map((instance) => ({ instance, takes: NETWORKS, held: [] }));
  const sidecars = [one, ...joined];
  let turns = 0;
  while (round(sidecars, sidecars) > 0) turns++;
  expect(loads(sidecars)).toEqual([4, 4, 4, 4, 4]);
  expect(turns).toBeLessThanOrEqual(6);
});

test('a lease goes only to a sidecar that takes it and holds at least two fewer', () => {
  const someTakes = fc.subarray([...NETWORKS]);
  const others = fc.array(fc.record({ held: fc.nat(20), takes: someTakes }), { maxLength: 6 });
  fc.assert(
    fc.property(fc.subarray([...NETWORKS]), others, (held, shapes) => {
      const known = shapes.map((shape, at) => standing(`s${at}`, shape.held, shape.takes));
      const gifts = spread('me', held, known);
      const loadOf = new Map(known.map(({ instance, held: load }) => [instance, load]));
      gifts.forEach(({ network, heir }, at) => {
        const load = loadOf.get(heir) ?? Number.NaN;
        expect(held).toContain(network);
        expect(known.find(({ instance }) => instance === heir)?.takes.has(network)).toBe(true);
        expect(held.length - at - load).toBeGreaterThanOrEqual(2);
        loadOf.set(heir, load + 1);
      });
      expect(new Set(gifts.map(({ network }) => network)).size).toBe(gifts.length);
    }),
  );
});

test('of two that hold as many leases only one gives to a third', () => {
  const held = ['net-0', 'net-1'];
  const third = standing('c', 0);
  expect(spread('a', held, [standing('b', 2), third])).toHaveLength(1);
  expect(spread('b', held, [standing('a', 2), third])).toEqual([]);
});

test('who holds more but serves other networks stops nobody from giving', () => {
  const foreign = standing('z', 9, ['elsewhere']);
  expect(spread('a', ['net-0', 'net-1'], [foreign, standing('b', 0)])).toEqual([
    { network: 'net-0', heir: 'b' },
  ]);
});

test('a lease for which nobody is there but its holder has no heir', () => {
  expect(spread('a', NETWORKS, [])).toEqual([]);
  expect(heirAmong([standing('b', 0, [])], 'net-0')).toBeNull();
  expect(heirAmong([standing('b', 2), standing('d', 1), standing('c', 1)], 'net-0')?.instance).toBe('c');
});
