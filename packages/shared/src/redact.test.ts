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

describe('a redactor that shows the beginning of a text', () => {
  const gaps = fc.stringMatching(/^[ .,:-]{0,9}$/);
  const texts = fc.array(fc.tuple(secret, gaps), { minLength: 1, maxLength: 8 });

  test('shows no part of any secret, wherever the cut is', () => {
    fc.assert(
      fc.property(texts, fc.nat(120), (pairs, charsMax) => {
        const text = pairs.map(([word, gap]) => gap + word).join('');
        const shown = createRedactor(pairs.map(([word]) => word))(text, charsMax);
        expect(shown.length).toBeLessThanOrEqual(charsMax + 1);
        expect(shown).not.toMatch(/[A-Za-z0-9]/);
      }),
    );
  });

  test('shows as much as it may where nothing is hidden, and says that more follows', () => {
    const redact = createRedactor(['abcdef']);
    expect(redact('x'.repeat(30), 30)).toBe('x'.repeat(30));
    expect(redact('x'.repeat(31), 30)).toBe(`${'x'.repeat(30)}…`);
    expect(redact('x'.repeat(99), 30)).toBe(`${'x'.repeat(30)}…`);
    expect(createRedactor([])('xyz', 2)).toBe('xy…');
  });

  test('shows what it would show of the whole text, or less', () => {
    fc.assert(
      fc.property(texts, fc.nat(120), (pairs, charsMax) => {
        const text = pairs.map(([word, gap], at) => (at % 2 === 0 ? `${gap}${word}` : `Ü${gap}`)).join('');
        const redact = createRedactor(pairs.map(([word]) => word));
        const shown = redact(text, charsMax);
        expect(redact(text).startsWith(shown.replace(/…$/, ''))).toBe(true);
        expect(shown.endsWith('…')).toBe(shown !== redact(text));
      }),
    );
  });
});

describe('foreignText', () => {
  test('searches no more of a long text for secrets than it shows', () => {
    const secrets = Array.from({ length: 2000 }, (_, at) => `key-${at}-of-an-upstream`);
    const redact = createRedactor([...secrets, 'k'.repeat(3000)]);
    const text = `key-1234-of-an-upstream ${'x'.repeat(1_000_000)}`;
    const begunAt = performance.now();
    for (let time = 0; time < 100; time++) expect(foreignText(text, redact)).toMatch(/^\*\*\* x{100,196}…$/);
    // Well under a second; minutes where all of it is searched.
    expect(performance.now() - begunAt).toBeLessThan(20_000);
  });

  test('hides secrets before it takes control characters out, since a private key has some', () => {
    expect(foreignText('a\nBEGIN\nKEY\nb', createRedactor(['BEGIN\nKEY']))).toBe('a *** b');
  });

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
