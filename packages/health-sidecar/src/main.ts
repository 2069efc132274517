#!/usr/bin/env node
// Decides: what the program `rpc-balancer-sidecar` does with its arguments, its configuration and its signals.
// Must not know: probing, leases, Redis commands; `sidecar.ts` starts those.
import { parseArgs } from 'node:util';
import {
  askHealth,
  BalancerError,
  type Config,
  createLiveRedactor,
  createRedisStore,
  type FixedKeys,
  foreignText,
  type Log,
  parseConfig,
  redactConfig,
  type Store,
  startReloader,
  systemResolver,
} from '@rpc-balancer/shared';
import { pino } from 'pino';
import {
  args,
  env,
  errorText,
  exit,
  instanceName,
  monotonicNow,
  onReloadSignal,
  onStopSignal,
  print,
  printError,
  readFile,
  runtimeName,
} from './runtime.ts';
import { startSidecar } from './sidecar.ts';
import { createHandler, listen } from './status.ts';
import { VERSION } from './version.ts';

const USAGE = `usage: rpc-balancer-sidecar --config FILE [--port N] [--host H] [--check]
       rpc-balancer-sidecar health --config FILE | --port N [--host H]
`;

/** `health` asks the sidecar that runs there instead of being one. */
const asksHealth = args[0] === 'health';
const LOOPBACK = '127.0.0.1';

/** As shells and supervisors read them: 1 it failed or was forced, 2 it was asked for something that cannot be. */
const EXIT = { done: 0, failed: 1, misused: 2 } as const;

/** What a running sidecar cannot change: its store, its socket, the leases that it holds. */
const FIXED: FixedKeys = { redis: null, gateway: [], sidecar: ['host', 'port', 'leaseTtl'] };

function refuse(text: string): never {
  printError(text);
  // Container engines know only 0 and 1 of a health command.
  return exit(asksHealth ? EXIT.failed : EXIT.misused);
}

function readArgs() {
  const string = { type: 'string' } as const;
  const boolean = { type: 'boolean' } as const;
  const options = { config: string, port: string, host: string, check: boolean, help: boolean };
  try {
    const { values } = parseArgs({ args: args.slice(asksHealth ? 1 : 0), options, strict: true });
    if (values.help) {
      print(USAGE);
      return exit(EXIT.done);
    }
    const port = values.port === undefined ? undefined : Number(values.port);
    if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= 65_535)) {
      return refuse(`--port: expected a number from 0 to 65535\n${USAGE}`);
    }
    return { file: values.config, port, host: values.host, check: values.check === true };
  } catch (error) {
    return refuse(`${errorText(error)}\n${USAGE}`);
  }
}

function readConfig(file: string): Config {
  try {
    return parseConfig(readFile(file), { env, readFile });
  } catch (error) {
    if (error instanceof BalancerError) return refuse(`${file}: ${error.message}\n`);
    return refuse(`${file}: cannot be read (${foreignText(errorText(error))})\n`);
  }
}

/** Ends with 0 when the sidecar that runs there answers. */
async function health({ file, host, port }: ReturnType<typeof readArgs>): Promise<never> {
  const listening = file === undefined ? null : readConfig(file).sidecar;
  const at = port ?? listening?.port;
  if (at === undefined) return refuse(`health: --config or --port is missing\n${USAGE}`);
  const problem = await askHealth({ host: host ?? listening?.host ?? LOOPBACK, port: at });
  if (problem !== null) return refuse(`${problem}\n`);
  print('ok\n');
  return exit(EXIT.done);
}

async function main(): Promise<void> {
  const options = readArgs();
  if (asksHealth) return health(options);
  const { file } = options;
  if (file === undefined) return refuse(`--config is missing\n${USAGE}`);
  const config = readConfig(file);
  if (options.check) {
    print(`${JSON.stringify(redactConfig(config), null, 2)}\n`);
    return exit(EXIT.done);
  }
  const { redis } = config;
  if (redis === undefined) {
    return refuse(
      `${file}: there is no redis section, and without Redis there is nobody to publish to. One gateway without Redis (embedded mode) needs no sidecar: it probes by itself. For several gateways add redis: { url: … }.\n`,
    );
  }
  const random = Math.random;
  const instance = instanceName(random);
  const { redact, renew } = createLiveRedactor(config);
  const log = pino({ base: { instance }, timestamp: pino.stdTimeFunctions.isoTime });
  const now = monotonicNow;
  const store = createRedisStore({ redis, prefix: redis.prefix, clusterId: redis.clusterId, random, now });
  logHealth(store, log);
  const sidecar = startSidecar({
    ...{ config, store, instance, now, random, log, redact },
    resolver: systemResolver,
  });
  const reloader = startReloader({
    ...{ file, config, fixed: FIXED, log },
    read: readFile,
    parse: (text) => parseConfig(text, { env, readFile }),
    apply(next) {
      renew(next);
      sidecar.reload(next);
    },
    onResult: (result) => sidecar.onReload(result),
  });
  onReloadSignal(() => reloader.reload());

  const host = options.host ?? config.sidecar.host;
  const port = options.port ?? config.sidecar.port;
  const server = await listen(createHandler(sidecar, now), { host, port }).catch((error) => {
    log.error(
      { problem: redact(errorText(error)) },
      `cannot listen on ${host}, port ${port}; choose another with --port`,
    );
    return null;
  });
  if (server) log.info({ version: VERSION, runtime: runtimeName }, `listening on ${server.url}`);

  let stopping = false;
  async function stop(code: number): Promise<void> {
    stopping = true;
    reloader.stop();
    // The lease first: another sidecar may take over while we close the rest.
    await sidecar.stop();
    await Promise.all([server?.close(), store.close()]);
    log.info({}, 'stopped');
    exit(code);
  }
  onStopSignal((signal) => {
    log.info({ signal }, stopping ? 'stops at once' : 'stops; a second signal ends it at once');
    if (stopping) exit(EXIT.failed);
    void stop(EXIT.done);
  });
  if (server === null) await stop(EXIT.failed);
}

/** Each change once: a store out of reach is no reason to end, but somebody should read why. */
function logHealth(store: Store, log: Log): void {
  let told: string | null = null;
  let toldRisk: string | null = null;
  store.onHealth(({ connected, problem, evictionRisk }) => {
    const text = problem ?? (connected ? 'connected' : told);
    if (text !== told && problem !== null) {
      log.warn({ problem, connected }, 'the store has a problem; going on and trying again');
    } else if (text !== told) log.info({}, 'the store is connected');
    if (evictionRisk !== null && evictionRisk !== toldRisk) {
      log.warn({ problem: evictionRisk }, 'the store may evict control keys');
    }
    told = text;
    toldRisk = evictionRisk;
  });
}

await main();
