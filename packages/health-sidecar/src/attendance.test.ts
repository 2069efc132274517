import {
  BalancerError,
  createMemoryStore,
  decodeAttendance,
  encodeAttendance,
  type Store,
  type Attendance as Told,
} from '@rpc-balancer/shared';
import { expect, onTestFinished, test } from 'vitest';
import { createClock, createRandom } from '../../../test/kit/clock.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import { attend } from './attendance.ts';

/** Beats come several times a second, and no life ends before the clock is moved. */
const LIFE_MS = 300;
const SHUN_MS = 60_000;

function startBench(given: Partial<Store> = {}) {
  const clock = createClock();
  const store: Store = { ...createMemoryStore(clock.now), ...given };
  const errors: string[] = [];
  const silent = () => {};
  const counts: number[] = [];
  const attendance = attend({
    ...{ store, instance: 'anna', lifeMs: LIFE_MS, now: clock.now, random: createRandom(1) },
    log: { debug: silent, info: silent, warn: silent, error: (_, message) => void errors.push(message) },
    redact: (text) => text,
    onCount: (count) => counts.push(count),
  });
  onTestFinished(() => attendance.stop());
  const tell = (told: Told) => store.attend('bert', encodeAttendance(told), 10 * SHUN_MS);
  return {
    ...{ attendance, clock, counts, errors, tell },
    /** What another sidecar hears. */
    async heard(expected: Told): Promise<void> {
      const hears = async () => {
        const { anna = '' } = await tell({ held: 0, takes: [] });
        const told = decodeAttendance(anna);
        return JSON.stringify(told) === JSON.stringify(expected) || Promise.reject(new Error(anna));
      };
      await waitFor(hears, { what: JSON.stringify(expected) });
    },
  };
}

test('a sidecar tells what it holds and what it would take, until it stops', async () => {
  const { attendance, heard } = startBench();
  const [main, side] = ['main', 'side'].map((network) => attendance.join(network, () => {}));
  await heard({ held: 0, takes: ['main', 'side'] });
  main?.hold(true);
  await heard({ held: 1, takes: ['main', 'side'] });
  side?.leave();
  await heard({ held: 1, takes: ['main'] });
  await attendance.stop();
  await heard({ held: 1, takes: [] });
});

test('a sidecar that could not serve a network is not counted on for it, until that time is over', async () => {
  const { attendance, clock, heard } = startBench();
  const [main, side] = ['main', 'side'].map((network) => attendance.join(network, () => {}));
  side?.hold(true);
  main?.shun(SHUN_MS);
  await heard({ held: 1, takes: ['side'] });
  side?.hold(false);
  // Nothing is left to it: it is cut off from the nodes of all networks, as far as anybody knows.
  await heard({ held: 0, takes: [] });
  clock.advance(SHUN_MS);
  await heard({ held: 0, takes: ['main', 'side'] });
});

test('a sidecar gives away what others lack, and finds the one who should have a network', async () => {
  const { attendance, counts, tell } = startBench();
  const given: string[] = [];
  const seats = ['main', 'side', 'third'].map((network) =>
    attendance.join(network, (heir) => {
      given.push(`${network} to ${heir}`);
    }),
  );
  for (const seat of seats) seat.hold(true);
  const [main] = seats;
  expect(await main?.findHeir()).toBeNull();
  await tell({ held: 0, takes: ['main', 'side'] });
  // The last first, of those that are taken.
  await waitFor(() => given[0] === 'side to bert', { what: 'a lease to be given' });
  expect(main?.heir()).toBe('bert');
  expect(counts.at(-1)).toBe(2);
});

test('a store that is out of reach is not told by each beat, and a mistake of ours is', async () => {
  const failure = { now: new BalancerError('RPCB_STORE') as Error };
  let asked = 0;
  const { attendance, errors } = startBench({
    attend() {
      asked++;
      return Promise.reject(failure.now);
    },
  });
  await waitFor(() => asked > 2, { what: 'some beats' });
  expect(errors).toEqual([]);
  failure.now = new TypeError('ours');
  await waitFor(() => errors.length > 0, { what: 'the mistake to be told' });
  await attendance.stop();
});
