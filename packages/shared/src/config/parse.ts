// Decides: how a text or an object becomes a Config, or one error with every problem.
// Must not know: files, environment, processes.
import { parseDocument, type YAMLParseError } from 'yaml';
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
  const document = parseDocument(text, { prettyErrors: false, logLevel: 'silent' });
  const [syntax] = document.errors;
  if (syntax) throw configError([syntaxProblem(text, syntax)]);
  const unexpanded = expand(document, sources, text);
  if (unexpanded.length > 0) throw configError(unexpanded);
  return validateConfig(document.toJS());
}

/**
 * Checks an object, such as one written in TypeScript.
 * @throws BalancerError `RPCB_CONFIG` with every problem at once.
 */
export function validateConfig(input: ConfigInput | unknown): Config {
  const result = configSchema.safeParse(input ?? {});
  if (!result.success) throw configError(problemsOf(result.error.issues));
  return result.data;
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
