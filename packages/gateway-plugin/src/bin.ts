#!/usr/bin/env node
// Decides: the program: arguments, listening, signals, exit codes. It is the plugin with `ops: '/'`, and nothing more.
// Must not know: networks, upstreams.
import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { BalancerError, type Config, redactConfig } from '@rpc-balancer/shared';
import fastify, { type FastifyInstance, type FastifyServerOptions, LogController } from 'fastify';
import { answerError } from './guard/answer.ts';
import { loadConfig } from './options.ts';
import { rpcBalancer } from './plugin.ts';
import type { ClientFacts } from './request.ts';

const USAGE = 'usage: rpc-balancer-gateway --config FILE [--port N] [--host H] [--check]';

/** nginx and the common cloud balancers keep idle sockets for 60 s; ours must outlast theirs. */
const KEEP_ALIVE_MS = 65_000;

/** A client that takes longer to send its request is not one of ours (nginx: client_body_timeout 60 s). */
const REQUEST_TIMEOUT_MS = 60_000;

const EXIT = { ok: 0, forced: 1, badConfig: 2 } as const;

/** An id that is safe in a log line and a header; another one is replaced, not refused. */
const REQUEST_ID = /^[\w.:@/+=-]{1,128}$/;

async function main(): Promise<void> {
  const { config: file, port, host, check } = readArguments();
  const config = loadConfig(file);
  if (check) {
    process.stdout.write(`${JSON.stringify(redactConfig(config), null, 2)}\n`);
    return;
  }
  const app = await createApp(config, file);
  stopOnSignals(app);
  await app.listen({ port: port ?? config.gateway.port, host: host ?? config.gateway.host });
}

function readArguments(): { config: string; port?: number; host?: string; check: boolean } {
  const options = {
    config: { type: 'string' },
    port: { type: 'string' },
    host: { type: 'string' },
    check: { type: 'boolean' },
  } as const;
  let values: ReturnType<typeof parseArgs<{ options: typeof options }>>['values'];
  try {
    ({ values } = parseArgs({ options }));
  } catch (cause) {
    throw new BalancerError('RPCB_CONFIG', { detail: `${(cause as Error).message}; ${USAGE}`, cause });
  }
  const { config, host, check = false } = values;
  const port = values.port === undefined ? undefined : Number(values.port);
  if (config === undefined)
    throw new BalancerError('RPCB_CONFIG', { detail: `--config is missing; ${USAGE}` });
  if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port < 65_536)) {
    throw new BalancerError('RPCB_CONFIG', { detail: `--port expects a number from 0 to 65535; ${USAGE}` });
  }
  return { config, check, ...(port !== undefined && { port }), ...(host !== undefined && { host }) };
}

async function createApp(config: Config, file: string): Promise<FastifyInstance> {
  const app = fastify({
    logger: true,
    // Requests are counted; a line for each would cost more than the balancing.
    logController: new LogController({ disableRequestLogging: true }),
    // A child logger for each request costs as much as the pick; a line about a request names it itself.
    childLoggerFactory: (logger) => logger,
    trustProxy: trusted(config.gateway.trustProxy),
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    genReqId: requestIds(),
  });
  const names = Object.keys(config.networks);
  app.setNotFoundHandler((request, reply) => {
    const error = new BalancerError('RPCB_UNKNOWN_NETWORK', {
      detail: `networks are reached at ${names.map((name) => `/${name}`).join(', ')}`,
      details: { networks: names },
    });
    const { status, body } = answerError(error, null, request.id);
    return reply.code(status).header('content-type', 'application/json').send(body);
  });
  await app.register(rpcBalancer, { config: file, ops: '/' });
  return app;
}

/** The client's id where it is safe, else one that is unique over all replicas: chance once, then a count. */
function requestIds(): (request: Pick<ClientFacts, 'headers'>) => string {
  const prefix = randomUUID().slice(0, 18);
  let count = 0;
  return ({ headers }) => {
    const given = headers['x-request-id'];
    return typeof given === 'string' && REQUEST_ID.test(given)
      ? given
      : `${prefix}-${(count++).toString(36)}`;
  };
}

/** A number of proxies as the function that Fastify's types ask for. */
function trusted(
  trustProxy: Config['gateway']['trustProxy'],
): NonNullable<FastifyServerOptions['trustProxy']> {
  if (typeof trustProxy === 'number') return (_address, hop) => hop < trustProxy;
  return trustProxy ?? false;
}

/** The first signal finishes what is in flight, the second ends at once. */
function stopOnSignals(app: FastifyInstance): void {
  let stopping = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stopping) process.exit(EXIT.forced);
      stopping = true;
      app.log.info({ signal }, 'stopping: finishing what is in flight; a second signal ends at once');
      app.close().then(
        () => process.exit(EXIT.ok),
        (error: unknown) => {
          app.log.error({ problem: String(error) }, 'could not stop cleanly');
          process.exit(EXIT.forced);
        },
      );
    });
  }
}

main().catch((error: unknown) => {
  const known = error instanceof BalancerError;
  process.stderr.write(`${known ? error.message : String((error as Error).stack ?? error)}\n`);
  process.exit(known && error.code === 'RPCB_CONFIG' ? EXIT.badConfig : EXIT.forced);
});
