import { expect, test } from 'vitest';
import { quietNetwork } from '../../test/networks.ts';
import type { Network } from '../upstream/network.ts';
import { Refresher } from './refresher.ts';

/** A refresher whose reads end, the oldest first, when the test says so. */
function startBench() {
  const reads: Network[] = [];
  const ends: (() => void)[] = [];
  const refresher = new Refresher((network) => {
    reads.push(network);
    return new Promise<void>((resolve) => ends.push(resolve));
  });
  return { reads, refresher, endOne: () => ends.shift()?.() };
}

/** Until what follows a read has happened. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

test('while a network is read, all that comes is answered by one more read, of what now has its name', async () => {
  const { reads, refresher, endOne } = startBench();
  const [first, next] = [quietNetwork('net', [{}]), quietNetwork('net', [{}])];
  refresher.refresh(first);
  refresher.refresh(first);
  refresher.refresh(next);
  expect(reads).toHaveLength(1);
  endOne();
  await settled();
  expect(reads[1]).toBe(next);
  endOne();
  await settled();
  expect(reads).toHaveLength(2);
  expect(refresher.isReading(next)).toBe(false);
});

test('a read of one network does not hold up that of another', () => {
  const { reads, refresher } = startBench();
  const [one, other] = [quietNetwork('one', [{}]), quietNetwork('other', [{}])];
  refresher.refresh(one);
  refresher.refresh(other);
  expect(reads).toEqual([one, other]);
});

test('a refresher that stops waits for the read that runs and begins no other', async () => {
  const { reads, refresher, endOne } = startBench();
  const network = quietNetwork('net', [{}]);
  refresher.refresh(network);
  refresher.refresh(network);
  let stopped = false;
  const stopping = refresher.stop().then(() => {
    stopped = true;
  });
  await settled();
  expect(stopped).toBe(false);
  endOne();
  await stopping;
  await settled();
  expect(reads).toHaveLength(1);
});
