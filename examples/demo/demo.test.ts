// Starts the demo as a person would, and looks for what it leaves behind.
import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { inRepo } from '../../test/kit/paths.ts';
import { type StartedProcess, startProcess } from '../../test/kit/process.ts';
import { startRedis } from '../../test/kit/redis.ts';
import { findRedisServer, installRedisServer } from '../../test/kit/redis-binary.ts';
import { waitFor } from '../../test/kit/wait.ts';
import { pidsOf } from './pids-of.ts';

/** Starting and stopping included; the check itself promises 40 s. */
const CHECK_TIMEOUT_MS = 40_000;

/** The program, its nodes, gateways and sidecars; Redis is not recognised everywhere. */
const CLUSTER_PROCESSES = 1 + 3 + 3 + 2;

interface StartedDemo {
  readonly demo: StartedProcess;
  /** The demo and all that it started. */
  processes(): readonly number[];
  /** Files and directories that were made in what the demo takes for the home and the temporary directory. */
  files(): readonly string[];
}

function startDemo(args: readonly string[], env: Record<string, string> = {}): StartedDemo {
  // A short name: a socket's path has room for little more than a hundred characters.
  const directory = mkdtempSync(join(tmpdir(), 'd-'));
  const mark = randomUUID();
  const [home, temporary] = ['home', 'tmp'].map((part) => join(directory, part)) as [string, string];
  for (const path of [home, temporary]) mkdirSync(path);
  const demo = startProcess({
    command: process.execPath,
    args: [inRepo('examples', 'demo', 'demo.ts'), ...args],
    env: { REDIS_URL: '', ...env, HOME: home, TMPDIR: temporary, DEMO_TEST: mark },
  });
  onTestFinished(async () => {
    await demo.stop();
    rmSync(directory, { recursive: true, force: true });
  });
  return {
    demo,
    processes: () => pidsOf({ variable: `DEMO_TEST=${mark}`, directory }),
    files: () => [home, temporary].flatMap((path) => readdirSync(path, { recursive: true }).map(String)),
  };
}

async function expectNothingLeft({ processes, files }: StartedDemo): Promise<void> {
  // What the demo could not end itself is gone a moment later.
  await waitFor(() => processes().length === 0, { what: 'the demo to leave no process behind' });
  expect(files()).toEqual([]);
}

async function needRedisServer(): Promise<void> {
  if (findRedisServer() === null) await installRedisServer();
}

test('the check of a cluster loses a node and a publisher under load, and no read', async () => {
  await needRedisServer();
  const started = startDemo(['--check']);
  const { demo } = started;
  await demo.waitForOutput(/killed node-b/, CHECK_TIMEOUT_MS);
  // The search finds what it has to find; one node is gone.
  expect(started.processes().length).toBeGreaterThanOrEqual(CLUSTER_PROCESSES - 1);
  const { code } = await demo.exited;

  expect(code, demo.output).toBe(0);
  expect(demo.stdout).toMatch(/3 gateways and 2 sidecars on a Redis of its own/);
  expect(demo.stdout).toMatch(/node-b was left by every gateway after \d+ ms/);
  const before = /publisher before: (sidecar-\d), epoch (\d+)/.exec(demo.stdout);
  const after = /publisher after: (sidecar-\d), epoch (\d+)/.exec(demo.stdout);
  expect(after?.[1]).not.toBe(before?.[1]);
  expect(Number(after?.[2])).toBeGreaterThan(Number(before?.[2]));
  expect(demo.stdout).toMatch(/take-over time: \d+ ms/);
  expect(demo.stdout).toMatch(/reads: \d{3,}, failed: 0, worst latency: \d+ ms/);
  expect(demo.stdout).toMatch(/reasons seen for node-b: .*(ejected|unreachable)/);
  expect(demo.stdout).toMatch(/check passed/);
  await expectNothingLeft(started);
});

test('the check of one embedded gateway loses a node and no read', async () => {
  const started = startDemo(['--check', '--embedded']);
  const { demo } = started;
  await demo.waitForOutput(/killed node-b/, CHECK_TIMEOUT_MS);
  const { code } = await demo.exited;

  expect(code, demo.output).toBe(0);
  expect(demo.stdout).toMatch(/one embedded gateway/);
  expect(demo.stdout).toMatch(/node-b was left by every gateway after \d+ ms/);
  expect(demo.stdout).toMatch(/no sidecar is killed/);
  expect(demo.stdout).toMatch(/reads: \d{3,}, failed: 0/);
  await expectNothingLeft(started);
});

test('the demo shows its nodes as lines in a pipe, and Ctrl-C leaves nothing behind', async () => {
  await needRedisServer();
  const started = startDemo([]);
  const { demo } = started;
  await demo.waitForOutput(/node-c {2}state eligible .*requests [1-9]/, CHECK_TIMEOUT_MS);
  expect(demo.stdout).toMatch(/publisher: sidecar-\d, epoch \d+/);
  expect(started.processes().length).toBeGreaterThanOrEqual(CLUSTER_PROCESSES);
  demo.kill('SIGINT');
  const { code } = await demo.exited;

  expect(code, demo.output).toBe(0);
  expect(demo.stdout).not.toContain('\u001b');
  await expectNothingLeft(started);
});

test('the demo leaves no key in the Redis that REDIS_URL names', async () => {
  const redis = await startRedis();
  onTestFinished(() => redis.stop());
  const started = startDemo([], { REDIS_URL: redis.url });
  const { demo } = started;
  await demo.waitForOutput(/publisher: sidecar-\d/, CHECK_TIMEOUT_MS);
  expect(demo.stdout).toMatch(/on the Redis of REDIS_URL/);
  expect(await redis.cli('dbsize')).toBeGreaterThan(0);
  demo.kill('SIGTERM');
  const { code } = await demo.exited;

  expect(code, demo.output).toBe(0);
  expect(await redis.cli('dbsize')).toBe(0);
  await expectNothingLeft(started);
});

test('a signal while the demo starts leaves nothing behind', async () => {
  const started = startDemo(['--embedded']);
  const { demo } = started;
  await demo.waitForOutput(/starting/);
  await waitFor(() => started.processes().length > 1, { what: 'the first child of the demo' });
  demo.kill('SIGTERM');
  await demo.exited;

  await expectNothingLeft(started);
});

test('a demo that is killed leaves nothing behind', async () => {
  const started = startDemo(['--embedded']);
  const { demo } = started;
  await demo.waitForOutput(/node-c {2}state/, CHECK_TIMEOUT_MS);
  demo.kill('SIGKILL');
  await demo.exited;

  await expectNothingLeft(started);
});

test('a Redis that is not there ends the demo with a plain word and leaves nothing behind', async () => {
  const started = startDemo([], { REDIS_URL: 'redis://:hidden-password@127.0.0.1:1' });
  const { code } = await started.demo.exited;

  expect(code).toBe(1);
  expect(started.demo.stderr).toMatch(/the Redis of REDIS_URL cannot be used; start it, or unset REDIS_URL/);
  expect(started.demo.output).not.toContain('hidden-password');
  await expectNothingLeft(started);
});
