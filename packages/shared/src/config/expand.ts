// Decides: what ${VAR}, ${VAR:-default} and ${file:/path} in a scalar become.
// Must not know: the schema, or where variables and files come from.
import { type Document, isScalar, parseDocument, Scalar, visit } from 'yaml';
import type { Problem } from './problems.ts';

/** Where `${…}` takes its values from; handed in, since this package knows no runtime. */
export interface Sources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Returns the text of a file or throws. */
  readonly readFile: (path: string) => string;
}

const REFERENCE = /\$\{(?:file:([^}]+)|([A-Za-z_][A-Za-z0-9_]*)(?::-((?:(?!\$\{)[^}])*))?)\}/g;
const WHOLE_REFERENCE = /^\$\{[^}]*\}$/;
const ANY_REFERENCE = /\$\{/;

export interface Expansion {
  readonly problems: readonly Problem[];
  /** What references were replaced by; any of it may be a secret. */
  readonly values: readonly string[];
}

/** Expands every scalar value of the document in place, after it was parsed: a secret cannot change its structure. */
export function expand(document: Document, sources: Sources, source: string): Expansion {
  const problems: Problem[] = [];
  const values: string[] = [];
  visit(document, {
    Scalar(key, node) {
      if (key === 'key' || typeof node.value !== 'string' || !ANY_REFERENCE.test(node.value)) return;
      const text = node.value;
      const expanded = expandText(text, sources, (message) =>
        problems.push({ path: lineOf(node, source), message }),
      );
      values.push(expanded);
      node.value =
        node.type === Scalar.PLAIN && WHOLE_REFERENCE.test(text) ? scalarValue(expanded) : expanded;
    },
  });
  return { problems, values };
}

function expandText(text: string, { env, readFile }: Sources, complain: (message: string) => void): string {
  const expanded = text.replace(
    REFERENCE,
    (_, file: string | undefined, name: string, fallback: string | undefined) => {
      if (file !== undefined) {
        try {
          return readFile(file).replace(/\r?\n$/, '');
        } catch {
          complain(`cannot read the file of \${file:${file}}; create it or make it readable`);
          return '';
        }
      }
      const value = env[name];
      if (value !== undefined && (value !== '' || fallback === undefined)) return value;
      if (fallback === undefined)
        complain(`the variable ${name} is not set; set it or write \${${name}:-default}`);
      return fallback ?? '';
    },
  );
  if (ANY_REFERENCE.test(text.replace(REFERENCE, ''))) {
    complain('a ${ that is no reference; write ${NAME}, ${NAME:-default} or ${file:/path}');
  }
  return expanded;
}

/**
 * A whole unquoted reference is read again as a YAML scalar, so that numbers and booleans work. A text stays as it is:
 * YAML would fold the lines of a certificate into one.
 */
function scalarValue(text: string): unknown {
  const { contents, errors } = parseDocument(text, { logLevel: 'error' });
  if (errors.length > 0 || !isScalar(contents) || contents.type !== Scalar.PLAIN) return text;
  return typeof contents.value === 'string' || text.includes('#') ? text : contents.value;
}

function lineOf(node: Scalar, source: string): string {
  return `line ${source.slice(0, node.range?.[0] ?? 0).split('\n').length}`;
}
