// Decides: how a text or an object becomes a Config, or one error with every problem.
// Must not know: files, environment, processes.
import { type Document, parseDocument, type YAMLParseError } from 'yaml';
import { createRedactor } from '../redact.ts';
import { expand, type Sources } from './expand.ts';
import { configError, type Problem, problemsOf } from './problems.ts';
import { type Config, type ConfigInput, configSchema } from './schema.ts';

/** A configuration of 256 upstreams has some 50 kB; more than this is a wrong file. */
const CONFIG_CHARS_MAX = 1_000_000;

/**
 * Reads YAML or JSON (which is YAML).
 * @throws BalancerError `RPCB_CONFIG` with every problem at once.
 */
export function parseConfig(text: string, sources: Sources): Config {
  if (text.length > CONFIG_CHARS_MAX) {
    throw configError([
      { path: '', message: `expected at most ${CONFIG_CHARS_MAX} characters, got ${text.length}` },
    ]);
  }
  // On `silent` the parser would drop what follows a second `---` without a word.
  const document = parseDocument(text, { prettyErrors: false, logLevel: 'error' });
  const [syntax] = document.errors;
  if (syntax) throw configError([syntaxProblem(text, syntax)]);
  const { problems, values } = expand(document, sources, text);
  if (problems.length > 0) throw configError(problems);
  return checked(plainValue(document), hiderOf(values));
}

/** The parser finds an alias without anchor, or too many of them, only when it resolves them. */
function plainValue(document: Document): unknown {
  try {
    return document.toJS();
  } catch {
    throw configError([
      { path: '', message: 'not YAML (bad alias); quote a value that begins with "*", or define its anchor' },
    ]);
  }
}

/**
 * Checks an object, such as one written in TypeScript.
 * @throws BalancerError `RPCB_CONFIG` with every problem at once.
 */
export function validateConfig(input: ConfigInput | unknown): Config {
  return checked(input, (message) => message);
}

function checked(input: unknown, hide: (message: string) => string): Config {
  const result = configSchema.safeParse(input ?? {});
  if (result.success) return result.data;
  const problems = problemsOf(result.error.issues);
  throw configError(problems.map(({ path, message }) => ({ path, message: hide(message) })));
}

/** Shorter values, such as ports, are better shown: hiding them would only garble the message. */
const HIDDEN_VALUE_CHARS_MIN = 6;

/** A secret that stands at a wrong key must not be shown as the wrong value; messages show values as JSON. */
function hiderOf(values: readonly string[]): (message: string) => string {
  const long = values.filter((value) => value.length >= HIDDEN_VALUE_CHARS_MIN);
  return createRedactor(long.flatMap((value) => [value, JSON.stringify(value).slice(1, -1)]));
}

/** Only the first, since the others follow from it; without the parser's text, which repeats the source. */
function syntaxProblem(text: string, error: YAMLParseError): Problem {
  const before = text.slice(0, error.pos[0]).split('\n');
  const kind = error.code.toLowerCase().replaceAll('_', ' ');
  return {
    path: `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`,
    message: `not YAML (${kind}); look for a missing quote, bracket or indentation, and quote \${…} inside { }`,
  };
}
