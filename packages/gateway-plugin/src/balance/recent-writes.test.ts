import { describe, expect, test } from 'vitest';
import { RECENT_WRITE_MS, RecentWrites } from './recent-writes.ts';

const NOW = 1_704_067_200_000;

function noted(head: number): RecentWrites {
  const writes = new RecentWrites();
  writes.note(['0xhash', '0xsender'], 'a', head, NOW);
  return writes;
}

describe('what was written lately', () => {
  test('is with the upstream that took it, under its hash and its sender', () => {
    const writes = noted(100);
    expect(writes.takerOf('0xhash', 100, NOW)).toBe('a');
    expect(writes.takerOf('0xsender', 102, NOW + RECENT_WRITE_MS - 1)).toBe('a');
    expect(writes.takerOf('0xother', 100, NOW)).toBeNull();
  });

  test.each([
    ['three blocks', 103, 1],
    ['a minute', 100, RECENT_WRITE_MS],
  ])('is with everybody after %s', (_, head, afterMs) => {
    expect(noted(100).takerOf('0xhash', head, NOW + afterMs)).toBeNull();
  });

  test('is counted by time alone while heads are unknown', () => {
    expect(noted(0).takerOf('0xhash', 5000, NOW + 1)).toBe('a');
    expect(noted(0).takerOf('0xhash', 5000, NOW + RECENT_WRITE_MS)).toBeNull();
  });

  test('is with the upstream of the last write of a sender', () => {
    const writes = noted(100);
    writes.note(['0xhash2', '0xsender'], 'b', 100, NOW);
    expect(writes.takerOf('0xsender', 100, NOW)).toBe('b');
    expect(writes.takerOf('0xhash', 100, NOW)).toBe('a');
  });

  test('is forgotten when another upstream has shown it', () => {
    const writes = noted(100);
    writes.forget('0xhash');
    expect(writes.takerOf('0xhash', 100, NOW)).toBeNull();
    expect(writes.takerOf('0xsender', 100, NOW)).toBe('a');
  });

  test('is not kept without end', () => {
    const writes = noted(100);
    for (let at = 0; at < 10_000; at++) writes.note([`0x${at}`], 'b', 100, NOW);
    expect(writes.takerOf('0xhash', 100, NOW)).toBeNull();
  });
});
