// What of the Dockerfiles can be tried without a container engine: their steps, and the commands that they start.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type BuiltImage, carryOut, readDockerfile } from '../kit/dockerfile.ts';
import { inRepo, runtimeCommand } from '../kit/paths.ts';
import { freePort } from '../kit/ports.ts';
import { startProcess } from '../kit/process.ts';
import { waitFor } from '../kit/wait.ts';
import { fakeNode, PROBE, redisServer } from '../system/programs.ts';

const CONFIG = '/etc/rpc-balancer/config.yaml';
const { devDependencies } = JSON.parse(readFileSync(inRepo('package.json'), 'utf8'));

/** Starts a command of the image with its paths below the folder that stands for the root. */
function startIn({ root, cwd }: BuiltImage, command: readonly string[]) {
  const [program = '', ...args] = command.map((word) => word.replace('/etc/rpc-balancer', `${root}$&`));
  const found = program === 'deno' ? runtimeCommand('deno') : join(root, 'usr/local/bin', program);
  const started = startProcess({ command: found, args, cwd: join(root, cwd) });
  onTestFinished(() => started.kill());
  return started;
}

test.each([
  { file: 'Dockerfile.bun', base: `oven/bun:${devDependencies.bun}-slim` },
  { file: 'Dockerfile.deno', base: `denoland/deno:${devDependencies.deno}` },
])(
  'the steps of $file make a sidecar that is healthy while it runs, stops on SIGTERM and is not meant for root',
  async ({ file, base }) => {
    const dockerfile = readDockerfile('packages', 'health-sidecar', file);
    expect(dockerfile.images).toContain(base);
    expect(dockerfile.images).toContain(`node:${devDependencies.node}-slim`);
    const image = await carryOut(dockerfile);
    expect(image.user).toMatch(/^[1-9]\d+:[1-9]\d+$/);

    const [redis, node, port] = await Promise.all([redisServer(), fakeNode(), freePort()]);
    mkdirSync(join(image.root, 'etc', 'rpc-balancer'), { recursive: true });
    const networks = { main: { probe: PROBE, upstreams: [{ id: 'geth-a', url: node.url }] } };
    const config = { redis: { url: redis.url }, sidecar: { port }, networks };
    writeFileSync(join(image.root, CONFIG), JSON.stringify(config));

    const health = () => startIn(image, image.health).exited.then(({ code }) => code);
    expect(await health()).toBe(1);
    const sidecar = startIn(image, [...image.entrypoint, ...image.cmd]);
    await waitFor(() => node.hits('eth_chainId') > 0, { what: 'the node to be probed', timeoutMs: 20_000 });
    await sidecar.waitForOutput(/listening/);
    expect(await health()).toBe(0);
    expect(await sidecar.stop()).toEqual({ code: 0, signal: null });
  },
);
