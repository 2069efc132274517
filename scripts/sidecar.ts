// Decides: on which runtime `pnpm sidecar` starts the sidecar from its sources.
// Must not know: the sidecar's arguments, which it hands on.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The files may lie anywhere, and Deno counts what is said to a Redis behind a unix socket as writing. docs/deploy.md has less. */
const FILES = ['--allow-read', '--allow-write'];
const ALLOWED = ['--no-prompt', '--allow-net', '--allow-env', '--allow-sys=hostname', ...FILES];

/** Binary and leading arguments. Deno's entry in `.bin` is a wrapper that keeps signals to itself. */
const RUNTIMES = {
  bun: ['.bin/bun', []],
  deno: ['deno/deno', ['run', '--quiet', '--node-modules-dir=manual', ...ALLOWED]],
  node: ['.bin/node', []],
} as const;

/** A terminal's Ctrl-C may arrive twice, through the shell and through pnpm; the sidecar takes a second one for a force. */
const SAME_SIGNAL_MS = 100;

const root = fileURLToPath(new URL('..', import.meta.url));
const { runtime, rest } = readRuntime(process.argv.slice(2));
const [program, leading] = RUNTIMES[runtime];
const main = fileURLToPath(new URL('../packages/health-sidecar/src/main.ts', import.meta.url));

// In a process group of its own, so that a terminal's signals reach it through us and only once.
const child = spawn(`${root}node_modules/${program}`, [...leading, main, ...rest], {
  stdio: 'inherit',
  detached: true,
});

let forwardedAt = Number.NEGATIVE_INFINITY;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (performance.now() - forwardedAt < SAME_SIGNAL_MS) return;
    forwardedAt = performance.now();
    child.kill(signal);
  });
}
child.on('error', (error) => {
  process.stderr.write(`cannot start ${runtime}: ${error.message}; run pnpm install\n`);
  process.exitCode = 1;
});
child.on('exit', (code) => {
  process.exitCode = code ?? 1;
});

function readRuntime(args: readonly string[]): { runtime: keyof typeof RUNTIMES; rest: readonly string[] } {
  const given = args[0] === '--' ? args.slice(1) : args; // pnpm hands a separating -- on.
  const at = given.findIndex((arg) => arg === '--runtime' || arg.startsWith('--runtime='));
  if (at === -1) return { runtime: 'bun', rest: given };
  const inline = given[at]?.split('=')[1];
  const name = inline ?? given[at + 1] ?? '';
  const rest = given.filter((_, index) => index !== at && (inline !== undefined || index !== at + 1));
  if (isRuntime(name)) return { runtime: name, rest };
  process.stderr.write(`--runtime: expected ${Object.keys(RUNTIMES).join(', ')}\n`);
  return process.exit(2);
}

function isRuntime(name: string): name is keyof typeof RUNTIMES {
  return Object.hasOwn(RUNTIMES, name);
}
