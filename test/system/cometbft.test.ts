// Whether real CometBFT validators are judged by their heads, and served through the gateway.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Chain, goCommand, startCometbft } from '../kit/cometbft.ts';
import { waitFor } from '../kit/wait.ts';
import { agreed, PATIENT_PROBE, startTrio, type Trio, toldHeads } from './cluster.ts';
import { post, upstreamsOf } from './upstreams.ts';

const MAX_LAG_BLOCKS = 3;
/** Far more than a node may lag. */
const MISSED_BLOCKS = 8;

if (goCommand === null)
  console.warn('left out: real CometBFT validators, because there is no Go toolchain on PATH to build them');

describe.skipIf(goCommand === null)('four real CometBFT validators', () => {
  let chain: Chain;
  let trio: Trio;

  beforeAll(async () => {
    if (goCommand === null) throw new Error('the tests are left out');
    chain = await startCometbft(goCommand);
    const upstreams = upstreamsOf(chain.validators);
    const settings = { maxLagBlocks: MAX_LAG_BLOCKS, probe: PATIENT_PROBE };
    const networks = {
      comet: { protocol: 'cometbft', ...settings, upstreams },
      // Probed once: later heads can only have been told.
      told: { protocol: 'cometbft', ...settings, probe: { interval: '1h' }, upstreams },
    } as const;
    trio = await startTrio(networks, { gateways: 1, sidecars: ['node'] });
  }, 900_000);

  afterAll(async () => {
    await trio?.stop();
    await chain?.stop();
  });

  /** As a client sees it. */
  async function height(): Promise<number> {
    const call = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'status', params: {} });
    const { status, text } = await post(`${trio.gateways[0]?.url}/comet`, call);
    expect(status, text).toBe(200);
    return Number(JSON.parse(text).result.sync_info.latest_block_height);
  }

  test('tell of their blocks by themselves, which are in the snapshot without a probe', async () => {
    const before = await toldHeads(trio, 'told');
    const height = Math.max(...(await Promise.all(chain.validators.map((one) => one.height()))));
    await toldHeads(trio, 'told', before);
    await agreed('a later head to be known', async () => {
      for (const { head } of await trio.networks('told')) expect(head).toBeGreaterThan(height);
    });
  });

  test('go on when one of them dies, which is left until it has caught up', async () => {
    for (const id of ['a', 'b', 'c', 'd']) await trio.reason('comet', id, null);
    await agreed('the gateway to name the chain', async () => {
      for (const { identity } of await trio.networks('comet')) expect(identity).toBe(chain.id);
    });

    const [mortal] = chain.validators;
    await mortal?.kill();
    const diedAt = await height();
    await trio.reason('comet', 'a', 'unreachable', 'ejected');
    await waitFor(async () => (await height()) > diedAt + MISSED_BLOCKS, {
      what: 'the chain to go on without one validator',
      timeoutMs: 40_000,
    });
    for (const id of ['b', 'c', 'd']) await trio.reason('comet', id, null);

    await mortal?.restart();
    await trio.reason('comet', 'a', null);
    expect(await mortal?.height()).toBeGreaterThanOrEqual(diedAt + MISSED_BLOCKS - MAX_LAG_BLOCKS);
  });
});
