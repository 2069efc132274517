// Decides: how a test gets a gateway in its own process: real Fastify on a port of the system's choice, FakeNodes behind it.
// Must not know: what is asserted. All of it is closed when the test ends.
import type { Readable } from 'node:stream';
import type { ConfigInput } from '@rpc-balancer/shared';
import fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify';
import { Agent, type Dispatcher } from 'undici';
import { onTestFinished } from 'vitest';
import { type FakeNode, type FakeNodeOptions, startFakeNode } from '../../../test/kit/fake-node.ts';
import { type WaitOptions, waitFor } from '../../../test/kit/wait.ts';
import { type RpcBalancerOptions, rpcBalancer, type UpstreamStatus } from '../src/index.ts';

type NetworkInput = ConfigInput['networks'][string];
type UpstreamInput = NetworkInput['upstreams'][number];

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** The body as JSON; its shape is the test's business. */
  // biome-ignore lint/suspicious/noExplicitAny: answers are checked by the assertions themselves
  readonly json: any;
}

export interface Client {
  /** POST of a JSON body to a path; other verbs and headers on demand. */
  send(path: string, body: string | Buffer | Readable | null, options?: SendOptions): Promise<HttpAnswer>;
  /** A single call to the network `net`. */
  call(method: string, params?: readonly unknown[], id?: number | string): Promise<HttpAnswer>;
}

export interface SendOptions {
  readonly verb?: Dispatcher.HttpMethod;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Speaks to an address without touching the path. */
export function clientOf(origin: string, prefix = ''): Client {
  const agent = new Agent({ connections: 256 });
  onTestFinished(() => agent.destroy());
  async function send(path: string, body: string | Buffer | Readable | null, options: SendOptions = {}) {
    const { verb = 'POST', headers = { 'content-type': 'application/json' } } = options;
    const response = await agent.request({ origin, path, method: verb, headers, body });
    const text = await response.body.text();
    return {
      status: response.statusCode,
      headers: response.headers,
      text,
      get json() {
        return JSON.parse(text);
      },
    };
  }
  return {
    send,
    call: (method, params = [], id = 1) =>
      send(`${prefix}/net`, JSON.stringify({ jsonrpc: '2.0', id, method, params })),
  };
}

/** Node `a`, `b`, `c` … with these scripts. */
export async function startNodes(...scripts: readonly FakeNodeOptions[]): Promise<FakeNode[]> {
  return Promise.all(
    scripts.map(async (script) => {
      const node = await startFakeNode(script);
      onTestFinished(() => node.stop());
      return node;
    }),
  );
}

export interface FrontOptions {
  readonly network?: Partial<Omit<NetworkInput, 'upstreams'>>;
  /** Settings of each upstream, by position. */
  readonly upstreams?: readonly Partial<UpstreamInput>[];
  readonly gateway?: ConfigInput['gateway'];
  /** Makes it a replica of a cluster; without probes nobody publishes. */
  readonly redis?: ConfigInput['redis'];
  readonly plugin?: Partial<RpcBalancerOptions>;
  readonly server?: FastifyServerOptions;
  /** What a host does before it registers the plugin. */
  readonly prepare?: (app: FastifyInstance) => void;
}

export interface Front extends Client {
  readonly app: FastifyInstance;
  readonly origin: string;
  upstream(id: string): UpstreamStatus;
  /** Waits until an upstream has this reason, or none. */
  reason(id: string, reason: UpstreamStatus['reason'], options?: Partial<WaitOptions>): Promise<unknown>;
}

/** A configuration of the network `net` over the nodes; without probes, so that only the test's own calls arrive. */
export function configOf(nodes: readonly Pick<FakeNode, 'url'>[], options: FrontOptions = {}): ConfigInput {
  return {
    gateway: options.gateway ?? {},
    ...(options.redis && { redis: options.redis }),
    networks: {
      net: {
        probe: 'off',
        ...(options.network?.protocol !== 'http' && { identity: '1' }), // Plain HTTP has none.
        ...options.network,
        upstreams: nodes.map((node, at) => ({
          id: String.fromCharCode(97 + at),
          url: node.url,
          ...options.upstreams?.[at],
        })),
      },
    },
  };
}

/** The network `net` over the nodes. */
export async function startFront(
  nodes: readonly Pick<FakeNode, 'url'>[],
  options: FrontOptions = {},
): Promise<Front> {
  const app = fastify(options.server ?? {});
  options.prepare?.(app);
  await app.register(rpcBalancer, { config: configOf(nodes, options), ...options.plugin });
  const origin = await listen(app);

  function upstream(id: string): UpstreamStatus {
    const found = app.rpcBalancer.status().networks.net?.upstreams.find((one) => one.id === id);
    if (!found) throw new Error(`there is no upstream ${id}`);
    return found;
  }
  return {
    ...clientOf(origin, options.plugin?.prefix),
    app,
    origin,
    upstream,
    reason: (id, reason, waiting) =>
      waitFor(() => upstream(id).reason === reason, {
        what: `${id} to be ${reason}`,
        everyMs: 5,
        ...waiting,
      }),
  };
}

export async function listen(app: FastifyInstance): Promise<string> {
  onTestFinished(() => app.close());
  return app.listen({ port: 0, host: '127.0.0.1' });
}
