// Decides: what in a source breaks the tables of the rooms.
// Must not know: how sources are found.
import { KNOWLEDGE, ROOMS, TEST_RULES } from './rooms-tables.ts';

export interface Source {
  /** From the root of the repository, such as `packages/shared/src/errors.ts`. */
  readonly path: string;
  readonly text: string;
}

const LINES_MAX = 250;
const TEST_LINES_MAX = 400;
/** Tables of methods are data. */
const UNLIMITED = /^packages\/shared\/src\/protocols\/\w+\.ts$/;

const isTest = (path: string): boolean => /\.test(?:-d)?\.ts$|\/test\//.test(path);

/** What a source breaks, one text for each; empty if nothing. */
export function problemsIn(source: Source): string[] {
  const code = withoutComments(source.text);
  const problems = [...lengthProblems(source)];
  if (isTest(source.path)) problems.push(...found(TEST_RULES, code));
  else if (source.path.startsWith('packages/')) {
    const path = source.path.slice('packages/'.length);
    problems.push(
      ...found(
        KNOWLEDGE.filter(({ rooms }) => !rooms.some((room) => isIn(path, room))),
        code,
      ),
    );
    problems.push(...directionProblems(source.path, code));
    if (!/^(?:#!.*\n)?\/\/ /.test(source.text)) problems.push('does not begin with what it decides');
  }
  return problems;
}

function isIn(path: string, room: string): boolean {
  return room.endsWith('/') ? path.startsWith(room) : path === room;
}

function found(
  rules: readonly { readonly what: string; readonly pattern: RegExp }[],
  code: string,
): string[] {
  return rules.filter(({ pattern }) => pattern.test(code)).map(({ what }) => `has ${what}`);
}

function lengthProblems({ path, text }: Source): string[] {
  const lines = text.trimEnd().split('\n').length;
  const limit = isTest(path) ? TEST_LINES_MAX : LINES_MAX;
  return lines <= limit || UNLIMITED.test(path) ? [] : [`has ${lines} lines, more than ${limit}`];
}

function directionProblems(path: string, code: string): string[] {
  const [, name = '', own = ''] = /^packages\/([^/]+)\/src\/(.+)$/.exec(path) ?? [];
  const rows = ROOMS[name];
  if (rows === undefined) return [`is in a package without rooms: ${name}`];
  const rankOf = (room: string) => rows.findIndex((row) => row.includes(room));
  const from = roomOf(own);
  if (rankOf(from) === -1) return [`is in no room: ${from}`];
  const targets = [...code.matchAll(/(?:from|import|import\()\s*['"](\.{1,2}\/[^'"]+)['"]/g)];
  return targets.flatMap(([, target = '']) => {
    const to = roomOf(new URL(target, `file:///${own}`).pathname.slice(1));
    if (to === from || rankOf(to) > rankOf(from)) return [];
    return [
      rankOf(to) === -1 ? `imports from no room: ${to}` : `imports from ${to}, which is not below ${from}`,
    ];
  });
}

/** The folder, or the file without its ending. */
function roomOf(path: string): string {
  const [first = ''] = path.split('/');
  return first.replace(/\.ts$/, '');
}

/** Comments begin with a slash after white space; a URL's slashes do not. */
export function withoutComments(text: string): string {
  return text
    .replace(/(^|\s)\/\*[\s\S]*?\*\//g, '$1')
    .split('\n')
    .map((line) => line.replace(/(^|\s)\/\/\s.*$/, ''))
    .join('\n');
}
