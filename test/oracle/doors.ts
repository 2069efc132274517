// Decides: how nginx and a replica are configured for the same scenarios, and how each tells which nodes it tried.
// Must not know: what is played.
import diagnostics from 'node:diagnostics_channel';
import fastify from 'fastify';
import { rpcBalancer } from '../../packages/gateway-plugin/src/index.ts';
import type { FakeNode } from '../kit/fake-node.ts';
import { startNginx } from '../kit/nginx.ts';
import { freePort } from '../kit/ports.ts';
import type { Scenario } from './scenario.ts';
import { type Door, TIMEOUT_MS } from './side.ts';

export interface Doors {
  readonly doors: readonly Door[];
  stop(): Promise<void>;
}

/** Longer than any scenario, in seconds. */
const ENDLESS_S = 60;

/** The nodes of a scenario. */
export interface Group {
  readonly scenario: Scenario;
  readonly nodes: readonly FakeNode[];
}

export async function openNginx(groups: readonly Group[]): Promise<Doors> {
  const ports = await Promise.all(groups.map(() => freePort()));
  const servers = groups.map((group, at) => nginxServer(group, ports[at] ?? 0));
  const nginx = await startNginx(servers.join('\n'), ports[0] ?? 0);
  return {
    doors: ports.map((port, at) => ({
      origin: `http://127.0.0.1:${port}`,
      path: '/',
      plain: groups[at]?.scenario.protocol === 'http',
      tried: (headers) => portsIn(String(headers['x-tried'] ?? '')),
    })),
    stop: () => nginx.stop(),
  };
}

function nginxServer({ scenario, nodes }: Group, port: number): string {
  const { retryOn, tries, deadlineMs } = scenario;
  const servers = scenario.nodes.map((node, at) => {
    const flags = `${node.backup ? ' backup' : ''}${node.down ? ' down' : ''}`;
    const failing = `max_fails=${node.maxFails} fail_timeout=${node.failTimeoutS}s`;
    return `server 127.0.0.1:${nodes[at]?.port} weight=${node.weight} ${failing} max_conns=${node.maxConns}${flags};`;
  });
  return `upstream s${port} { ${scenario.strategy === 'least_conn' ? 'least_conn; ' : ''}${servers.join(' ')} keepalive 32; }
server { listen 127.0.0.1:${port}; location / {
  proxy_pass http://s${port}; proxy_http_version 1.1; proxy_set_header Connection "";
  proxy_connect_timeout ${TIMEOUT_MS}ms; proxy_read_timeout ${TIMEOUT_MS}ms; proxy_send_timeout ${TIMEOUT_MS}ms;
  proxy_next_upstream ${retryOn.length > 0 ? retryOn.join(' ') : 'off'};
  proxy_next_upstream_tries ${tries}; proxy_next_upstream_timeout ${deadlineMs}ms;
  add_header X-Tried $upstream_addr always;
} }`;
}

/** Of `127.0.0.1:1, 127.0.0.1:2, name`: the name of the group stands where no upstream was left. */
function portsIn(text: string): number[] {
  return [...text.matchAll(/127\.0\.0\.1:(\d+)/g)].map(([, port]) => Number(port));
}

export async function openReplica(groups: readonly Group[]): Promise<Doors> {
  const app = fastify({ forceCloseConnections: true });
  const networks = Object.fromEntries(groups.map((group, at) => [`s${at}`, networkOf(group)]));
  const watch = watchAttempts();
  await app.register(rpcBalancer, { config: { networks } });
  const origin = await app.listen({ port: 0, host: '127.0.0.1' });
  return {
    doors: groups.map(({ nodes, scenario: { protocol } }, at) => ({
      origin,
      path: protocol === 'http' ? `/s${at}/` : `/s${at}`,
      plain: protocol === 'http',
      tried: () => watch.take(new Set(nodes.map(({ port }) => port))),
    })),
    async stop() {
      watch.stop();
      await app.close();
    },
  };
}

function networkOf({ scenario, nodes }: Group) {
  const { protocol, strategy, retryOn, tries, deadlineMs } = scenario;
  return {
    ...{ protocol, strategy },
    ...({ compat: 'nginx', probe: 'off', connectTimeout: TIMEOUT_MS, readTimeout: TIMEOUT_MS } as const),
    retryOn: retryOn as never[], // words of the schema, which checks them
    ...(tries > 0 && { tries }),
    deadline: deadlineMs > 0 ? deadlineMs : ENDLESS_S * 1000,
    upstreams: scenario.nodes.map(({ weight, maxFails, failTimeoutS, maxConns, backup, down }, at) => ({
      ...{ id: `n${at}`, url: nodes[at]?.url ?? '', weight, maxFails, failTimeout: failTimeoutS * 1000 },
      ...(maxConns > 0 && { maxConns }),
      tier: backup ? ('fallback' as const) : ('local' as const),
      disabled: down,
    })),
  };
}

/** undici tells of each request that it sends and of each connection that it cannot make: in the order of the attempts. */
function watchAttempts() {
  let ports: number[] = [];
  const onSent = (message: unknown) => {
    const { request } = message as { request: { origin: string | URL } }; // as undici documents the channel
    ports.push(Number(new URL(request.origin).port));
  };
  const onRefused = (message: unknown) => {
    const { connectParams } = message as { connectParams: { port: string } }; // as undici documents the channel
    ports.push(Number(connectParams.port));
  };
  diagnostics.subscribe('undici:client:sendHeaders', onSent);
  diagnostics.subscribe('undici:client:connectError', onRefused);
  return {
    /** Those of these ports since they were last taken. */
    take(wanted: ReadonlySet<number>): number[] {
      const taken = ports.filter((port) => wanted.has(port));
      ports = ports.filter((port) => !wanted.has(port));
      return taken;
    },
    stop() {
      diagnostics.unsubscribe('undici:client:sendHeaders', onSent);
      diagnostics.unsubscribe('undici:client:connectError', onRefused);
    },
  };
}
