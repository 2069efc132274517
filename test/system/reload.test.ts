// The programs follow their configuration file: gateways and sidecars of every runtime, by themselves and on SIGHUP.
import { writeFileSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { configFile } from '../kit/paths.ts';
import type { Program } from '../kit/program.ts';
import { waitFor } from '../kit/wait.ts';
import { callText, fakeNode, gateway, PROBE, post, redisServer, sidecar } from './programs.ts';

const SECRET = 'hunter2-of-the-test';

/** Starting a runtime on a busy machine takes a while. */
const LONG_MS = 60_000;

async function startSite(runtimes: readonly ('node' | 'bun' | 'deno')[], file?: (config: object) => object) {
  const [redis, ...nodes] = await Promise.all([redisServer(), fakeNode(), fakeNode()]);
  const configOf = (count: number, more: object = {}) => ({
    redis: { url: redis.url },
    networks: {
      net: {
        ...{ probe: PROBE, ...more },
        upstreams: nodes.slice(0, count).map(({ url }, at) => ({
          ...{ id: `n${at}`, url: `${url}/${SECRET}` },
        })),
      },
    },
  });
  const path = configFile(file ? file(configOf(1)) : configOf(1));
  const [front, ...sidecars] = await Promise.all([
    gateway({ config: path }),
    ...runtimes.map((runtime) => sidecar({ config: path, runtime })),
  ]);
  const programs: readonly Program[] = [front, ...sidecars];
  onTestFinished(() => {
    for (const { output } of programs) expect(output).not.toContain(SECRET);
  });
  return { path, configOf, front, sidecars, programs };
}

test(
  'a changed file is followed by the gateway and by sidecars on every runtime, and a bad one by none',
  async () => {
    const { path, configOf, front, sidecars, programs } = await startSite(['node', 'bun', 'deno']);
    const heads = async () => {
      const { upstreams, configMatches } = (await front.status()).networks.net;
      return (
        configMatches && upstreams.every((one: { head: unknown }) => one.head !== null) && upstreams.length
      );
    };
    await waitFor(async () => (await heads()) === 1, {
      what: 'the first node to be ranked',
      timeoutMs: 20_000,
    });
    const hashesOf = async () => {
      const statuses = await Promise.all(sidecars.map((one) => one.status()));
      return statuses.map(({ networks }) => networks[0].configHash);
    };
    const [before] = await hashesOf();
    writeFileSync(path, JSON.stringify(configOf(2)));
    await waitFor(async () => (await heads()) === 2, { what: 'both nodes to be ranked', timeoutMs: 20_000 });
    await waitFor(async () => new Set(await hashesOf()).size === 1 && !(await hashesOf()).includes(before), {
      what: 'every sidecar to have the new file',
    });
    writeFileSync(path, JSON.stringify(configOf(2, { tires: 5 })));
    for (const { process } of programs) await process.waitForOutput(/refused; the old one stays/);
    for (const one of programs) {
      expect(one.output).toContain('did you mean');
      expect(await one.metrics()).toMatch(/config_reloads_total\{result="refused"\} 1/);
      expect(await one.metrics()).toMatch(/config_reloads_total\{result="applied"\} 1/);
    }
    expect(await heads()).toBe(2);
  },
  LONG_MS,
);

test(
  'SIGHUP ends no program: it reads the file and all that it refers to',
  async () => {
    const secretFile = configFile({});
    writeFileSync(secretFile, `${SECRET}-first`);
    const withSecret = (config: object) => {
      return { ...config, gateway: { exposeHeaders: 'on', admin: { token: `\${file:${secretFile}}` } } };
    };
    const { path, programs, front, configOf } = await startSite(['node'], withSecret);
    for (const { process } of programs) process.kill('SIGHUP');
    await front.process.waitForOutput(/SIGHUP: the configuration is unchanged/);
    writeFileSync(secretFile, `${SECRET}-second`);
    for (const { process } of programs) {
      process.kill('SIGHUP');
      await process.waitForOutput(/the configuration was reloaded/);
    }
    await front.process.waitForOutput(/"keys":\["gateway\.admin"\]/);
    writeFileSync(path, JSON.stringify(withSecret(configOf(2, { tries: 0 }))));
    await front.process.waitForOutput(/refused/);
    const { statusCode } = await post(`${front.url}/net`, callText('eth_gasPrice'));
    expect(statusCode).toBe(200);
    for (const { process } of programs) expect(process.running).toBe(true);
  },
  LONG_MS,
);
