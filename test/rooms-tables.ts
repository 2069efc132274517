// Decides: which room of the tree may import what and know what. Data only, after style 5.2 and 5.4.

/**
 * Each line may import only from lines below it, or from its own room; nothing beside, nothing above. A room is a
 * folder of `src/` or a file in it.
 */
export const ROOMS: Readonly<Record<string, readonly (readonly string[])[]>> = {
  shared: [
    ['index'],
    ['reload'],
    ['watch', 'store', 'discovery', 'health-command'],
    ['wire'],
    ['config'],
    ['protocols'],
    ['jsonrpc', 'reasons', 'errors', 'redact', 'log', 'limits'],
  ],
  'health-sidecar': [
    ['main'],
    ['index'],
    ['sidecar'],
    ['runner'],
    ['findings'],
    ['cycle', 'lease', 'attendance', 'status', 'metrics'],
    ['probes', 'publish', 'budgets'],
    ['rank', 'reach', 'renewal', 'changes'],
    ['head', 'lag', 'samples', 'fetchers', 'spread', 'failure'],
    ['runtime', 'version'],
  ],
  'gateway-plugin': [
    ['bin'],
    ['index', 'drain-command'],
    ['plugin'],
    ['network-routes'],
    ['ops-routes'],
    ['balancer'],
    ['gateway'],
    ['embedded'],
    ['forward', 'passthrough', 'ws', 'cluster', 'observe'],
    ['guard', 'cache'],
    ['upstream'],
    ['balance'],
    ['options', 'request', 'version'],
  ],
};

export interface Knowledge {
  readonly what: string;
  /** Tells the knowledge from a line of code; comments are taken out before. */
  readonly pattern: RegExp;
  /** Paths below `packages/` that may have it: a file, or a folder with its slash. */
  readonly rooms: readonly string[];
}

const imports = (name: string): RegExp =>
  new RegExp(`(?:from|import|import\\()\\s*['"]${name}(?:/[^'"]*)?['"]`);
/** An import of more than types. */
const importsValue = (name: string): RegExp =>
  new RegExp(`^\\s*(?:import|export)\\s+(?!type\\b)[^;]*['"]${name}(?:/[^'"]*)?['"]`, 'm');

