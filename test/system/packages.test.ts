// The packages as their users get them: built, packed, installed elsewhere, registered, compiled against.
import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { inRepo, temporaryDirectory } from '../kit/paths.ts';
import { startProcess } from '../kit/process.ts';
import { fakeNode } from './programs.ts';

/** Downloads included, on a machine with other work. */
const SETUP_MS = 300_000;

const PACKAGES = ['shared', 'health-sidecar', 'gateway-plugin'] as const;
/** What a user of the plugin has besides it. */
const BESIDES = ['fastify@5', '@types/node@24'] as const;

const home = temporaryDirectory();
const installed = (...parts: readonly string[]) => join(home, 'node_modules', '@rpc-balancer', ...parts);

async function run(command: string, args: readonly string[], cwd: string): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)(command, args, {
    cwd,
    maxBuffer: 16 * 1024 ** 2,
  }).catch((error: Error & { stdout?: string; stderr?: string }) => {
    throw new Error(`${command} ${args.join(' ')} failed:\n${error.stdout}\n${error.stderr}`);
  });
  return stdout + stderr;
}

beforeAll(async () => {
  const tarballs = join(home, 'tarballs');
  mkdirSync(tarballs);
  await run(inRepo('node_modules', '.bin', 'tsc'), ['-b', 'packages/gateway-plugin'], inRepo());
  for (const name of PACKAGES) {
    await run('npx', ['-y', 'pnpm@12', 'pack', '--pack-destination', tarballs], inRepo('packages', name));
  }
  writeFileSync(join(home, 'package.json'), '{ "name": "user", "private": true, "type": "module" }\n');
  const files = readdirSync(tarballs).map((name) => join(tarballs, name));
  await run('npm', ['install', '--no-audit', '--no-fund', ...files, ...BESIDES], home);
}, SETUP_MS);

test('a package holds what is built, its manifest, its licence, and none of our sources or tests', () => {
  for (const name of PACKAGES) {
    const names = readdirSync(installed(name), { recursive: true, encoding: 'utf8' });
    expect(names).toContain('package.json');
    expect(names).toContain('LICENSE');
    expect(names).toContain(join('dist', 'index.js'));
    expect(names).toContain(join('dist', 'index.d.ts'));
    expect(names.filter((path) => /\.test\.|^(?:src|test)\b|tsbuildinfo/.test(path))).toEqual([]);
    expect(readFileSync(installed(name, 'package.json'), 'utf8')).not.toContain('workspace:');
  }
});

test('the plugin is registered from its package and answers', async () => {
  const node = await fakeNode();
  writeFileSync(
    join(home, 'app.js'),
    `import fastify from 'fastify';
import rpcBalancer from '@rpc-balancer/gateway-plugin';

const app = fastify();
const upstreams = [{ id: 'geth-a', url: process.argv[2] }];
await app.register(rpcBalancer, { config: { networks: { main: { upstreams } } }, prefix: '/rpc', ops: '/-/rpc' });
console.log('address', await app.listen({ host: '127.0.0.1', port: 0 }));
process.on('SIGTERM', () => app.close());
`,
  );
  const app = startProcess({ command: process.execPath, args: ['app.js', node.url], cwd: home });
  onTestFinished(() => app.kill());
  const [, url] = await app.waitForOutput(/address (\S+)/);
  const response = await fetch(`${url}/rpc/main`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"jsonrpc":"2.0","id":7,"method":"test_echo","params":[1.0]}',
  });
  expect(await response.text()).toBe('{"jsonrpc":"2.0","id":7,"result":[1.0]}');
  const health = await fetch(`${url}/-/rpc/health`).then((answer) => answer.json());
  const manifest = JSON.parse(readFileSync(installed('gateway-plugin', 'package.json'), 'utf8'));
  expect(health).toMatchObject({ status: 'ok', version: manifest.version });
  expect(await app.stop()).toEqual({ code: 0, signal: null });
  expect(app.stderr).toBe('');
});

test.each(['gateway', 'sidecar'])('the command rpc-balancer-%s runs from its package', async (program) => {
  writeFileSync(
    join(home, 'networks.yaml'),
    'redis: { url: "redis://:planted@127.0.0.1:1" }\nnetworks: { main: { upstreams: [{ id: a, url: "http://127.0.0.1:1" }] } }\n',
  );
  const command = join(home, 'node_modules', '.bin', `rpc-balancer-${program}`);
  const started = startProcess({ command, args: ['--config', 'networks.yaml', '--check'], cwd: home });
  expect(await started.exited).toEqual({ code: 0, signal: null });
  expect(JSON.parse(started.stdout)).toMatchObject({ networks: { main: { upstreams: [{ id: 'a' }] } } });
  expect(started.output).not.toContain('planted');
});

const USE = `import fastify from 'fastify';
import rpcBalancer, {
  BalancerError,
  type CallResult,
  type ConfigInput,
  type RpcBalancerOptions,
  type Status,
} from '@rpc-balancer/gateway-plugin';
import { parseConfig } from '@rpc-balancer/shared';
import { startSidecar } from '@rpc-balancer/health-sidecar';

const config: ConfigInput = { networks: { main: { upstreams: [{ id: 'a', url: 'http://127.0.0.1:1' }] } } };
const options: RpcBalancerOptions = { config, prefix: '/rpc' };
export const app = fastify();
await app.register(rpcBalancer, options);
export const status: Status = app.rpcBalancer.status();
export const head: CallResult = await app.rpcBalancer.call('main', 'eth_blockNumber');
export const used = [BalancerError, parseConfig, startSidecar];
// @ts-expect-error: a key that does not exist
export const wrong: ConfigInput = { networks: {}, netwroks: {} };
`;

test('the declarations compile for a strict user with every check on', { timeout: 120_000 }, async () => {
  writeFileSync(join(home, 'use.ts'), USE);
  const compilerOptions = {
    ...{ target: 'es2023', module: 'nodenext', moduleResolution: 'nodenext', types: ['node'] },
    ...{ strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false, noEmit: true },
  };
  writeFileSync(join(home, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['use.ts'] }));
  expect(await run(inRepo('node_modules', '.bin', 'tsc'), ['-p', home], home)).toBe('');
});
