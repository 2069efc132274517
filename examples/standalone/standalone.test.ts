// Starts the example with the command that its README gives, and uses it as the README says.
import { readFileSync } from 'node:fs';
import { delimiter } from 'node:path';
import { JsonRpcProvider } from 'ethers';
import { createPublicClient, http, parseGwei } from 'viem';
import { expect, onTestFinished, test } from 'vitest';
import { balanceOf, type FakeNode, type FakeNodeOptions, startFakeNode } from '../../test/kit/fake-node.ts';
import { inRepo } from '../../test/kit/paths.ts';
import { startProcess } from '../../test/kit/process.ts';
import { type Json, type Program, programOf } from '../../test/kit/program.ts';
import { waitFor } from '../../test/kit/wait.ts';

const DIRECTORY = inRepo('examples', 'standalone');
const START_TIMEOUT_MS = 20_000;
const ACCOUNT = '0x00000000000000000000000000000000000000aa';

async function nodeWith(options: FakeNodeOptions): Promise<FakeNode> {
  const node = await startFakeNode(options);
  onTestFinished(() => node.stop());
  return node;
}

/** What `pnpm start` runs in the example's directory, with the PATH that pnpm gives to scripts. */
async function startExample(env: Readonly<Record<string, string>>): Promise<Program> {
  const manifest: Json = JSON.parse(readFileSync(`${DIRECTORY}/package.json`, 'utf8'));
  const bins = [DIRECTORY, inRepo()].map((directory) => `${directory}/node_modules/.bin`);
  const started = startProcess({
    command: 'sh',
    args: ['-c', `exec ${manifest.scripts.start}`],
    cwd: DIRECTORY,
    env: { PORT: '0', ...env, PATH: [...bins, process.env.PATH].join(delimiter) },
  });
  onTestFinished(async () => void (await started.stop()));
  return programOf(started, START_TIMEOUT_MS);
}

async function startThree() {
  const [a, b, provider] = await Promise.all([
    nodeWith({ head: 100 }),
    nodeWith({ head: 100 }),
    nodeWith({ head: 100 }),
  ]);
  const urls = { NODE_A_URL: a.url, NODE_B_URL: b.url, PROVIDER_URL: provider.url };
  const gateway = await startExample(urls);
  const probed = async () => {
    const { head, upstreams } = (await gateway.status()).networks.mainnet;
    return head === 100 && upstreams.every(({ reason }: Json) => reason === null || reason === 'standby');
  };
  await waitFor(probed, { what: 'the first probes' });
  return { a, b, provider, gateway };
}

test('the standalone example answers viem and ethers, at its network and at the root', async () => {
  const { a, b, provider, gateway } = await startThree();
  const viem = createPublicClient({ transport: http(`${gateway.url}/mainnet`, { retryCount: 0 }) });
  expect(await viem.getChainId()).toBe(1);
  expect(await viem.getBlockNumber()).toBe(100n);
  expect((await viem.getBlock()).number).toBe(100n);
  expect(await viem.getGasPrice()).toBeLessThan(parseGwei('1000000'));

  const ethers = new JsonRpcProvider(gateway.url, 1, { staticNetwork: true });
  onTestFinished(() => ethers.destroy());
  expect(await ethers.getBlockNumber()).toBe(100);
  expect(await ethers.getBalance(ACCOUNT)).toBe(await viem.getBalance({ address: ACCOUNT }));

  expect(a.reads + b.reads).toBeGreaterThan(0);
  expect(provider.reads, 'the fallback stands by').toBe(0);
  const { upstreams } = (await gateway.status()).networks.mainnet;
  expect(upstreams.map(({ id, state }: Json) => [id, state])).toEqual([
    ['node-a', 'eligible'],
    ['node-b', 'eligible'],
    ['provider', 'standby'],
  ]);
});

test('the standalone example goes on over the fallback when both nodes have died', async () => {
  const { a, b, provider, gateway } = await startThree();
  await Promise.all([a.stop(), b.stop()]);
  const viem = createPublicClient({ transport: http(`${gateway.url}/mainnet`, { retryCount: 0 }) });
  expect(await viem.getBalance({ address: ACCOUNT })).toBe(BigInt(balanceOf(ACCOUNT)));
  expect(provider.reads).toBeGreaterThan(0);
});

test('the standalone example never uses a node of another chain and ends cleanly', async () => {
  const [a, wrong] = await Promise.all([nodeWith({ head: 100 }), nodeWith({ head: 900, chainId: 5 })]);
  const gateway = await startExample({ NODE_A_URL: a.url, NODE_B_URL: wrong.url, PROVIDER_URL: a.url });
  await waitFor(
    async () => {
      const { upstreams } = (await gateway.status()).networks.mainnet;
      return upstreams.some(({ id, reason }: Json) => id === 'node-b' && reason === 'wrong_chain');
    },
    { what: 'node-b to be found on another chain' },
  );
  const viem = createPublicClient({ transport: http(`${gateway.url}/mainnet`, { retryCount: 0 }) });
  for (let reads = 0; reads < 4; reads++) await viem.getBalance({ address: ACCOUNT });
  expect(a.reads).toBe(4);
  expect(wrong.reads).toBe(0);
  expect(await gateway.stop()).toEqual({ code: 0, signal: null });
});
