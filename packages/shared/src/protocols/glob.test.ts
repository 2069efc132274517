import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { globOf } from './glob.ts';

describe('a glob', () => {
  test.each([
    ['debug_*', 'debug_', true],
    ['debug_*', 'xdebug_', false],
    ['*', '', true],
    ['**', 'a/b', true],
    ['*', './a', true],
    ['*', 'a\nb', true],
    ['./*', '//', false],
    ['a*a', 'a', false],
    ['a*b*b', 'ab', false],
    ['a.c', 'abc', false],
    ['', '', true],
  ])('%j of %j is %s', (glob, text, matches) => {
    expect(globOf(glob)(text)).toBe(matches);
  });

  test('has a star for any text, and every other character for itself', () => {
    const written = (unit: string) => fc.string({ unit: fc.constantFrom(...unit), maxLength: 8 });
    fc.assert(
      fc.property(written('ab./-_**'), written('ab./-_\n'), (glob, text) => {
        const pieces = glob.split('*').map((piece) => piece.replace(/[./-]/g, String.raw`\$&`));
        expect(globOf(glob)(text)).toBe(new RegExp(`^${pieces.join('.*')}$`, 's').test(text));
      }),
      { numRuns: 20_000 },
    );
  });

  /** Whoever looks back takes many seconds for those of three stars, and never ends with one of eight. */
  test('costs no more than the length of the path, however many stars it has', () => {
    const path = `/${'a'.repeat(16 * 1024)}`;
    const begunAt = performance.now();
    for (const stars of [3, 8])
      for (let at = 0; at < 300; at++) {
        expect(globOf(`${'*a'.repeat(stars - 1)}${at}*`)(path)).toBe(false);
        expect(performance.now() - begunAt).toBeLessThan(2000);
      }
  });
});
