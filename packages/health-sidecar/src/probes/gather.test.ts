import { expect, test } from 'vitest';
import { createGather } from './gather.ts';

/** A clock that jumps to the end of every pause; `during` says what happens while one lasts. */
function bench() {
  let now = 1000;
  const during: (() => void)[] = [];
  const gather = createGather(
    () => now,
    async (ms) => {
      during.shift()?.();
      now += ms;
    },
  );
  return { gather, during, now: () => now };
}

const never = new Promise<void>(() => {});

test('heads within a few milliseconds are one piece of news', async () => {
  const { gather, during, now } = bench();
  during.push(() => gather.tell());
  gather.tell();
  expect(await gather.before(never)).toBe(true);
  expect(now()).toBe(1020);
  expect(await gather.before(Promise.resolve())).toBe(false);
});

test('news that come without an end are told of twenty times a second', async () => {
  const { gather, during, now } = bench();
  gather.tell();
  for (let at = 0; at < 21; at++) {
    during.push(() => gather.tell());
    await gather.before(never);
    gather.tell();
  }
  expect(now()).toBe(1020 + 20 * 50);
});

test('news that come while nobody waits are not lost, and wake whoever waits', async () => {
  const { gather } = bench();
  gather.tell();
  expect(await gather.before(never)).toBe(true);
  const waiting = gather.before(never);
  gather.tell();
  expect(await waiting).toBe(true);
});
