import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { duration, got, identifier, offOr, onOff, section, size, url, whole } from './fields.ts';

/** What the field makes of a value; the text of its first problem if it refuses. */
function outcomeOf(schema: z.ZodType, value: unknown): unknown {
  const result = schema.safeParse(value);
  return result.success ? result.data : `refused: ${result.error.issues[0]?.message}`;
}

const REFUSED = expect.stringMatching(/^refused: /);

describe('a duration', () => {
  test.each<[unknown, unknown]>([
    ['500ms', 500],
    ['2s', 2000],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['1.5s', 1500],
    ['0.5 s', 500],
    [' 2S ', 2000],
    [250, 250],
    ['250', REFUSED],
    ['', REFUSED],
    ['s', REFUSED],
    ['1d', REFUSED],
    ['-1s', REFUSED],
    ['1s2', REFUSED],
    ['1e3s', REFUSED],
    [1.5, REFUSED],
    [-1, REFUSED],
    [0, REFUSED],
    [Number.NaN, REFUSED],
    [true, REFUSED],
    [null, REFUSED],
    [[1], REFUSED],
  ])('written %j is %j', (written, ms) => {
    expect(outcomeOf(duration(), written)).toEqual(ms);
  });

  test('keeps to its limits, both included', () => {
    const schema = duration(100, 1000);
    expect([100, '1s', 99, '1001ms'].map((value) => outcomeOf(schema, value))).toEqual([
      100,
      1000,
      'refused: expected a duration from 100 ms to 1000 ms, got 99 ms',
      'refused: expected a duration from 100 ms to 1000 ms, got 1001 ms',
    ]);
  });

  test('is the same in every unit', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1000 }), (count) => {
        const schema = duration();
        expect(outcomeOf(schema, `${count}h`)).toBe(outcomeOf(schema, `${count * 60}m`));
        expect(outcomeOf(schema, `${count}m`)).toBe(outcomeOf(schema, `${count * 60}s`));
        expect(outcomeOf(schema, `${count}s`)).toBe(outcomeOf(schema, count * 1000));
      }),
    );
  });
});

test.each<[unknown, unknown]>([
  ['256kb', 262_144],
  ['10mb', 10_485_760],
  ['1GB', 1_073_741_824],
  ['7b', 7],
  ['1.5kb', 1536],
  [4096, 4096],
  ['10', REFUSED],
  ['10mib', REFUSED],
  ['2gb', REFUSED],
  [0, REFUSED],
  [{}, REFUSED],
])('a size written %j is %j', (written, bytes) => {
  expect(outcomeOf(size(), written)).toEqual(bytes);
});

test.each<[unknown, unknown]>([
  ['on', true],
  ['off', false],
  [true, true],
  [false, false],
  ['true', REFUSED],
  ['yes', REFUSED],
  ['ON', REFUSED],
  [1, REFUSED],
  [null, REFUSED],
])('a switch written %j is %j', (written, value) => {
  expect(outcomeOf(onOff(), written)).toEqual(value);
});

test.each<[unknown, unknown]>([
  ['off', null],
  [false, null],
  [5, 5],
  [0, REFUSED],
  ['on', REFUSED],
  [true, REFUSED],
])('a limit that may be off, written %j, is %j', (written, value) => {
  expect(outcomeOf(offOr(whole(1, 10)), written)).toEqual(value);
});

test.each([
  ['http://10.0.0.1', true],
  ['HTTPS://node.example:8545/v3/key?x=y', true],
  ['http://[::1]:8545', true],
  ['http://user:pa%2Fss@node.example/', true],
  ['http://node.example:0', false],
  ['http://node.example:65536', false],
  ['http://node.example:rpc', false],
  ['http://user:pa/ss@node.example', false],
  ['http://node.example/#x', false],
  ['http://node example', false],
  ['http://', false],
  ['http:///x', false],
  ['node.example', false],
  ['ftp://node.example', false],
  ['', false],
])('%s is a URL of an upstream: %s', (written, accepted) => {
  expect(url(['http', 'https'], 'http://10.0.0.1:8545').safeParse(written).success).toBe(accepted);
});

test.each([
  ['redis://10.0.0.5', true],
  ['redis://:secret@10.0.0.5:6379/2', true],
  ['rediss://user:secret@[::1]:6380', true],
  ['unix:///run/redis.sock', true],
  ['unix://run/redis.sock', false],
  ['unix://', false],
  ['redis://:se/cret@10.0.0.5', false],
  ['redis://:s@e/cret@10.0.0.5', false],
  ['http://10.0.0.5', false],
])('%s is a URL of a Redis: %s', (written, accepted) => {
  expect(url(['redis', 'rediss', 'unix'], 'redis://127.0.0.1').safeParse(written).success).toBe(accepted);
});

test('an identifier is safe in a path, in a label and in a Redis name', () => {
  for (const good of ['a', 'geth-1', 'A_b.c@d', '0x', 'x'.repeat(64)]) {
    expect(outcomeOf(identifier(), good)).toBe(good);
  }
  for (const bad of ['', '-a', '.', '..', 'a/b', 'a b', 'a{b', 'a:b', 'é', 'x'.repeat(65), 7, 'a\n']) {
    expect(outcomeOf(identifier(), bad)).toEqual(REFUSED);
  }
});

test('a section names the nearest key that it knows, and all of them where none is near', () => {
  const schema = section({ tries: z.number().optional(), deadline: z.number().optional() });
  expect(outcomeOf(schema, { trys: 1 })).toBe('refused: unknown key "trys"; did you mean "tries"?');
  expect(outcomeOf(schema, { hologram: 1 })).toBe(
    'refused: unknown key "hologram"; known keys: tries, deadline',
  );
});

test('a wrong value is shown as it is, unless it is long or a URL', () => {
  expect(got('soon')).toBe(', got "soon"');
  expect(got(undefined)).toBe(', got nothing');
  expect(got(['https://u:p@h.io/key'])).toBe(', got ["https://h.io/***"]');
  expect(got('x'.repeat(61))).toBe(', got 63 characters');
});
