// Decides: how the demo's test finds every process that the demo has started, however far down.
// Must not know: the demo. Environment and directory are inherited, also by what lost its parent.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

const PROC = '/proc';

export interface Marks {
  /** A variable that nobody else has, as `NAME=value`. */
  readonly variable: string;
  /** Redis writes its title over its environment, but works in a directory below this one. */
  readonly directory: string;
}

/** The processes that carry one of the marks. */
export function pidsOf({ variable, directory }: Marks): readonly number[] {
  if (!existsSync(join(PROC, 'self', 'environ'))) return fromPs(variable);
  const isMarked = (pid: string) =>
    read(() => readFileSync(join(PROC, pid, 'environ'), 'utf8'))
      .split('\0')
      .includes(variable) || read(() => readlinkSync(join(PROC, pid, 'cwd'))).startsWith(directory);
  return readdirSync(PROC)
    .filter((name) => /^\d+$/.test(name) && isMarked(name))
    .map(Number);
}

/** Empty for a process that has ended, and for one of somebody else. */
function read(from: () => string): string {
  try {
    return from();
  } catch {
    return '';
  }
}

/** macOS has no /proc; its ps shows the environment after the command. */
function fromPs(variable: string): readonly number[] {
  const lines = execFileSync('ps', ['-A', '-E', '-ww', '-o', 'pid=,command='], { encoding: 'utf8' }).split(
    '\n',
  );
  return lines.filter((line) => line.includes(variable)).map((line) => Number.parseInt(line, 10));
}
