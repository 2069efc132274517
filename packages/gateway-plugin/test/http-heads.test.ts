// A head in a network of plain HTTP, as a Beacon node or a Cosmos REST server says it: nodes and probes on real sockets.
import { expect, test } from 'vitest';
import { waitFor } from '../../../test/kit/wait.ts';
import { startHttpBench } from './http-nodes.ts';

interface HeadProbe {
  readonly path?: string;
  readonly pointer: string;
}

test.each<[string, HeadProbe]>([
  ['a page of its own', { path: '/eth/v1/node/syncing', pointer: '/data/head_slot' }],
  ['the page that is probed', { pointer: '/data/head_slot' }],
])('who is too far behind by %s gets nothing until it has caught up', async (_where, head) => {
  const slots = { a: 1000, b: 1000, c: 994 };
  const bench = await startHttpBench({
    network: { probe: { interval: '100ms', path: '/eth/v1/node/health', head }, maxLagBlocks: 5 },
  });
  const asked = head.path ?? '/eth/v1/node/health';
  for (const [at, id] of (['a', 'b', 'c'] as const).entries()) {
    const node = bench.nodes[at];
    if (node)
      node.respond = ({ url }, response) =>
        response.end(url === asked ? `{"data":{"head_slot":"${slots[id]}"}}` : id);
  }
  const texts = async () => {
    const answers = await Promise.all(Array.from({ length: 6 }, () => bench.ask('GET', '/net/x')));
    return [...new Set(answers.map(({ text }) => text))].toSorted().join('');
  };
  await bench.front.reason('c', 'lagging');
  expect(bench.front.upstream('c')).toMatchObject({ head: 994, lagBlocks: 6 });
  await bench.front.reason('a', null);
  await bench.front.reason('b', null);
  expect(bench.front.app.rpcBalancer.status().networks.net?.head).toBe(1000);
  expect(await texts()).toBe('ab');

  slots.c = 1000;
  await bench.front.reason('c', null);
  await waitFor(async () => (await texts()) === 'abc', { what: 'the third to serve' });
});
