import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { envelope, space, stringOf, value } from '../test/json-text.ts';
import { type Envelope, endsAt, isNestedDeeper, readElements, readEnvelope, type Span } from './jsonrpc.ts';

const NAMES = ['jsonrpc', 'id', 'method', 'params', 'result', 'error'] as const;

const bytesOf = (text: string): Buffer => Buffer.from(text, 'utf8');

function textAt(bytes: Buffer, span: Span | undefined): string | undefined {
  return span && bytes.toString('utf8', span.start, span.end);
}

/** Each member as it stands in the bytes. */
function read(text: string): Record<string, string | undefined> | null {
  const bytes = bytesOf(text);
  const found = readEnvelope(bytes);
  if (found === null || found.end === -1) return null;
  return Object.fromEntries(NAMES.map((name) => [name, textAt(bytes, found[name])]));
}

describe('readEnvelope', () => {
  test.each<[string, string, Partial<Record<(typeof NAMES)[number], string>>]>([
    [
      'a request',
      '{"jsonrpc":"2.0","id":1,"method":"a","params":[]}',
      { id: '1', method: '"a"', params: '[]' },
    ],
    [
      'an id of forty digits',
      '{"id":1234567890123456789012345678901234567890}',
      {
        id: '1234567890123456789012345678901234567890',
      },
    ],
    ['numbers as they were written', '{"id":1.0,"result":-0E+5}', { id: '1.0', result: '-0E+5' }],
    ['an id null', '{"id":null,"error":{"code":-32000}}', { id: 'null', error: '{"code":-32000}' }],
    [
      'brackets and quotes inside strings',
      '{"result":"}]\\"{[","id":"\\\\"}',
      { result: '"}]\\"{["', id: '"\\\\"' },
    ],
    ['members of inner objects as inner', '{"params":[{"id":7,"method":"x"}],"id":2}', { id: '2' }],
    ['keys with escapes', '{"\\u0069\\u0064":1,"\\u006D\\u0065thod":"m"}', { id: '1', method: '"m"' }],
    [
      'white space everywhere',
      ' \t\r\n{ "id"\n:\t1 , "result" : [ 1 , 2 ] } ',
      { id: '1', result: '[ 1 , 2 ]' },
    ],
    ['an empty object', ' { } ', {}],
  ])('finds %s', (_, text, expected) => {
    expect(read(text)).toMatchObject(expected);
  });

  test.each([
    ['an array', '[]'],
    ['a number', '1'],
    ['a string', '"{}"'],
    ['nothing', ''],
    ['a byte order mark', '\ufeff{}'],
    ['a trailing comma', '{"id":1,}'],
    ['a key without quotes', '{id:1}'],
    ['a key without value', '{"id"}'],
    ['two values without comma', '{"id":1 "method":"a"}'],
    ['a leading zero', '{"id":01}'],
    ['NaN', '{"id":NaN}'],
    ['a word', '{"id":undefined}'],
    ['HTML', '<!doctype html>'],
  ])('refuses %s', (_, text) => {
    expect(readEnvelope(bytesOf(text))).toBeNull();
  });

  test.each([
    ['the same member twice', '{"method":"a","method":"b"}', true],
    ['another case', '{"method":"a","Method":"b"}', true],
    ['another case and escapes', '{"id":1,"\\u0049D":2}', true],
    ['a long s, which Go folds to an s', '{"params":[],"param\u017f":[1]}', true],
    ['an escaped long s', '{"re\\u017fult":1,"result":2}', true],
    ['different members', '{"id":1,"method":"a"}', false],
    ['strangers twice', '{"x":1,"x":2}', false],
    ['inner members twice', '{"params":[{"id":1,"id":2}],"id":3}', false],
  ])('says whether %s is ambiguous', (_, text, ambiguous) => {
    expect(readEnvelope(bytesOf(text))?.ambiguous).toBe(ambiguous);
  });

  test('gives exactly the bytes of every member, however the object is written', () => {
    fc.assert(
      fc.property(envelope, ({ text, members }) => {
        const bytes = bytesOf(text);
        const found = readEnvelope(bytes);
        expect(found?.ambiguous).toBe(false);
        expect(textAt(bytes, found ?? undefined)).toBe(text.replace(/^[ \n\r\t]+|[ \n\r\t]+$/g, ''));
        expect(endsAt(bytes, found?.end ?? 0)).toBe(true);
        for (const name of NAMES) {
          const written = members.find((member) => member.name === name);
          expect(textAt(bytes, found?.[name])).toBe(written?.value);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('reports no prefix as complete, and none of its members as more than was sent', () => {
    fc.assert(
      fc.property(envelope, fc.double({ min: 0, max: 1, noNaN: true }), ({ text }, share) => {
        const trimmed = bytesOf(text.trimEnd());
        const length = Math.min(trimmed.length - 1, Math.floor(share * trimmed.length));
        const found = readEnvelope(trimmed.subarray(0, length));
        if (found === null) return length <= text.length - text.trimStart().length;
        return found.end === -1 && NAMES.every((name) => (found[name]?.end ?? 0) <= length);
      }),
      { numRuns: 500 },
    );
  });

  test('agrees with a zod schema on what is an envelope and what it holds', () => {
    const member = z.unknown().optional();
    const schema = z.looseObject(Object.fromEntries(NAMES.map((name) => [name, member])));
    fc.assert(
      fc.property(
        fc.oneof(
          value,
          envelope.map(({ text }) => text),
        ),
        (text) => {
          const bytes = bytesOf(text);
          const parsed = schema.safeParse(JSON.parse(text));
          const found = readEnvelope(bytes);
          expect(found !== null && found.end !== -1 && endsAt(bytes, found.end)).toBe(parsed.success);
          if (found === null || !parsed.success || hasOddCase(parsed.data)) return;
          for (const name of NAMES) {
            const own = Object.hasOwn(parsed.data, name);
            expect(found[name] !== undefined).toBe(own);
            if (own) expect(JSON.parse(textAt(bytes, found[name]) ?? '')).toEqual(parsed.data[name]);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  test('begins where it is told', () => {
    const bytes = bytesOf('[{"id":1}, {"id":22}]');
    const found = readEnvelope(bytes, 10) as Envelope; // It begins after the comma.
    expect(textAt(bytes, found.id)).toBe('22');
  });
});

/** JSON.parse tells `Id` from `id`; the guard does not, on purpose. */
function hasOddCase(parsed: Readonly<Record<string, unknown>>): boolean {
  return Object.keys(parsed).some(
    (key) => !NAMES.includes(key as 'id') && NAMES.includes(folded(key) as 'id'),
  );
}

const folded = (key: string): string => key.toLowerCase().replaceAll('\u017f', 's');

describe('readElements', () => {
  test.each<[string, readonly string[] | null, boolean]>([
    ['[]', [], true],
    [' [ ] ', [], true],
    ['[1,{"a":[2]} , "]"]', ['1', '{"a":[2]}', '"]"'], true],
    ['[1,2', ['1'], false],
    ['[1,2,', ['1', '2'], false],
    ['[', [], false],
    ['[1,]', null, false],
    ['[1 2]', null, false],
    ['{}', null, false],
    ['', null, false],
  ])('reads %s', (text, elements, complete) => {
    const bytes = bytesOf(text);
    const found = readElements(bytes);
    expect(found?.spans.map((span) => textAt(bytes, span)) ?? null).toEqual(elements);
    expect(found?.complete ?? false).toBe(complete);
  });

  test('gives exactly the bytes of every element, and no prefix is complete', () => {
    const written = fc.tuple(fc.array(value, { maxLength: 5 }), space, fc.nat());
    fc.assert(
      fc.property(written, ([elements, gap, cut]) => {
        const bytes = bytesOf(`${gap}[${gap}${elements.join(`${gap},${gap}`)}${gap}]`);
        const found = readElements(bytes);
        expect(found?.complete).toBe(true);
        expect(found?.spans.map((span) => textAt(bytes, span))).toEqual(elements);
        const prefix = readElements(bytes.subarray(0, cut % bytes.length));
        expect(prefix?.complete ?? false).toBe(false);
        for (const [at, span] of (prefix?.spans ?? []).entries()) expect(span).toEqual(found?.spans[at]);
      }),
      { numRuns: 300 },
    );
  });
});

describe('the scanner', () => {
  test('neither throws nor hangs on any bytes', () => {
    const noise = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc
        .array(fc.constantFrom(...'{}[]",:\\ 01ea-'), { maxLength: 60 })
        .map((parts) => bytesOf(parts.join(''))),
    );
    fc.assert(
      fc.property(noise, fc.nat(10), (bytes, at) => {
        readEnvelope(bytes);
        readEnvelope(bytes, at);
        readElements(bytes);
        isNestedDeeper(bytes, 5);
        endsAt(bytes, at);
      }),
      { numRuns: 3000 },
    );
  });

  test('takes linear time on a megabyte of backslashes, quotes or digits', () => {
    for (const part of ['\\', '\\"', '"', '1', '[', '{"id":']) {
      const bytes = bytesOf(`{"id":"${part.repeat(1_000_000 / part.length)}`);
      const startAt = performance.now();
      readEnvelope(bytes);
      isNestedDeeper(bytes, 100);
      // A few milliseconds; with the square of the length it would be a quarter of an hour.
      expect(performance.now() - startAt).toBeLessThan(20_000);
    }
  });

  test('finds what is nested deeper than a limit, and no brackets inside strings', () => {
    expect(isNestedDeeper(bytesOf('[[1],[2]]'), 2)).toBe(false);
    expect(isNestedDeeper(bytesOf('[[[1]]]'), 2)).toBe(true);
    expect(isNestedDeeper(bytesOf('{"a":{"b":[]}}'), 2)).toBe(true);
    expect(isNestedDeeper(bytesOf('["[[[[[\\"[[["]'), 1)).toBe(false);
    expect(isNestedDeeper(bytesOf('"unfinished [[['), 1)).toBe(false);
  });

  test('knows a member by every spelling of its name', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...NAMES).chain((name) => fc.tuple(fc.constant(name), stringOf(name))),
        ([name, key]) => {
          expect(read(`{${key}:1}`)?.[name]).toBe('1');
        },
      ),
    );
  });
});
