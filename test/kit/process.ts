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
  const texts = { all: '', stdout: '', stderr: '' };
  const watchers = new Set<() => void>();
  let running = true;

  function collect(from: 'stdout' | 'stderr', text: string): void {
    texts.all = (texts.all + text).slice(-OUTPUT_CHARS_MAX);
    texts[from] = (texts[from] + text).slice(-OUTPUT_CHARS_MAX);
    for (const watch of watchers) watch();
  }

  function finished(): void {
    running = false;
    if (child.pid !== undefined) spareProcess(child.pid);
    for (const watch of watchers) watch();
  }

  for (const from of ['stdout', 'stderr'] as const) {
    child[from].setEncoding('utf8').on('data', (text: string) => collect(from, text));
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

  async function waitForOutput(pattern: RegExp, timeoutMs = 20_000): Promise<RegExpExecArray> {
    const complain = (why: string) =>
      new Error(`${why} before ${pattern} was seen in the output of ${command}:\n${texts.all}`);
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const found = pattern.exec(texts.all);
      if (found) return found;
      if (!running) throw complain('it ended');
      const left = deadline - performance.now();
      if (left <= 0) throw complain(`${timeoutMs} ms went by`);
      await news(left);
    }
  }

  /** Resolves with the next output, with the end, or after a time. */
  function news(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        watchers.delete(done);
        resolve();
      };
      const timer = setTimeout(done, timeoutMs);
      watchers.add(done);
    });
  }

  return {
    pid: child.pid ?? -1,
    get output() {
      return texts.all;
    },
    get stdout() {
      return texts.stdout;
    },
    get stderr() {
      return texts.stderr;
    },
    get running() {
      return running;
    },
    exited,
    waitForOutput,
    kill(signal = 'SIGKILL') {
      if (running) child.kill(signal);
    },
    async stop() {
      if (running) child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      return exited.finally(() => clearTimeout(timer));
    },
  };
}
