// Decides: how a test starts a program, reads its output and ends it.
// Must not know: which program. Children are ended by their pid, never by a name.
import { spawn } from 'node:child_process';
import { entrustProcess, spareProcess } from './reaper.ts';

/** Longest output kept per child; the oldest characters go first. */
const OUTPUT_CHARS_MAX = 2_000_000;

/** A child that does not stop on SIGTERM within this time is killed. */
const STOP_MS = 40_000;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface StartedProcess {
  readonly pid: number;
  /** stdout and stderr in the order of arrival. */
  readonly output: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly exited: Promise<Exit>;
  readonly running: boolean;
  /** Rejects, with the output, when the child ends first or the time is over. */
  waitForOutput(pattern: RegExp, timeoutMs?: number): Promise<RegExpExecArray>;
  kill(signal?: NodeJS.Signals): void;
  /** SIGTERM, then SIGKILL if that does not help; waits for the end. */
  stop(): Promise<Exit>;
}

export interface ProcessOptions {
  readonly command: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
}

export function startProcess({ command, args = [], env = {}, cwd }: ProcessOptions): StartedProcess {
  const child = spawn(command, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd === undefined ? {} : { cwd }),
  });
  if (child.pid !== undefined) entrustProcess(child.pid);
  const output = new Output(command);
  for (const from of ['stdout', 'stderr'] as const) {
    child[from].setEncoding('utf8').on('data', (text: string) => output.add(from, text));
  }

  function finished(): void {
    if (child.pid !== undefined) spareProcess(child.pid);
    output.end();
  }

  const exited = new Promise<Exit>((resolve, reject) => {
    // `close` comes after the last output, `exit` may come before it.
    child.once('close', (code, signal) => {
      finished();
      resolve({ code, signal });
    });
    child.once('error', (error) => {
      finished();
      reject(error);
    });
  });
  exited.catch(() => {}); // Whoever awaits it hears of it.

  return {
    pid: child.pid ?? -1,
    get output() {
      return output.all;
    },
    get stdout() {
      return output.stdout;
    },
    get stderr() {
      return output.stderr;
    },
    get running() {
      return !output.ended;
    },
    exited,
    waitForOutput: (pattern, timeoutMs) => output.waitFor(pattern, timeoutMs),
    kill(signal = 'SIGKILL') {
      if (!output.ended) child.kill(signal);
    },
    async stop() {
      if (!output.ended) child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      return exited.finally(() => clearTimeout(timer));
    },
  };
}

/** What one child writes, for those who read it later and those who wait for it. */
class Output {
  all = '';
  stdout = '';
  stderr = '';
  /** The child has ended: no more will come. */
  ended = false;
  readonly #command: string;
  readonly #watchers = new Set<() => void>();

  constructor(command: string) {
    this.#command = command;
  }

  add(from: 'stdout' | 'stderr', text: string): void {
    this.all = (this.all + text).slice(-OUTPUT_CHARS_MAX);
    this[from] = (this[from] + text).slice(-OUTPUT_CHARS_MAX);
    for (const watch of this.#watchers) watch();
  }

  end(): void {
    this.ended = true;
    for (const watch of this.#watchers) watch();
  }

  async waitFor(pattern: RegExp, timeoutMs = 20_000): Promise<RegExpExecArray> {
    const complain = (why: string) =>
      new Error(`${why} before ${pattern} was seen in the output of ${this.#command}:\n${this.all}`);
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const found = pattern.exec(this.all);
      if (found) return found;
      if (this.ended) throw complain('it ended');
      const left = deadline - performance.now();
      if (left <= 0) throw complain(`${timeoutMs} ms went by`);
      await this.#news(left);
    }
  }

  /** Resolves with the next output, with the end, or after a time. */
  #news(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#watchers.delete(done);
        resolve();
      };
      const timer = setTimeout(done, timeoutMs);
      this.#watchers.add(done);
    });
  }
}
