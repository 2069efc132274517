// The permissions of docs/deploy.md are enough, and none of them is too many.
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { readDockerfile } from '../kit/dockerfile.ts';
import { configFile, inRepo } from '../kit/paths.ts';
import { startProcess } from '../kit/process.ts';
import { sidecarCommand } from '../kit/sidecar.ts';
import { fakeNode, PROBE, redisServer, sidecar } from '../system/programs.ts';

const allowedIn = (words: readonly string[]) => words.filter((word) => word.startsWith('--allow-'));

const [documented = ''] = /^deno run [^`]*/m.exec(readFileSync(inRepo('docs', 'deploy.md'), 'utf8')) ?? [];
const ALLOWED = allowedIn(documented.split(/\s+/));

async function configOf(redis?: { readonly unixSocket: true }) {
  const [server, node] = await Promise.all([redisServer(redis), fakeNode()]);
  const networks = { main: { probe: PROBE, upstreams: [{ id: 'geth-a', url: node.url }] } };
  return { server, config: configFile({ redis: { url: server.url }, networks }) };
}

test('the tests and the image let Deno do what the documents say, and no more', () => {
  expect(ALLOWED).toHaveLength(4);
  expect(allowedIn(sidecarCommand('deno', '/etc/rpc-balancer/config.yaml'))).toEqual(ALLOWED);
  const [, image] = readDockerfile('packages', 'health-sidecar', 'Dockerfile.deno').stages;
  const commands = image?.instructions.filter(({ rest }) => rest.includes('"deno", "run"')) ?? [];
  expect(commands.map(({ word }) => word)).toEqual(['HEALTHCHECK', 'ENTRYPOINT']);
  for (const { rest } of commands)
    expect(allowedIn(JSON.parse(/\[.*/.exec(rest)?.[0] ?? ''))).toEqual(ALLOWED);
});

test.each(ALLOWED)('without %s a sidecar on Deno ends and says what it lacks', async (allowed) => {
  const { config } = await configOf();
  const [command = '', ...leading] = sidecarCommand('deno', config);
  const name = allowed.split('=')[0] ?? '';
  const args = leading.filter((word) => !word.startsWith(name));
  const started = startProcess({ command, args: [...args, '--config', config, '--port', '0'] });
  onTestFinished(() => started.kill());
  expect((await started.exited).code).toBeGreaterThan(0);
  expect(started.output).toMatch(/Requires \w+ access/);
});

test('a sidecar on Deno reaches Redis over a unix socket whose folder it may read and write', async () => {
  const { server, config } = await configOf({ unixSocket: true });
  const [program = '', ...leading] = sidecarCommand('deno', config);
  const read = leading.findIndex((word) => word.startsWith('--allow-read='));
  const folder = dirname(server.socketPath);
  const wider = leading.with(read, `${leading[read]},${folder}`);
  wider.splice(read, 0, `--allow-write=${folder}`);
  const one = await sidecar({ config, command: [program, ...wider] });
  await one.process.waitForOutput(/holds the lease and publishes/);
});
