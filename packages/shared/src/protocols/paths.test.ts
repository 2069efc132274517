import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readPath } from './paths.ts';

describe('a path that is compared with globs', () => {
  test.each([
    ['/admin', '/admin'],
    ['/a%64min', '/admin'],
    ['/%61%44%4D%69%6e', '/aDMin'],
    ['//admin///x//', '/admin/x/'],
    ['/admin%2Fx%2f%2Fy', '/admin/x/y'],
    ['/%7ea%2D%5f%2E', '/~a-_.'],
    ['/a%2564min', '/a%2564min'],
    ['/a%20b%3a%c3%bc', '/a%20b%3A%C3%BC'],
  ])('%s is read as %s', (path, read) => {
    expect(readPath(path)).toBe(read);
  });

  test.each(['/%', '/%zz', '/a%4', '/%ff', '/%c0%af', '/a%00', '/a#/b', '/#'])('%s is not read', (path) => {
    expect(readPath(path)).toBeNull();
  });

  /** Each character as it is or encoded, in capitals or not; each slash once or several times. */
  const respelled = (text: string, choices: readonly number[]) =>
    [...text]
      .map((char, at) => {
        const choice = choices[at % choices.length] ?? 0;
        const hex = `%${char.charCodeAt(0).toString(16).padStart(2, '0')}`;
        if (char === '/' && choice % 4 === 3) return '/'.repeat(2 + (choice % 3));
        return [char, hex, hex.toUpperCase()][choice % 3] ?? char;
      })
      .join('');

  test('is the same however a client spells it, and reading it again changes nothing', () => {
    const segment = fc.string({ unit: fc.constantFrom(...'abzAZ09-._~'), minLength: 1, maxLength: 8 });
    const paths = fc.array(segment, { minLength: 1, maxLength: 5 }).map((parts) => `/${parts.join('/')}`);
    fc.assert(
      fc.property(paths, fc.array(fc.nat(11), { minLength: 1, maxLength: 40 }), (path, choices) => {
        const read = readPath(respelled(path, choices));
        expect(read).toBe(path);
        expect(readPath(read ?? '')).toBe(read);
      }),
    );
  });

  test('says to a node what the path says, whatever that is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
        const path = `/${encodeURIComponent(text.toWellFormed())}`;
        const read = readPath(path);
        const said = decodeURIComponent(path);
        if (said.includes('\0')) expect(read).toBeNull();
        else expect(decodeURIComponent(read ?? '')).toBe(said.replace(/\/{2,}/g, '/'));
      }),
    );
  });
});
