import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { inRepo } from './kit/paths.ts';
import { problemsIn, type Source, withoutComments } from './rooms.ts';
import { KNOWLEDGE, TEST_RULES } from './rooms-tables.ts';

function sourcesUnder(folder: string): Source[] {
  return readdirSync(inRepo(folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => `${entry.parentPath}/${entry.name}`)
    .filter((path) => !/\/(?:node_modules|dist)\//.test(path))
    .map((path) => ({ path: path.slice(inRepo('/').length), text: readFileSync(path, 'utf8') }));
}

const sources = ['packages', 'test']
  .flatMap(sourcesUnder)
  .filter(({ path }) => path !== 'test/rooms.test.ts');

describe('the sources', () => {
  test('are found', () => {
    const paths = sources.map(({ path }) => path);
    expect(paths).toContain('packages/shared/src/config/parse.ts');
    expect(paths).toContain('packages/health-sidecar/src/main.ts');
    expect(paths).toContain('packages/gateway-plugin/src/bin.ts');
    expect(paths).toContain('test/kit/fake-node.ts');
  });

  test('keep every piece of knowledge in its room', () => {
    const problems = sources.flatMap((source) =>
      problemsIn(source).map((problem) => `${source.path} ${problem}`),
    );
    expect(problems).toEqual([]);
  });
});

/** Code that has each piece of knowledge. */
const EXAMPLES: readonly (readonly [string, string])[] = [
  ['Fastify', "import fastify from 'fastify';"],
  ['the types of Fastify', "import type { FastifyReply } from 'fastify';"],
  ['fastify-plugin', "import fp from 'fastify-plugin';"],
  ['the proxy of Fastify', "import httpProxy from '@fastify/http-proxy';"],
  ['undici', "import { Pool } from 'undici';"],
  ['global fetch', 'await fetch(x);'],
  ['ioredis', "import { Redis, type Cluster } from 'ioredis';"],
  ['the types of ioredis', "import type { Redis } from 'ioredis';"],
  ['zod', "import { z } from 'zod';"],
  ['the YAML parser', "import { parse } from 'yaml';"],
  ['signed transactions', "await import('micro-eth-signer');"],
  ['prom-client', "import { Gauge } from 'prom-client';"],
  ['serving HTTP in the sidecar', "import { serve } from 'srvx/node';"],
  ['node:http', "import { createServer } from 'node:http';"],
  ['the embedded sidecar', "const a = await import('@rpc-balancer/health-sidecar');"],
  ['the gateway package', "import { a } from '@rpc-balancer/gateway-plugin';"],
  ['Lua', "const script = `redis.call('GET', KEYS[1])`;"],
  ['a name in Redis', 'const key = `${prefix}:{${id}}:lease`;'],
  ['a name in Redis', "const key = 'rpcb:x';"],
  ['the runtime, its environment, signals and exit', 'process.exit(1);'],
  ['the runtime, its environment, signals and exit', 'Deno.env;'],
  ['the current time', 'const at = Date.now();'],
  ['the current time', 'const at = new Date();'],
  ['waiting and repeating', 'setTimeout(tick, 5);'],
  ['waiting and repeating', "import { setTimeout as pause } from 'node:timers/promises';"],
  ['chance', 'const random = Math.random;'],
  ['an HTTP status or JSON-RPC code of a failure', 'reply.code(503);'],
  ['an HTTP status or JSON-RPC code of a failure', 'if (error.code === -32601) return;'],
  ['a method of nodes', "if (method === 'state_call') return;"],
  ['a metric name', "name: 'rpc_balancer_requests_total',"],
  ['any', 'const a = b as any;'],
  ['any', 'function f(a: any) {}'],
  ['a default export', 'export default rpcBalancer;'],
];

describe('the checker of rooms', () => {
  const HEADER = '// Decides: nothing.\n';
  const at = (path: string, code: string) => problemsIn({ path: `packages/${path}`, text: HEADER + code });

  test.each([
    [
      'shared/src/wire/x.ts',
      "import { z } from '../store/store.ts';",
      'imports from store, which is not below wire',
    ],
    [
      'shared/src/protocols/x.ts',
      "import type { A } from '../config/schema.ts';",
      'imports from config, which is not below protocols',
    ],
    [
      'shared/src/errors.ts',
      "import { a } from './redact.ts';",
      'imports from redact, which is not below errors',
    ],
    ['shared/src/config/x.ts', "export { a } from '../newcomer.ts';", 'imports from no room: newcomer'],
    ['shared/src/newcomer.ts', '', 'is in no room: newcomer'],
    [
      'health-sidecar/src/head.ts',
      "import { a } from './rank.ts';",
      'imports from rank, which is not below head',
    ],
    [
      'health-sidecar/src/probes/evm.ts',
      "await import('../cycle.ts');",
      'imports from cycle, which is not below probes',
    ],
    [
      'gateway-plugin/src/balance/pick.ts',
      "import {\n  a,\n} from '../upstream/pool.ts';",
      'imports from upstream, which is not below balance',
    ],
    [
      'gateway-plugin/src/forward.ts',
      "import { a } from './cluster/feed.ts';",
      'imports from cluster, which is not below forward',
    ],
    ['newcomer/src/x.ts', '', 'is in a package without rooms: newcomer'],
  ])('finds the wrong direction in %s', (path, code, problem) => {
    expect(at(path, code)).toEqual([problem]);
  });

  test.each([
    ['shared/src/store/redis/x.ts', "import { a } from '../../wire/keys.ts';"],
    ['shared/src/config/x.ts', "import { a } from './fields.ts';"],
    ['gateway-plugin/src/upstream/x.ts', "import { a } from '../balance/pick.ts';\nimport b from 'undici';"],
    ['health-sidecar/src/main.ts', "import { a } from './sidecar.ts';"],
  ])('finds nothing in %s', (path, code) => {
    expect(at(path, code)).toEqual([]);
  });

  test.each(EXAMPLES)('finds %s outside its room', (what, code) => {
    expect(at('shared/src/redact.ts', code)).toContain(`has ${what}`);
  });

  test('names every piece of knowledge once and is tested on each', () => {
    const names = KNOWLEDGE.map(({ what }) => what);
    expect(new Set(names).size).toBe(names.length);
    expect(new Set(EXAMPLES.map(([what]) => what))).toEqual(new Set(names));
  });

  test.each([
    [
      'a comment',
      '// It took Date.now() before.\n/** setTimeout(x) */\nconst a = 1; // process.exit is not ours',
    ],
    [
      'a word that only looks alike',
      'const preprocess = { x: 1 }; preprocess.x; many(1500, 0.404, item4_500);\nconst PAUSE_MS = 500;',
    ],
    ['an address', "const a = 'http://10.0.0.1:8545';"],
    ['a word of prose', 'const message = `expected ${any} of these`;'],
  ])('takes no offence at %s', (_, code) => {
    expect(at('shared/src/redact.ts', code)).toEqual([]);
  });

  test('finds files that are too long and files that do not say what they decide', () => {
    expect(at('shared/src/redact.ts', '\n'.repeat(260).concat('x'))).toEqual([
      'has 262 lines, more than 250',
    ]);
    expect(at('shared/src/protocols/evm.ts', '\n'.repeat(260).concat('x'))).toEqual([]);
    const text = 'export const a = 1;\n';
    expect(problemsIn({ path: 'packages/shared/src/redact.ts', text })).toEqual([
      'does not begin with what it decides',
    ]);
  });

  test.each([
    ['a mock of a module', "vi.mock('./pick.ts');"],
    ['a fake of the global timers', 'vi.useFakeTimers();'],
    ['a sleep', 'await new Promise((resolve) => setTimeout(resolve, 50));'],
    ['a sleep', "import { setTimeout as delay } from 'node:timers/promises';"],
    ['a test that is skipped, focused or tried again', "test.skip('x', () => {});"],
    ['a test that is skipped, focused or tried again', "test('x', { retry: 2 }, () => {});"],
  ])('finds %s in a test', (what, code) => {
    expect(at('shared/src/redact.test.ts', code)).toEqual([`has ${what}`]);
    expect(TEST_RULES.map((rule) => rule.what)).toContain(what);
  });

  test('leaves code alone when it takes comments out', () => {
    expect(withoutComments("const a = 'http://x'; // no\n  // no\nconst b = 1;")).toBe(
      "const a = 'http://x';\n \nconst b = 1;",
    );
  });
});
