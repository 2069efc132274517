// Decides: who is compared, and how each is started in front of the same nodes.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { startGateway } from '../kit/gateway.ts';
import { findNginx, startNginx } from '../kit/nginx.ts';
import { freePort } from '../kit/ports.ts';

export interface Contender {
  readonly name: string;
  readonly pid: number;
  readonly url: string;
  stop(): Promise<void>;
}

interface Child {
  readonly pid: number;
  readonly ports: readonly number[];
  stop(): Promise<void>;
}

const SERVERS = join(import.meta.dirname, 'servers.ts');

export async function startNodes(): Promise<Child> {
  return startServer('nodes');
}

export async function startContenders(
  nodes: readonly number[],
  profile: boolean,
): Promise<readonly Contender[]> {
  const origins = nodes.map((port) => `http://127.0.0.1:${port}`);
  const contenders = [
    await ours(origins, profile),
    await startHttpProxy(origins),
    await server('constant', []),
  ];
  const nginx = await startNginxLeastConn(nodes);
  return nginx ? [...contenders, nginx] : contenders;
}

async function ours(origins: readonly string[], profile: boolean): Promise<Contender> {
  const upstreams = origins.map((url, at) => ({ id: `node-${at}`, url }));
  // Without probes: the price of a request is compared, and the others do not probe.
  const gateway = await startGateway({
    config: { networks: { bench: { probe: 'off', upstreams } } },
    ...(profile && { env: { NODE_OPTIONS: '--cpu-prof --cpu-prof-dir=.tmp/profile' } }),
  });
  return {
    name: 'rpc-balancer',
    pid: gateway.process.pid,
    url: `${gateway.url}/bench`,
    stop: async () => void (await gateway.stop()),
  };
}

export function startHttpProxy(origins: readonly string[]): Promise<Contender> {
  return server('http-proxy', origins);
}

async function server(kind: 'http-proxy' | 'constant', origins: readonly string[]): Promise<Contender> {
  const { pid, ports, stop } = await startServer(kind, ...origins);
  return {
    name: kind === 'constant' ? 'constant route' : '@fastify/http-proxy',
    pid,
    url: `http://127.0.0.1:${ports[0]}/`,
    stop,
  };
}

async function startServer(...args: readonly string[]): Promise<Child> {
  const child = spawn(process.execPath, [SERVERS, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const [line] = await new Promise<string[]>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', (text) => resolve([text]));
    child.once('exit', (code) => reject(new Error(`${args[0]} ended with ${code} before it listened`)));
  });
  const { ports } = JSON.parse(line ?? '') as { ports: number[] };
  return {
    pid: child.pid ?? 0,
    ports,
    async stop() {
      child.kill();
      await exited;
    },
  };
}

/** nginx as one process, so that its CPU time is that of one pid; null when it is not on PATH. */
export async function startNginxLeastConn(nodes: readonly number[]): Promise<Contender | null> {
  if (findNginx() === null) return null;
  const port = await freePort();
  const { pid, stop } = await startNginx(
    `upstream nodes { least_conn; keepalive 100; ${nodes.map((node) => `server 127.0.0.1:${node};`).join(' ')} }
  server {
    listen 127.0.0.1:${port}; keepalive_requests 1000000;
    location / { proxy_pass http://nodes; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }`,
    port,
  );
  return { name: 'nginx least_conn', pid, url: `http://127.0.0.1:${port}/`, stop };
}
