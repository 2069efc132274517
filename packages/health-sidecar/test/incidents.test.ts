// Decides: whether what has hurt other balancers hurts this one, in every protocol, and what the worst answers do.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import type { ProtocolName } from '@rpc-balancer/shared';
import { describe, expect, onTestFinished, test } from 'vitest';
import { startFakeComet } from '../../../test/kit/fake-comet.ts';
import { startFakeNode } from '../../../test/kit/fake-node.ts';
import { startFakeSubstrate } from '../../../test/kit/fake-substrate.ts';
import { configOf, network, reasonsIn, type Staged, stage } from './stage.ts';

interface Node {
  readonly url: string;
  readonly stop: () => Promise<void>;
}

interface Kind {
  readonly protocol: ProtocolName;
  /** A healthy node at a head, of the usual chain or of another. */
  readonly start: (head: number, isAlien?: boolean) => Promise<Node>;
}

const KINDS: readonly Kind[] = [
  {
    protocol: 'evm',
    start: (head, isAlien = false) => startFakeNode({ head, chainId: isAlien ? 5 : 1 }),
  },
  {
    protocol: 'substrate',
    start: (head, isAlien = false) => startFakeSubstrate({ head, chain: isAlien ? 'alien' : 'asset-hub' }),
  },
  {
    protocol: 'cometbft',
    start: (head, isAlien = false) => startFakeComet({ head, network: isAlien ? 'alien-1' : 'chain-1' }),
  },
];

const HEAD = 1_000_000;

/** A sidecar over these nodes, with patience on a busy machine. */
function stageOf(protocol: ProtocolName, nodes: readonly Node[]): Staged {
  onTestFinished(async () => {
    await Promise.all(nodes.map((node) => node.stop()));
  });
  const probe = { interval: 100, timeout: 3000, attempts: 1 };
  return stage({ config: configOf({ main: network(nodes, { protocol, probe }) }) });
}

/** To every question the beginning of an answer of that many bytes, for as long as it is read. */
async function startEndless(totalBytes: number): Promise<Node & { readonly sentBytes: () => number }> {
  const chunk = Buffer.alloc(65_536, 'a');
  let sentBytes = 0;
  function* answer() {
    yield Buffer.from('{"jsonrpc":"2.0","id":1,"result":"');
    for (let bytes = 0; bytes < totalBytes; bytes += chunk.length) {
      sentBytes += chunk.length;
      yield chunk;
    }
    yield Buffer.from('"}');
  }
  const server = createServer((_, response) => {
    pipeline(answer, response).catch(() => {}); // Whoever asked has gone away.
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // A TCP server's address is an object.
  return {
    url: `http://127.0.0.1:${port}`,
    sentBytes: () => sentBytes,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

describe.each(KINDS)('in a network of $protocol', ({ protocol, start }) => {
  test(`incident 3: a node of another chain is left, however high its head, and takes nobody along (${protocol})`, async () => {
    const nodes = [await start(9 * HEAD, true), await start(HEAD), await start(HEAD)];
    const { ranked } = stageOf(protocol, nodes);
    const ranking = await ranked('the alien to be left', (one) => reasonsIn(one).a === 'wrong_chain');
    expect(reasonsIn(ranking)).toEqual({ a: 'wrong_chain', b: null, c: null });
    expect(ranking.head).toMatchObject({ number: HEAD, confirmations: 2 });
  });

  test(`incident 7: a node that calls itself healthy and is 678,000 blocks behind lags (${protocol})`, async () => {
    const nodes = [await start(HEAD - 678_000), await start(HEAD), await start(HEAD)];
    const { ranked } = stageOf(protocol, nodes);
    const ranking = await ranked('the late one to be left', (one) => reasonsIn(one).a === 'lagging');
    expect(reasonsIn(ranking)).toEqual({ a: 'lagging', b: null, c: null });
    expect(ranking.upstreams.find(({ id }) => id === 'a')?.lagBlocks).toBe(678_000);
  });

  test(`incident 18: a node that answers null to everything kills nothing (${protocol})`, async () => {
    const silly = await startFakeNode({ mode: 'null' });
    const { ranked, rankings } = stageOf(protocol, [silly, await start(HEAD), await start(HEAD)]);
    await ranked('it to be left', (one) => reasonsIn(one).a === 'probe_failed');
    const count = rankings.length;
    const later = await ranked('the sidecar to go on', () => rankings.length > count + 2);
    expect(reasonsIn(later)).toEqual({ a: 'probe_failed', b: null, c: null });
    expect(later.head).toMatchObject({ number: HEAD });
  });

  test(`an answer of a gigabyte is not read to its end, and the others notice nothing (${protocol})`, async () => {
    const endless = await startEndless(1024 ** 3);
    const { ranked } = stageOf(protocol, [endless, await start(HEAD), await start(HEAD)]);
    const ranking = await ranked('it to be left', (one) => reasonsIn(one).a === 'probe_failed');
    expect(reasonsIn(ranking)).toEqual({ a: 'probe_failed', b: null, c: null });
    // A probe asks at most seven questions and reads a megabyte of each; the rest is what sockets hold.
    expect(endless.sentBytes()).toBeLessThan(1024 ** 3 / 4);
  });
});
