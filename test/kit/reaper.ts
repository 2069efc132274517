// Decides: who ends the children and removes the files of a test process that was killed before it could.
// Must not know: what they are. Vitest ends its workers by a signal, so that no exit handler runs.
import { spawn } from 'node:child_process';
import type { Writable } from 'node:stream';

/** Runs in a process of its own until its input ends, which it does however the test process ends. */
const PROGRAM = `
const { rmSync } = require('node:fs');
const left = new Set();
const lines = require('node:readline').createInterface({ input: process.stdin });
lines.on('line', (line) => (line[0] === '+' ? left.add(line.slice(1)) : left.delete(line.slice(1))));
lines.on('close', () => {
  for (const [kind, ...rest] of left) {
    if (kind !== 'p') continue;
    try { process.kill(Number(rest.join('')), 'SIGKILL'); } catch {}
  }
  for (const [kind, ...rest] of left) {
    if (kind === 'd') rmSync(rest.join(''), { recursive: true, force: true, maxRetries: 5 });
  }
});
`;

let input: Writable | undefined;

function tell(line: string): void {
  if (input === undefined) {
    const stdio: ['pipe', 'ignore', 'ignore'] = ['pipe', 'ignore', 'ignore'];
    // Detached, so that Ctrl-C in a terminal does not reach it.
    const reaper = spawn(process.execPath, ['-e', PROGRAM], { stdio, detached: true });
    reaper.unref();
    if ('unref' in reaper.stdin && typeof reaper.stdin.unref === 'function') reaper.stdin.unref();
    input = reaper.stdin;
  }
  input.write(`${line}\n`);
}

/** The process is killed when this one ends, unless it was spared before. */
export function entrustProcess(pid: number): void {
  tell(`+p${pid}`);
}

/** To be called when a child has ended: its number may become another's. */
export function spareProcess(pid: number): void {
  tell(`-p${pid}`);
}

/** The directory is removed when this process ends. */
export function entrustDirectory(path: string): void {
  tell(`+d${path}`);
}
