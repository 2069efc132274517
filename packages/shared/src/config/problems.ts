// Decides: how the mistakes of a configuration are told: all at once, each with its path.
// Must not know: what the keys mean.
import type { z } from 'zod';
import { BalancerError } from '../errors.ts';
import { shownKey } from '../redact.ts';

export interface Problem {
  /** Such as `networks.mainnet.upstreams[0].url`; empty for the document itself. */
  readonly path: string;
  readonly message: string;
}

type Issue = z.core.$ZodIssue;

export function problemsOf(issues: readonly Issue[], at: readonly PropertyKey[] = []): Problem[] {
  return issues.flatMap((issue) => {
    const path = [...at, ...issue.path];
    if (issue.code === 'invalid_union') {
      const branches = issue.errors.map((branch) => problemsOf(branch, path));
      // Where no branch says more than that the type is wrong, the union's own message is the better one.
      const telling = branches.findLast((branch) =>
        branch.some((problem) => !/^Invalid /.test(problem.message)),
      );
      if (issue.message === 'Invalid input' && telling) return telling;
    }
    if (issue.code === 'invalid_key') return problemsOf(issue.issues, path);
    return [{ path: pathText(path), message: messageOf(issue) }];
  });
}

/** The words of the schema library for what a reader calls otherwise. */
const NAMES: Readonly<Record<string, string>> = {
  array: 'a list',
  boolean: 'on or off',
  number: 'a number',
  object: 'a section of keys',
  record: 'a section of keys',
  string: 'a text',
};

function messageOf(issue: Issue): string {
  if (issue.code !== 'invalid_type') return issue.message;
  if (!issue.message.startsWith('Invalid input')) return issue.message;
  const expected = NAMES[issue.expected] ?? issue.expected;
  const received = /received (\w+)/.exec(issue.message)?.[1] ?? 'something else';
  if (received === 'undefined') return `expected ${expected}, got nothing; this key is required`;
  const remedy = issue.expected === 'string' && received === 'number' ? '; put it in quotes' : '';
  return `expected ${expected}, got ${NAMES[received] ?? received}${remedy}`;
}

function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`;
    const shown = shownKey(String(key));
    return text === '' ? shown : `${text}.${shown}`;
  }, '');
}

/** The error that a bad configuration throws: code `RPCB_CONFIG`, one line per problem. */
export function configError(problems: readonly Problem[]): BalancerError<{ problems: readonly Problem[] }> {
  const lines = problems.map(({ path, message }) => `  ${path === '' ? '' : `${path}: `}${message}`);
  // One value may break two rules of which the texts are the same.
  const told = [...new Set(lines)];
  return new BalancerError('RPCB_CONFIG', {
    detail: `${told.length} problem${told.length === 1 ? '' : 's'}\n${told.join('\n')}`,
    details: { problems },
  });
}
