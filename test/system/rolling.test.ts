import { Pool } from 'undici';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { FakeNode } from '../kit/fake-node.ts';
import { waitFor } from '../kit/wait.ts';
import { PATIENT_PROBE, startTrio, type Trio } from './cluster.ts';
import { balanceAnswer, balanceCall, idOf, startChain, upstreamsOf } from './upstreams.ts';

const READ_EVERY_MS = 10;
const READS_BETWEEN = 50;
/** A machine that cannot keep up is not given more and more. */
const RUNNING_MAX = 32;

/** Refused, or reset before any byte of an answer. */
const LEFT: ReadonlySet<string | undefined> = new Set(['ECONNREFUSED', 'ECONNRESET', 'UND_ERR_SOCKET']);

interface Reader {
  readonly answered: number;
  readonly failed: readonly string[];
  more(count: number): Promise<unknown>;
  stop(): Promise<void>;
}

/**
 * Reads through the replicas in turn, with a connection for each read, as a front that keeps none does. A replica that is being
 * stopped and takes no connection any more (or resets one that the system had taken) is passed over; all else is a failed read.
 */
function startReader(urls: () => readonly string[], isLeaving: (url: string) => boolean): Reader {
  const failed: string[] = [];
  const running = new Set<Promise<void>>();
  let begun = 0;
  let answered = 0;

  async function read(index: number): Promise<void> {
    const replicas = urls();
    for (let turn = 0; turn < replicas.length; turn++) {
      const url = replicas[(index + turn) % replicas.length] ?? '';
      const pool = new Pool(url, { pipelining: 0 });
      try {
        const headers = { 'content-type': 'application/json' };
        const body = balanceCall(index);
        const answer = await pool.request({ method: 'POST', path: '/net', headers, body });
        const text = await answer.body.text();
        if (text === balanceAnswer(index)) answered++;
        else failed.push(`HTTP ${answer.statusCode} ${text.slice(0, 200)}`);
        return;
      } catch (error) {
        const { code } = error as { code?: string }; // errors of sockets carry a code
        if (isLeaving(url) && LEFT.has(code)) continue;
        failed.push(String(error));
        return;
      } finally {
        await pool.destroy();
      }
    }
    failed.push('no replica takes connections');
  }

  const timer = setInterval(() => {
    if (running.size >= RUNNING_MAX) return;
    const one = read(begun++).finally(() => running.delete(one));
    running.add(one);
  }, READ_EVERY_MS);

  return {
    get answered() {
      return answered;
    },
    failed,
    more(count) {
      const goal = answered + count;
      return waitFor(() => answered >= goal, { what: `${count} more reads to be answered` });
    },
    async stop() {
      clearInterval(timer);
      await Promise.all(running);
    },
  };
}

describe('under a constant load', () => {
  let nodes: FakeNode[] = [];
  let trio: Trio;

  beforeAll(async () => {
    nodes = await startChain({}, {}, {});
    trio = await startTrio({
      net: { probe: PATIENT_PROBE, failTimeout: '1s', upstreams: upstreamsOf(nodes) },
    });
    await trio.wellEverywhere();
  });

  afterAll(async () => {
    await trio?.stop();
    await Promise.all(nodes.map((node) => node.stop()));
  });

  test('every node, replica and sidecar is restarted in turn and no read fails', {
    timeout: 150_000,
  }, async () => {
    const leaving = new Set<string>();
    const reader = startReader(
      () => trio.gateways.map(({ url }) => url),
      (url) => leaving.has(url),
    );
    onTestFinished(() => reader.stop());
    await reader.more(READS_BETWEEN);
    for (const [at, node] of nodes.entries()) {
      await node.kill();
      await trio.reason('net', idOf(at), 'unreachable', 'ejected');
      await node.restart();
      await trio.reason('net', idOf(at), null);
      await reader.more(READS_BETWEEN);
    }
    for (const gateway of [...trio.gateways]) {
      leaving.add(gateway.url);
      const { code } = await gateway.stop();
      expect(code).toBe(0);
      trio.gateways.splice(trio.gateways.indexOf(gateway), 1);
      await trio.addGateway();
      await reader.more(READS_BETWEEN);
    }
    for (const sidecar of [...trio.sidecars]) {
      await sidecar.stop();
      trio.sidecars.splice(trio.sidecars.indexOf(sidecar), 1);
      await trio.addSidecar();
      await trio.publisher('net');
      await reader.more(READS_BETWEEN);
    }
    await reader.stop();
    expect(reader.failed).toEqual([]);
    expect(trio.gateways).toHaveLength(3);
    expect(reader.answered).toBeGreaterThan(8 * READS_BETWEEN);
  });
});
