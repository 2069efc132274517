// Decides: how system tests start real programs, which end with the test that started them.
// Must not know: what a test wants of them.
import { onTestFinished } from 'vitest';
import { type FakeNode, type FakeNodeOptions, startFakeNode } from '../kit/fake-node.ts';
import { type Gateway, type GatewayOptions, startGateway } from '../kit/gateway.ts';
import { inRepo } from '../kit/paths.ts';
import { type Exit, startProcess } from '../kit/process.ts';
import type { Program } from '../kit/program.ts';
import { type RedisOptions, type RedisServer, startRedis } from '../kit/redis.ts';
import { type Sidecar, type SidecarOptions, startSidecarProcess } from '../kit/sidecar.ts';

/** Often, so that a test waits for no interval; patient, so that a busy machine makes no node look dead. */
export const PROBE = { interval: '200ms', timeout: '3s', attempts: 1 } as const;

export const isLong = process.env.RPCB_LONG === '1';

export async function redisServer(options: RedisOptions = {}): Promise<RedisServer> {
  const redis = await startRedis(options);
  onTestFinished(() => redis.stop());
  return redis;
}

export async function fakeNode(options: FakeNodeOptions = {}): Promise<FakeNode> {
  const node = await startFakeNode(options);
  onTestFinished(() => node.stop());
  return node;
}

export async function gateway(options: GatewayOptions): Promise<Gateway> {
  return endsWithTest(await startGateway(options));
}

export async function sidecar(options: SidecarOptions): Promise<Sidecar> {
  return endsWithTest(await startSidecarProcess(options));
}

function endsWithTest<Started extends Program>(program: Started): Started {
  onTestFinished(async () => {
    program.process.kill('SIGCONT'); // A stopped process would keep its sockets until it is woken.
    await program.kill();
  });
  return program;
}

/** Where the programs begin. */
export const MAINS = {
  gateway: inRepo('packages', 'gateway-plugin', 'src', 'bin.ts'),
  sidecar: inRepo('packages', 'health-sidecar', 'src', 'main.ts'),
} as const;

export interface Ran extends Exit {
  readonly output: string;
}

/** A program with these arguments, to its end. */
export async function run(
  program: keyof typeof MAINS,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ran> {
  const started = startProcess({ command: process.execPath, args: [MAINS[program], ...args], env });
  const exit = await started.exited;
  return { ...exit, output: started.output };
}

/** Posts a body as it is; the answer in full. */
export async function post(url: string, body: string): Promise<{ statusCode: number; text: string }> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  });
  return { statusCode: response.status, text: await response.text() };
}

export function callText(method: string, params: readonly unknown[] = []): string {
  return JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
}
