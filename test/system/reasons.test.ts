import type { Reason } from '@rpc-balancer/shared';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { FakeNode, Mode } from '../kit/fake-node.ts';
import { waitFor } from '../kit/wait.ts';
import { type Cluster, type Networks, PATIENT_PROBE, startEmbedded, startTrio } from './cluster.ts';
import { readThrough, startChain, upstreamsOf } from './upstreams.ts';

interface Row {
  readonly what: string;
  readonly reason: Reason;
  readonly goBad: (bad: FakeNode, good: FakeNode) => void | Promise<void>;
  readonly recover: (bad: FakeNode, good: FakeNode) => void | Promise<void>;
}

/** A node whose answers go bad by a mode. */
function byMode(what: string, mode: Mode, reason: Reason): Row {
  return {
    what,
    reason,
    goBad: (bad) => {
      bad.mode = mode;
    },
    recover: (bad) => {
      bad.mode = 'ok';
    },
  };
}

const ROWS: readonly Row[] = [
  {
    what: 'lags behind',
    reason: 'lagging',
    goBad: (bad, good) => {
      bad.head = good.head - 20;
    },
    // A little ahead from now on: reads of `latest` would pass over a node whose blocks always come last.
    recover: (bad, good) => {
      bad.head = good.head + 1;
    },
  },
  {
    what: 'says that it syncs',
    reason: 'syncing',
    goBad: (bad) => {
      bad.syncing = { startingBlock: '0x0', currentBlock: '0x10', highestBlock: '0x20' };
    },
    recover: (bad) => {
      bad.syncing = false;
    },
  },
  {
    what: 'becomes one of another chain',
    reason: 'wrong_chain',
    goBad: (bad) => {
      bad.chainId = 5;
    },
    recover: (bad) => {
      bad.chainId = 1;
    },
  },
  {
    what: 'dies',
    reason: 'unreachable',
    goBad: (bad) => bad.kill(),
    recover: (bad) => bad.restart(),
  },
  byMode('hangs', 'hang', 'probe_timeout'),
  byMode('answers HTTP 500', 'http500', 'probe_failed'),
  byMode('answers garbage', 'garbage', 'probe_failed'),
  byMode('answers null to everything', 'null', 'probe_failed'),
  byMode('cuts its answers', 'cut', 'probe_failed'),
  byMode('refuses our credentials', 'http401', 'unauthorized'),
  byMode('stands still', 'frozen', 'stalled'),
  byMode('tells a head that cannot be', 'lie', 'suspect'),
];

const MODES = [
  { mode: 'alone', rows: ROWS, start: startEmbedded },
  {
    mode: 'with a sidecar over Redis',
    rows: ROWS.filter(({ what }) => what === 'lags behind'),
    start: (networks: Networks) => startTrio(networks, { gateways: 2, sidecars: ['node'] }),
  },
];

describe.each(MODES)('a gateway $mode', ({ rows, start }) => {
  let nodes: FakeNode[] = [];
  let cluster: Cluster | undefined;

  beforeAll(async () => {
    nodes = await startChain({}, {}, {});
    cluster = await start({ net: { probe: PATIENT_PROBE, upstreams: upstreamsOf(nodes) } });
    await cluster.wellEverywhere();
  });

  afterAll(async () => {
    await cluster?.stop();
    await Promise.all(nodes.map((node) => node.stop()));
  });

  test.each(rows)('leaves a node that $what, says why, and takes it back when it recovers', async (row) => {
    const [bad, good] = nodes;
    if (!bad || !good || !cluster) throw new Error('nothing was started');
    onTestFinished(() => row.recover(bad, good)); // The next row begins with nodes that are well.
    const { gateways } = cluster;

    await row.goBad(bad, good);
    await cluster.reason('net', 'a', row.reason);
    const before = bad.reads;
    expect(await readThrough(gateways, 'net', 30)).toEqual([]);
    expect(bad.reads - before).toBe(0);
    await cluster.reason('net', 'b', null);
    await cluster.reason('net', 'c', null);

    await row.recover(bad, good);
    await cluster.reason('net', 'a', null);
    await waitFor(
      async () => {
        expect(await readThrough(gateways, 'net', 3)).toEqual([]);
        return bad.reads > before;
      },
      { what: 'the node to be read from again' },
    );
  });
});
