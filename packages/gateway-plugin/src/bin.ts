#!/usr/bin/env node
// Decides: the program: arguments, listening, signals, exit codes. It is the plugin with `ops: '/'`, and nothing more.
// Must not know: networks, upstreams.
import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import {
  askHealth,
  BalancerError,
  type Config,
  type DrainCommand,
  readDrainCommand,
  redactConfig,
} from '@rpc-balancer/shared';
import fastify, { type FastifyInstance, type FastifyServerOptions, LogController } from 'fastify';
import { type DrainVerb, runDrain } from './drain-command.ts';
import { answerError } from './guard/answer.ts';
import { loadConfig } from './options.ts';
import { rpcBalancer } from './plugin.ts';
import type { ClientFacts } from './request.ts';

const USAGE = `usage: rpc-balancer-gateway --config FILE [--port N] [--host H] [--check]
       rpc-balancer-gateway health --config FILE [--port N] [--host H]
       rpc-balancer-gateway drain|undrain NETWORK UPSTREAM --config FILE [--by NAME] [--reason TEXT]`;

/** nginx and the common cloud balancers keep idle sockets for 60 s; ours must outlast theirs. */
const KEEP_ALIVE_MS = 65_000;

/** A client that takes longer to send its request is not one of ours (nginx: client_body_timeout 60 s). */
const REQUEST_TIMEOUT_MS = 60_000;

const EXIT = { ok: 0, forced: 1, badConfig: 2 } as const;

/** An id that is safe in a log line and a header; another one is replaced, not refused. */
const REQUEST_ID = /^[\w.:@/+=-]{1,128}$/;

/** `health` asks the gateway that runs there instead of being one. */
const ASKS_HEALTH = process.argv[2] === 'health';

interface Arguments {
  readonly config: string;
  readonly port?: number;
  readonly host?: string;
  readonly check: boolean;
  readonly task: { readonly verb: DrainVerb; readonly command: DrainCommand } | null;
}

async function main(): Promise<void> {
  const { config: file, port, host, check, task } = readArguments();
  const read = loadConfig(file);
  const config = {
    ...read,
    gateway: { ...read.gateway, ...(port !== undefined && { port }), ...(host && { host }) },
  };
  if (check) {
    process.stdout.write(`${JSON.stringify(redactConfig(read), null, 2)}\n`);
  } else if (ASKS_HEALTH) {
    const problem = await askHealth(config.gateway);
    process[problem === null ? 'stdout' : 'stderr'].write(`${problem ?? 'ok'}\n`);
    process.exitCode = problem === null ? EXIT.ok : EXIT.forced;
  } else if (task) {
    const answer = await runDrain({ ...task, config, now: Date.now, random: Math.random });
    process.stdout.write(`${JSON.stringify(answer, null, 2)}\n`);
  } else {
    const app = await createApp(config, file);
    followSignals(app);
    await app.listen({ port: config.gateway.port, host: config.gateway.host });
  }
}

function readArguments(): Arguments {
  const text = { type: 'string' } as const;
  const options = {
    config: text,
    port: text,
    host: text,
    by: text,
    reason: text,
    check: { type: 'boolean' },
  } as const;
  let parsed: ReturnType<typeof parseArgs<{ options: typeof options; allowPositionals: true }>>;
  try {
    parsed = parseArgs({ options, allowPositionals: true });
  } catch (cause) {
    throw misused((cause as Error).message, cause);
  }
  const { config, host, check = false, by, reason } = parsed.values;
  const port = parsed.values.port === undefined ? undefined : Number(parsed.values.port);
  if (config === undefined) throw misused('--config is missing');
  if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port < 65_536))
    throw misused('--port expects a number from 0 to 65535');
  const task = readTask(parsed.positionals, { by: by ?? process.env.USER, reason });
  return { config, check, task, ...(port !== undefined && { port }), ...(host !== undefined && { host }) };
}

/** `drain NETWORK UPSTREAM`, or nothing. */
function readTask(
  [verb, network, upstream, ...others]: readonly string[],
  note: { readonly by: string | undefined; readonly reason: string | undefined },
): Arguments['task'] {
  if (verb === undefined && note.reason !== undefined) throw misused('--reason goes with drain and undrain');
  if (verb === undefined || (ASKS_HEALTH && network === undefined)) return null;
  if ((verb !== 'drain' && verb !== 'undrain') || others.length > 0)
    throw misused(`unknown argument "${others[0] ?? verb}"`);
  const command = readDrainCommand({ network, upstream, ...note });
  if ('invalid' in command) throw misused(`${verb} NETWORK UPSTREAM: ${command.invalid}`);
  return { verb, command };
}

function misused(detail: string, cause?: unknown): BalancerError {
  return new BalancerError('RPCB_CONFIG', { detail: `${detail}; ${USAGE}`, cause });
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
    // What comes over a connection that was open when the stop began is answered, and the connection ends with that.
    return503OnClosing: false,
    genReqId: requestIds(),
  });
  app.setNotFoundHandler((request, reply) => {
    const names = Object.keys(app.rpcBalancer.status().networks);
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

/** SIGHUP reads the configuration again. The first of the others finishes what is in flight, the second ends at once. */
function followSignals(app: FastifyInstance): void {
  let stopping = false;
  process.on('SIGHUP', () => {
    if (app.rpcBalancer.reload() === 'unchanged') app.log.info({}, 'SIGHUP: the configuration is unchanged');
  });
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
  // Container engines know only 0 and 1 of a health command.
  process.exit(known && error.code === 'RPCB_CONFIG' && !ASKS_HEALTH ? EXIT.badConfig : EXIT.forced);
});
