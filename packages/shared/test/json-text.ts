// Decides: how JSON may be written: every spelling that the grammar admits, at random.
import fc from 'fast-check';

export const space = fc
  .array(fc.constantFrom(' ', '\n', '\r', '\t'), { maxLength: 3 })
  .map((parts) => parts.join(''));

const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '/': '\\/',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

/** How one code point is written: 0 plain, 1 short escape, 2 \u in lower case, 3 in upper case. */
function spelled(point: string, way: number): string {
  const hex = point.split('').map((unit) => unit.charCodeAt(0).toString(16).padStart(4, '0'));
  if (way >= 2) return hex.map((digits) => `\\u${way === 2 ? digits : digits.toUpperCase()}`).join('');
  const short = SHORT_ESCAPES[point];
  if (short !== undefined && (way === 1 || point !== '/')) return short;
  return point < ' ' ? `\\u${hex[0]}` : point;
}

/** Every spelling of a given text as a JSON string. */
export function stringOf(text: string): fc.Arbitrary<string> {
  const points = [...text];
  return fc
    .array(fc.nat(3), { minLength: points.length, maxLength: points.length })
    .map((ways) => `"${points.map((point, at) => spelled(point, ways[at] ?? 0)).join('')}"`);
}

/** Whole code points, since half a surrogate pair has no UTF-8. */
const text = fc.string({ unit: 'binary', maxLength: 12 });

const number = fc.oneof(
  fc.maxSafeInteger().map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
  fc.stringMatching(/^-?[1-9][0-9]{39}$/),
  fc.constantFrom('0', '-0', '1e5', '1E+5', '2.50', '-0.0e-1'),
);

/** Any JSON value in any spelling. */
export const value: fc.Arbitrary<string> = fc.letrec<{ value: string }>((tie) => {
  const padded = fc.tuple(space, tie('value'), space).map((parts) => parts.join(''));
  const member = fc
    .tuple(space, text.chain(stringOf), space, padded)
    .map(([before, key, after, inner]) => `${before}${key}${after}:${inner}`);
  return {
    value: fc.oneof(
      { maxDepth: 3, withCrossShrink: true },
      fc.constantFrom('true', 'false', 'null'),
      number,
      text.chain(stringOf),
      fc.array(padded, { maxLength: 3 }).map((elements) => `[${elements.join(',')}]`),
      fc.array(member, { maxLength: 3 }).map((members) => `{${members.join(',')}}`),
    ),
  };
}).value;

export interface WrittenMember {
  readonly name: string;
  readonly key: string;
  readonly value: string;
}

export interface Written {
  readonly text: string;
  readonly members: readonly WrittenMember[];
}

const NAMES = ['jsonrpc', 'id', 'method', 'params', 'result', 'error'] as const;

/** Own names that are none of an envelope, such as those of extensions. */
const foreignName = text.filter(
  (name) => !/^(jsonrpc|id|method|param[sſ]|re[sſ]ult|error|j[sſ]onrpc)$/i.test(name),
);

/** A JSON-RPC object: some of the members, each once, in any order, with strangers between them. */
export const envelope: fc.Arbitrary<Written> = fc
  .tuple(fc.shuffledSubarray([...NAMES]), fc.array(foreignName, { maxLength: 2 }))
  .chain(([own, strangers]) =>
    fc.tuple(
      fc.shuffledSubarray([...own, ...strangers], { minLength: own.length + strangers.length }),
      space,
      space,
    ),
  )
  .chain(([names, before, after]) =>
    fc
      .tuple(...names.map((name) => fc.tuple(stringOf(name), value, space, space, space, space)))
      .map((rows) => {
        const members = rows.map(([key, inner], at) => ({ name: names[at] ?? '', key, value: inner }));
        const parts = rows.map(([key, inner, a, b, c, d]) => `${a}${key}${b}:${c}${inner}${d}`);
        return { text: `${before}{${parts.length === 0 ? before : parts.join(',')}}${after}`, members };
      }),
  );
