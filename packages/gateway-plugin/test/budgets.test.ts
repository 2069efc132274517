// What one gateway, which probes by itself, tells of its upstreams' limits.
import { expect, test } from 'vitest';
import { waitFor } from '../../../test/kit/wait.ts';
import { startFront, startNodes } from './front.ts';

const PROBED = { network: { probe: { interval: '200ms' } }, plugin: { ops: '/ops' } } as const;

test('calls, refusals and what a node says of its limit are told in the status and the metrics', async () => {
  const [node] = await startNodes({});
  if (!node) throw new Error('a node was started');
  const front = await startFront([node], PROBED);
  await front.reason('a', null);
  for (let call = 0; call < 10; call++) await front.call('eth_chainId');
  // As many as the node has counted, probes included: all of it happened in this minute.
  const seen = () => front.upstream('a').budget?.attempts ?? 0;
  const goal = node.hits();
  await waitFor(() => seen() >= goal, { what: 'the calls to be told' });
  expect(seen()).toBeLessThanOrEqual(node.hits());

  const headers = { 'x-ratelimit-limit': '30', 'x-ratelimit-remaining': '4', 'x-ratelimit-reset': '600' };
  const body = '{"jsonrpc":"2.0","id":1,"result":"0x1"}';
  node.answer = ({ method }) => (method === 'eth_gasPrice' ? { status: 200, headers, body } : undefined);
  await front.call('eth_gasPrice');
  await waitFor(() => front.upstream('a').budget?.left === 4, { what: 'the word of the node' });
  expect(front.upstream('a').budget).toMatchObject({ limit: 30, throttled: 0, retryAt: null });
  expect(front.upstream('a').budget?.resetAt).toBeGreaterThan(Date.now() + 300_000);
  const { text } = await front.send('/ops/metrics', null, { verb: 'GET' });
  expect(text).toContain('rpc_balancer_upstream_left_attempts{network="net",upstream="a"} 4');

  node.answer = ({ method }) =>
    method === 'eth_gasPrice' ? { status: 429, headers: { 'retry-after': '20' } } : undefined;
  await front.call('eth_gasPrice');
  await waitFor(() => front.upstream('a').budget?.throttled === 1, { what: 'the refusal' });
  expect(front.upstream('a').budget?.retryAt).toBeGreaterThan(Date.now());
});

test('a network that behaves as nginx, and one that is not probed, serve as ever: the one tells, the other knows of none', async () => {
  const nodes = await startNodes({});
  const nginx = await startFront(nodes, { network: { compat: 'nginx', probe: { interval: '200ms' } } });
  await nginx.reason('a', null);
  await nginx.call('eth_chainId');
  await waitFor(() => nginx.upstream('a').budget !== null, { what: 'its budget' });
  const unprobed = await startFront(nodes);
  await unprobed.call('eth_chainId');
  expect(unprobed.upstream('a')).toMatchObject({ budget: null, load: null });
});
