// Decides: whether whoever closes the connections of the probes has waited for all of them.
import { expect, test } from 'vitest';
import { waitFor } from '../../../test/kit/wait.ts';
import { createFetchers } from '../src/fetchers.ts';
import { configOf, network, startNodes } from './stage.ts';

test('who closes all connections waits also for those of an upstream that has gone before', async () => {
  const [node] = await startNodes({ mode: 'late', lateMs: 300 });
  const upstream = configOf({ main: network([{ url: node?.url ?? '' }]) }).networks.main?.upstreams[0];
  if (!node || !upstream) throw new TypeError('both were named in the lines above');
  const fetchers = createFetchers();
  const fetcher = await fetchers.of({ ...upstream, voter: upstream.id, addresses: [] });
  const { signal } = new AbortController();
  const body = '{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}';
  const asked = fetcher.fetch(node.url, { method: 'POST', headers: {}, body, signal });
  await waitFor(() => node.inFlight === 1, { what: 'the request' });

  fetchers.keep([]);
  await fetchers.close();

  expect(node.inFlight).toBe(0);
  expect((await asked).status).toBe(200);
});