export const KNOWLEDGE: readonly Knowledge[] = [
  {
    what: 'Fastify',
    pattern: importsValue('fastify'),
    rooms: [
      ...['gateway-plugin/src/plugin.ts', 'gateway-plugin/src/bin.ts'],
      ...['gateway-plugin/src/passthrough/', 'gateway-plugin/src/ws/'],
    ],
  },
  {
    what: 'the types of Fastify',
    pattern: imports('fastify'),
    rooms: [
      ...['gateway-plugin/src/plugin.ts', 'gateway-plugin/src/bin.ts', 'gateway-plugin/src/forward.ts'],
      ...['gateway-plugin/src/network-routes.ts', 'gateway-plugin/src/ops-routes.ts'],
      ...['gateway-plugin/src/passthrough/', 'gateway-plugin/src/ws/'],
    ],
  },
  {
    what: 'the proxy of Fastify',
    pattern: imports('@fastify/http-proxy'),
    rooms: ['gateway-plugin/src/passthrough/'],
  },
  { what: 'fastify-plugin', pattern: imports('fastify-plugin'), rooms: ['gateway-plugin/src/plugin.ts'] },
  {
    what: 'undici',
    pattern: imports('undici'),
    // The sidecar's runtime needs it for the certificates of upstreams on Node.
    rooms: ['gateway-plugin/src/upstream/', 'health-sidecar/src/runtime.ts'],
  },
  {
    what: 'global fetch',
    pattern: /(?<![\w.])fetch\(/,
    rooms: [
      ...['health-sidecar/src/probes/', 'health-sidecar/src/runtime.ts'],
      // The programs ask others of their kind.
      ...['gateway-plugin/src/drain-command.ts', 'shared/src/health-command.ts'],
    ],
  },
  { what: 'ioredis', pattern: importsValue('ioredis'), rooms: ['shared/src/store/redis/'] },
  {
    what: 'the types of ioredis',
    pattern: imports('ioredis'),
    // A client may be handed to the plugin.
    rooms: ['shared/src/store/redis/', 'gateway-plugin/src/options.ts', 'gateway-plugin/src/gateway.ts'],
  },
  {
    what: 'zod',
    pattern: imports('zod'),
    rooms: ['shared/src/config/', 'shared/src/wire/', 'gateway-plugin/src/options.ts'],
  },
  { what: 'the YAML parser', pattern: imports('yaml'), rooms: ['shared/src/config/'] },
  {
    what: 'signed transactions',
    pattern: imports('micro-eth-signer'),
    rooms: ['gateway-plugin/src/cluster/sender.ts'],
  },
  {
    what: 'prom-client',
    pattern: importsValue('prom-client'),
    rooms: ['gateway-plugin/src/observe/', 'health-sidecar/src/metrics.ts'],
  },
  { what: 'serving HTTP in the sidecar', pattern: imports('srvx'), rooms: ['health-sidecar/src/status.ts'] },
  { what: 'node:http', pattern: imports('node:https?'), rooms: [] },
  {
    what: 'the embedded sidecar',
    pattern: imports('@rpc-balancer/health-sidecar'),
    rooms: ['gateway-plugin/src/embedded.ts'],
  },
  { what: 'the gateway package', pattern: imports('@rpc-balancer/gateway-plugin'), rooms: [] },
  { what: 'Lua', pattern: /redis\.call/, rooms: ['shared/src/store/lua/'] },
  { what: 'a name in Redis', pattern: /[`'"][^`'"]*rpcb:|`\$\{prefix\}:/, rooms: ['shared/src/wire/'] },
  {
    what: 'the runtime, its environment, signals and exit',
    pattern: /\b(?:process|Deno|Bun)\.\w/,
    rooms: [
      ...['health-sidecar/src/runtime.ts', 'health-sidecar/src/main.ts', 'gateway-plugin/src/bin.ts'],
      // A guest plugin has no program of its own: it names its instance and expands its file's variables itself.
      ...['gateway-plugin/src/plugin.ts', 'gateway-plugin/src/options.ts'],
    ],
  },
  {
    what: 'the current time',
    pattern: /\bDate\.now\b|\bperformance\.now\b|\bnew Date\(\)/,
    rooms: [
      ...['gateway-plugin/src/plugin.ts', 'gateway-plugin/src/bin.ts', 'health-sidecar/src/main.ts'],
      'health-sidecar/src/runtime.ts',
    ],
  },
  {
    what: 'waiting and repeating',
    // One turn of the event loop (setImmediate) is no wait.
    pattern: /\bsetTimeout\b|\bsetInterval\b/,
    rooms: [
      // One way to wait for cycle, lease and attendance.
      'health-sidecar/src/runtime.ts',
      ...['gateway-plugin/src/upstream/', 'gateway-plugin/src/cluster/', 'gateway-plugin/src/ws/'],
      // The end of a drain; the reconnection and the closing of a store.
      ...['gateway-plugin/src/gateway.ts', 'shared/src/store/redis/'],
      // The steps of one change of a file.
      'shared/src/watch.ts',
    ],
  },
  {
    what: 'chance',
    pattern: /\bMath\.random\b/,
    rooms: ['gateway-plugin/src/plugin.ts', 'gateway-plugin/src/bin.ts', 'health-sidecar/src/main.ts'],
  },
  {
    what: 'an HTTP status or JSON-RPC code of a failure',
    // A number with a unit is no status.
    pattern: /-32\d{3}\b|(?<!(?:_MS|Ms|_BYTES|_CHARS|_MAX)\s*[=:]\s*)(?<![\w.$])[45]\d\d(?![\w.])/,
    rooms: [
      ...['shared/src/errors.ts', 'shared/src/jsonrpc.ts'],
      ...['gateway-plugin/src/upstream/outcome.ts', 'gateway-plugin/src/upstream/nginx-outcome.ts'],
      'gateway-plugin/src/upstream/node-error.ts',
      // What a probe makes of an answer, and the statuses of our own pages.
      ...['health-sidecar/src/probes/exchange.ts', 'health-sidecar/src/probes/call.ts'],
      ...['health-sidecar/src/status.ts', 'gateway-plugin/src/observe/ops.ts'],
    ],
  },
  {
    what: 'a method of nodes',
    pattern: /['"`](?:eth|net|web3|debug|trace|system|chain|state|author)_[a-zA-Z]/,
    rooms: ['shared/src/protocols/', 'health-sidecar/src/probes/'],
  },
  {
    what: 'a metric name',
    pattern: /['"`]rpc_balancer_/,
    rooms: [
      ...['gateway-plugin/src/observe/metrics.ts', 'gateway-plugin/src/observe/network-metrics.ts'],
      ...['gateway-plugin/src/observe/upstream-metrics.ts', 'gateway-plugin/src/observe/ranked-metrics.ts'],
      ...['gateway-plugin/src/observe/store-metrics.ts', 'health-sidecar/src/metrics.ts'],
    ],
  },
  { what: 'any', pattern: /(?:\bas|:|<|\|)\s*any\b(?!\s*\()/, rooms: [] },
  {
    what: 'a default export',
    pattern: /^export default\b|\bas default\b/m,
    rooms: ['gateway-plugin/src/plugin.ts', 'gateway-plugin/src/index.ts'],
  },
];

/** Rules of all tests: no sleeping, no mocks of modules, nothing skipped or tried again. */
export const TEST_RULES: readonly { readonly what: string; readonly pattern: RegExp }[] = [
  { what: 'a mock of a module', pattern: /\bvi\.(?:mock|doMock)\b/ },
  { what: 'a fake of the global timers', pattern: /\bvi\.useFakeTimers\b/ },
  { what: 'a sleep', pattern: /\bnode:timers\/promises\b|new Promise\([^)]*\)\s*=>\s*setTimeout/ },
  {
    what: 'a test that is skipped, focused or tried again',
    pattern: /\b(?:test|it|describe)\.(?:skip|only|todo)\b|\bretry:/,
  },
];
