// Whether real Substrate nodes are judged by their heads, and served through the gateway.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Chopsticks, genesisFile, startChopsticks } from '../kit/chopsticks.ts';
import { waitFor } from '../kit/wait.ts';
import { agreed, PATIENT_PROBE, startTrio, type Trio, toldHeads } from './cluster.ts';
import { idOf, post, upstreamsOf } from './upstreams.ts';

/** One more than a node may lag. */
const MISSED_BLOCKS = 4;

let nodes: Chopsticks[] = [];
let trio: Trio;

beforeAll(async () => {
  const genesis = await genesisFile();
  nodes = await Promise.all([1, 2, 3].map(() => startChopsticks(genesis)));
  const upstreams = upstreamsOf(nodes);
  const networks = {
    hub: { protocol: 'substrate', probe: PATIENT_PROBE, upstreams },
    // Probed once: later heads can only have been told.
    told: { protocol: 'substrate', probe: { interval: '1h' }, upstreams },
  } as const;
  trio = await startTrio(networks, { gateways: 1, sidecars: ['node'] });
});

afterAll(async () => {
  await trio?.stop();
  await Promise.all(nodes.map((node) => node.stop()));
});

/** Gives those of the nodes so many blocks, one after another as a chain does. */
async function mine(blocks: number, which: readonly Chopsticks[] = nodes): Promise<void> {
  for (let block = 0; block < blocks; block++) await Promise.all(which.map((node) => node.mine(1)));
}

async function headsThroughGateway(reads: number): Promise<string[]> {
  const call = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'chain_getHeader', params: [] });
  const heads: string[] = [];
  for (let read = 0; read < reads; read++) {
    const { text } = await post(`${trio.gateways[0]?.url}/hub`, call);
    heads.push(String(JSON.parse(text).result?.number));
  }
  return heads;
}

test('a Substrate node that makes no blocks lags while the others go on, and is back when it has caught up', async () => {
  for (const id of ['a', 'b', 'c']) await trio.reason('hub', id, null);
  await mine(1);
  const [still, ...others] = nodes;
  if (!still) throw new Error('three were started');

  await mine(MISSED_BLOCKS, others);
  await trio.reason('hub', 'a', 'lagging', 'stalled');
  for (const id of ['b', 'c']) await trio.reason('hub', id, null);
  const best = await others[0]?.rpc('chain_getHeader');
  expect(best).toMatchObject({ number: expect.stringMatching(/^0x/) });
  expect(new Set(await headsThroughGateway(20))).toEqual(new Set([(best as { number: string }).number])); // As matched above.

  await still.mine(MISSED_BLOCKS);
  await trio.reason('hub', 'a', null);
});

test('a block of which real Substrate nodes tell by themselves is in the snapshot without a probe', async () => {
  const before = await toldHeads(trio, 'told');
  await mine(1);
  await toldHeads(trio, 'told', before);
  const header = await nodes[0]?.rpc('chain_getHeader');
  const height = Number((header as { number: string }).number); // A header has its height.
  await agreed('the head to be known', async () => {
    for (const { head } of await trio.networks('told')) expect(head).toBe(height);
  });
});

test('the status of the sidecar has what a Substrate node says of its runtime', async () => {
  const genesis = await nodes[0]?.rpc('chain_getBlockHash', [0]);
  const [status] = await waitFor(
    async () => {
      const status = await trio.sidecars[0]?.status();
      return status?.networks[0]?.upstreams.length === nodes.length && status.networks;
    },
    { what: 'the sidecar to tell of all upstreams' },
  );
  expect(status.identity).toBe(genesis);
  for (const at of nodes.keys()) {
    const { facts } = status.upstreams.find(({ id }: { id: string }) => id === idOf(at));
    expect(facts).toEqual({
      ...{ runtime: 'statemine', runtimeVersion: expect.any(Number), methodCount: expect.any(Number) },
    });
  }
});
