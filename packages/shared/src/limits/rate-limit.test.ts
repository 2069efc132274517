import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readRateLimit } from './rate-limit.ts';

const NOW = 1_700_000_000_000;

type Headers = Readonly<Record<string, string>>;

const read = (headers: Headers) => readRateLimit((name) => headers[name], NOW);

describe('what a node says of its limit', () => {
  test.each<[string, Headers, unknown]>([
    [
      'the IETF draft, with its policy',
      { ratelimit: '"default";r=50;t=30', 'ratelimit-policy': '"default";q=100;w=60' },
      { left: 50, limit: 100, resetAt: NOW + 30_000 },
    ],
    ['the IETF draft alone', { ratelimit: '"default";r=0' }, { left: 0, limit: null, resetAt: null }],
    [
      'several policies, of which that with the least left counts',
      {
        ratelimit: '"burst, short" ; r=20;t=1, "daily";r=7;t=3600',
        'ratelimit-policy': '"burst, short";q=100;w=1,"daily";q=1000;w=86400',
      },
      { left: 7, limit: 1000, resetAt: NOW + 3_600_000 },
    ],
    [
      'a policy that counts bytes, which says nothing of requests',
      {
        ratelimit: '"bytes";r=5;t=1, "calls";r=9',
        'ratelimit-policy': '"bytes";q=65535;qu="content-bytes", "calls";q=10;qu="requests"',
      },
      { left: 9, limit: 10, resetAt: null },
    ],
    [
      'draft 07',
      { ratelimit: 'limit=100, remaining=50, reset=5' },
      { left: 50, limit: 100, resetAt: NOW + 5000 },
    ],
    [
      'the drafts before it',
      { 'ratelimit-limit': '100, 100;w=60', 'ratelimit-remaining': '99', 'ratelimit-reset': '12' },
      { left: 99, limit: 100, resetAt: NOW + 12_000 },
    ],
    [
      'a reset in seconds since 1970',
      { 'x-ratelimit-limit': '60', 'x-ratelimit-remaining': '56', 'x-ratelimit-reset': '1700000060' },
      { left: 56, limit: 60, resetAt: NOW + 60_000 },
    ],
    [
      'a reset in milliseconds since 1970',
      { 'x-ratelimit-remaining': '5', 'x-ratelimit-reset': '1700000001500' },
      { left: 5, limit: null, resetAt: NOW + 1500 },
    ],
    [
      'a reset with a fraction',
      { 'x-rate-limit-remaining': '5', 'x-rate-limit-reset': '0.25' },
      { left: 5, limit: null, resetAt: NOW + 250 },
    ],
    [
      'a reset that is a date',
      { 'x-ratelimit-remaining': '5', 'x-ratelimit-reset': 'Tue, 14 Nov 2023 22:13:30 GMT' },
      { left: 5, limit: null, resetAt: NOW + 10_000 },
    ],
    [
      'a field that cannot be read beside ones that can',
      { ratelimit: 'soon', 'x-ratelimit-remaining': '5' },
      { left: 5, limit: null, resetAt: null },
    ],
    ['nothing', {}, null],
    ['a limit without what is left', { 'x-ratelimit-limit': '60', 'x-ratelimit-reset': '1' }, null],
    ['-1 for "no limit"', { 'x-ratelimit-remaining': '-1' }, null],
    ['a word', { 'x-ratelimit-remaining': 'plenty' }, null],
    ['a number beyond all numbers', { 'x-ratelimit-remaining': '9'.repeat(400) }, null],
    ['an open quote', { ratelimit: '"r=5;t=5' }, null],
  ])('is read of %s', (_, headers, expected) => {
    expect(read(headers)).toEqual(expected);
  });

  test('is never anything but numbers from 0 up, whatever the headers are', () => {
    const names = ['ratelimit', 'ratelimit-policy'];
    const plain = ['remaining', 'limit', 'reset'].flatMap((part) => [
      `ratelimit-${part}`,
      `x-ratelimit-${part}`,
    ]);
    const piece = fc.constantFrom('"', ';', ',', '=', 'r', 't', 'q', '5', 'remaining', '1e9', ' ', '\\', '-');
    const text = fc.oneof(
      fc.string(),
      fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join('')),
    );
    const headers = fc.dictionary(fc.constantFrom(...names, ...plain), text);
    fc.assert(
      fc.property(headers, (given) => {
        const found = read(given);
        for (const value of Object.values(found ?? {})) {
          expect(value === null || (Number.isFinite(value) && value >= 0)).toBe(true);
        }
        expect(found === null || Number.isSafeInteger(found.left)).toBe(true);
      }),
    );
  });
});
