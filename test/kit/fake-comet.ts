// Decides: the scripted CometBFT upstream on a real socket: JSON-RPC by POST, and methods as URIs by GET.
// Must not know: anything of ours.
import fastify from 'fastify';
import { type ChainOptions, createChain, type FakeChain } from './fake-chain.ts';
import { COMET_PUSHES, type FakeSockets, type PushMode, serveSockets } from './fake-sockets.ts';

export interface FakeCometOptions extends ChainOptions {
  /** Its chain id. */
  readonly network?: string;
  /** What something in front of it lets through. */
  readonly verbs?: readonly ('GET' | 'POST')[];
  /** The status of what it does not let through; default 405. */
  readonly refusal?: number;
  /** Default `off`. */
  readonly pushMode?: PushMode;
}

export interface FakeComet {
  readonly url: string;
  readonly chain: FakeChain;
  readonly webSockets: FakeSockets;
  /** What it says that it is. */
  network: string;
  catchingUp: boolean;
  /** Verb and path of what it was asked, in order. */
  readonly asked: readonly string[];
  /** Stands in the place of every result while it is not undefined. */
  result: unknown;
  stop(): Promise<void>;
}

export async function startFakeComet(options: FakeCometOptions = {}): Promise<FakeComet> {
  const { network = 'chain-a', verbs = ['GET', 'POST'], refusal = 405 } = options;
  const chain = createChain(options);
  const asked: string[] = [];
  const app = fastify();
  const webSockets = serveSockets(app.server, chain, {
    pushes: COMET_PUSHES,
    mode: options.pushMode ?? 'off',
  });
  const node = {
    ...{ chain, network, asked, webSockets, catchingUp: false, result: undefined as unknown, url: '' },
    stop: () => app.close(),
  };

  function resultOf(method: string): object {
    if (method !== 'status') return { error: { code: -32601, message: 'Method not found' } };
    return { result: node.result === undefined ? statusOf(node) : node.result };
  }

  app.addHook('onRequest', async (request, reply) => {
    asked.push(`${request.method} ${request.url}`);
    if (!verbs.some((verb) => verb === request.method)) await reply.code(refusal).send('not allowed');
  });
  app.post<{ Body: { id: unknown; method: string } }>('/*', async ({ body }) => ({
    ...{ jsonrpc: '2.0', id: body.id },
    ...resultOf(body.method),
  }));
  app.get<{ Params: { '*': string } }>('/*', async ({ params }) => ({
    ...{ jsonrpc: '2.0', id: -1 },
    ...resultOf(params['*'].split('/').at(-1) ?? ''),
  }));
  node.url = await app.listen({ host: '127.0.0.1', port: 0 });
  return node;
}

/** As CometBFT 0.38 writes it: numbers as texts, hashes in upper case without `0x`, times with nanoseconds. */
function statusOf({ chain, network, catchingUp }: Pick<FakeComet, 'chain' | 'network' | 'catchingUp'>) {
  const height = chain.head;
  const seconds = Number(chain.block('latest')?.timestamp);
  return {
    node_info: { network, version: '0.38.19', moniker: 'fake' },
    sync_info: {
      latest_block_hash: chain.hashOf(height).slice(2).toUpperCase(),
      latest_block_height: String(height),
      latest_block_time: `${new Date(seconds * 1000).toISOString().slice(0, -4)}123456789Z`,
      catching_up: catchingUp,
    },
    validator_info: { voting_power: '10' },
  };
}
