import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  createRedactor,
  FOREIGN_TEXT_CHARS,
  foreignText,
  HIDDEN,
  redactUrl,
  shownKey,
  urlSecrets,
} from './redact.ts';

const secret = fc.stringMatching(/^[A-Za-z0-9]{6,40}$/);

describe('redactUrl', () => {
  test.each([
    ['https://node.example', 'https://node.example'],
    ['https://node.example/', 'https://node.example'],
    ['https://node.example/v3/key', 'https://node.example/***'],
    ['https://node.example?apikey=key', 'https://node.example/***'],
    ['https://node.example#key', 'https://node.example/***'],
    ['https://user:key@node.example:8545/', 'https://node.example:8545'],
    ['https://us@er:key@node.example/x', 'https://node.example/***'],
    ['redis://:key@10.0.0.1:6379/2', 'redis://10.0.0.1:6379/***'],
    ['http://[::1]:8545/key', 'http://[::1]:8545/***'],
    ['no url', HIDDEN],
    ['', HIDDEN],
  ])('shows %s as %s', (url, shown) => {
    expect(redactUrl(url)).toBe(shown);
  });

  test('never shows a user, a password, a path, a query or a fragment', () => {
    fc.assert(
      fc.property(secret, secret, secret, secret, secret, (user, password, path, query, fragment) => {
        const shown = redactUrl(`https://${user}:${password}@h.io/${path}?k=${query}#${fragment}`);
        return shown === 'https://h.io/***';
      }),
    );
  });
});

describe('createRedactor', () => {
  test('hides every secret wherever it stands, and leaves the rest as it was', () => {
    const text = fc.stringMatching(/^[ .,:-]{0,20}$/);
    fc.assert(
      fc.property(fc.array(fc.tuple(secret, text), { maxLength: 8 }), text, (pairs, tail) => {
        const secrets = pairs.map(([word]) => word);
        const shown = createRedactor(secrets)(pairs.map(([word, gap]) => gap + word).join('') + tail);
        for (const word of secrets) expect(shown).not.toContain(word);
        if (new Set(secrets.join('')).size === 0) expect(shown).toBe(tail);
      }),
    );
  });

  test('hides the longest first, so that no part of a secret remains', () => {
    const redact = createRedactor(['abcdef', 'abcdefghijkl']);
    expect(redact('x abcdefghijkl y abcdef z')).toBe('x *** y *** z');
  });

  test('hides a secret also in its percent-decoded form', () => {
    const redact = createRedactor(['p%40ss%2Fword']);
    expect(redact('p%40ss%2Fword, p@ss/word')).toBe('***, ***');
    expect(createRedactor(['100%sure'])('is 100%sure')).toBe('is ***');
  });

  test('hides every secret of a URL in the text of an error', () => {
    fc.assert(
      fc.property(secret, secret, secret, secret, (user, password, path, query) => {
        const url = `https://${user}:${password}@h.io/v3/${path}?apikey=${query}`;
        const shown = createRedactor(urlSecrets(url))(`connect to ${url} failed: ${path} ${query}`);
        for (const part of [user, password, path, query]) expect(shown).not.toContain(part);
        expect(shown).toContain('h.io/v3/');
      }),
    );
  });

  test('leaves a text alone when there is nothing to hide', () => {
    expect(createRedactor(['', 'a', 'ab'])('ab is a text')).toBe('ab is a text');
    expect(createRedactor([])('any')).toBe('any');
  });
});

describe('foreignText', () => {
  test('is one line of bounded length', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 600 }), (text) => {
        const shown = foreignText(text);
        expect(shown.length).toBeLessThanOrEqual(FOREIGN_TEXT_CHARS + 1);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: their absence is what is tested
        expect(shown).not.toMatch(/[\u0000-\u001f\u007f]/);
      }),
    );
    expect(foreignText('a\r\nb\u001b[31m')).toBe('a b [31m');
    expect(foreignText('x'.repeat(200))).toBe('x'.repeat(200));
    expect(foreignText('x'.repeat(201))).toBe(`${'x'.repeat(200)}…`);
  });
});

describe('shownKey', () => {
  test.each([
    ['maxLagBlocks', 'maxLagBlocks'],
    ['debug_*', 'debug_*'],
    ['http://user:key@node.example/v3/key', 'http…'],
    ['authorization: Bearer key', 'authorization…'],
    ['authorization Bearer key', 'authorization…'],
    ['x'.repeat(65), `${'x'.repeat(64)}…`],
    ['', ''],
  ])('shows %j as %j', (key, shown) => {
    expect(shownKey(key)).toBe(shown);
  });
});
