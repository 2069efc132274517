// What machines say of their load, and who is chosen by it: nodes and exporters on real sockets behind one gateway that probes.
import { expect, onTestFinished, test } from 'vitest';
import { type FakePage, startFakePage } from '../../../test/kit/fake-page.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import { type Front, startFront, startNodes } from './front.ts';

const HEAD = 1000;

async function startPage(load: number): Promise<FakePage> {
  const page = await startFakePage(`node_load1 ${load}\n`);
  onTestFinished(() => page.stop());
  return page;
}

/** Who answers so many reads. */
async function served(front: Front, count = 6): Promise<string> {
  const before = ['a', 'b', 'c'].map((id) => front.upstream(id).requests);
  for (let read = 0; read < count; read++) await front.call('eth_gasPrice');
  return ['a', 'b', 'c'].filter((id, at) => front.upstream(id).requests > (before[at] ?? 0)).join('');
}

test('SQ-08: the least loaded of equal nodes has the calls, with perCore by what a CPU has to bear, and an unknown load is none of 0', async () => {
  const nodes = await startNodes({ head: HEAD }, { head: HEAD }, { head: HEAD });
  const [busy, idle] = [await startPage(4), await startPage(3)];
  const cpus = [0, 1, 2, 3, 4, 5, 6, 7].map((cpu) => `node_cpu_seconds_total{cpu="${cpu}",mode="idle"} 1`);
  busy.text += cpus.join('\n');
  idle.text += cpus.slice(0, 2).join('\n');
  const loadOf = ({ url }: FakePage) => ({ load: { url, metric: 'node_load1', perCore: 'on' } }) as const;
  const front = await startFront(nodes, {
    network: { probe: { interval: '100ms' }, prefer: ['head', 'load'] },
    upstreams: [loadOf(busy), loadOf(idle), {}],
  });
  const loads = (a: number | null, b: number | null) =>
    waitFor(() => front.upstream('a').load === a && front.upstream('b').load === b, { what: 'the loads' });
  await loads(0.5, 1.5);
  expect(front.upstream('c').load).toBeNull();
  expect(await served(front)).toBe('a');
  idle.text = idle.text.replace('node_load1 3', 'node_load1 0.2');
  await loads(0.5, 0.1);
  expect(await served(front)).toBe('b');
  for (const page of [busy, idle]) page.text = 'nothing';
  await waitFor(() => front.upstream('a').load === null && front.upstream('b').load === null, {
    what: 'the loads to be unknown',
    timeoutMs: 20_000,
  });
  expect(await served(front)).toBe('abc');
});
