import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { runInNewContext } from 'node:vm';
import { expect, onTestFinished, test } from 'vitest';
import type { FakeNode } from '../../../test/kit/fake-node.ts';
import { startGateway } from '../../../test/kit/gateway.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import { configOf, startFront, startNodes } from './front.ts';

const MIB = 1024 ** 2;
const CALL = '{"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":[{}]}';

/** POSTs the call and hands the answer over unread. */
async function open(origin: string): Promise<IncomingMessage> {
  const call = request(`${origin}/net`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    agent: false,
  });
  onTestFinished(() => void call.destroy());
  call.on('error', () => {}); // Whoever reads the answer hears of it.
  call.end(CALL);
  const [response] = (await once(call, 'response')) as [IncomingMessage];
  return response;
}

/** Reads to the end; rejects when the body breaks. */
async function digestOf(response: IncomingMessage): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { bytes, sha256: hash.digest('hex') };
}

async function startStreaming(bytes: number, network: object = {}) {
  const [node, other] = (await startNodes({}, {})) as [FakeNode, FakeNode];
  node.answer = () => ({ stream: bytes });
  other.answer = () => ({ stream: bytes });
  const front = await startFront([node, other], { network });
  return { front, node, other };
}

/** Resident memory of a process in bytes, as Linux tells it. */
function residentBytes(pid: number): number {
  const kilobytes = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kilobytes) * 1024;
}

test('huge answers arrive byte for byte through a fresh gateway whose memory hardly grows', async () => {
  const [node] = (await startNodes({})) as [FakeNode];
  const gateway = await startGateway({ config: configOf([node]) });
  onTestFinished(async () => void (await gateway.stop()));
  // The path is loaded by its first reads, whatever their size.
  for (let read = 0; read < 3; read++) await digestOf(await open(gateway.url));
  node.answer = () => ({ stream: 64 * MIB });
  const before = residentBytes(gateway.process.pid);
  let highest = before;
  for (let answer = 0; answer < 3; answer++) {
    const response = await open(gateway.url);
    response.on('data', () => {
      highest = Math.max(highest, residentBytes(gateway.process.pid));
    });
    const received = await digestOf(response);
    const sent = node.streams.at(-1);
    expect(received).toEqual({ bytes: sent?.bytes, sha256: sent?.sha256 });
    expect(received.bytes).toBeGreaterThan(64 * MIB);
  }
  expect(highest - before).toBeLessThan(32 * MIB);
});

test("a host's globals stay as they are when huge answers make the runtime collect", async () => {
  const { front, node } = await startStreaming(8 * MIB);
  const received = await digestOf(await open(front.origin));
  expect(received.sha256).toBe(node.streams[0]?.sha256);
  expect(globalThis.gc).toBeUndefined();
  expect(runInNewContext('typeof gc')).toBe('undefined');
});

test('an answer without a length arrives whole as well', async () => {
  const { front, node } = await startStreaming(0);
  node.answer = () => ({ stream: 2 * MIB, chunked: true });
  const received = await digestOf(await open(front.origin));
  expect(received).toEqual({ bytes: node.streams[0]?.bytes, sha256: node.streams[0]?.sha256 });
});

test('an answer that fits what is held and one just above it both arrive', async () => {
  for (const digits of [256 * 1024 - 200, 256 * 1024 + 1]) {
    const { front, node } = await startStreaming(digits);
    const response = await open(front.origin);
    const received = await digestOf(response);
    expect(received).toEqual({ bytes: node.streams[0]?.bytes, sha256: node.streams[0]?.sha256 });
    expect(response.headers['content-length']).toBe(String(received.bytes));
    await waitFor(() => front.upstream('a').inFlight === 0, { what: 'the attempt to end' });
    expect(front.upstream('a')).toMatchObject({ fails: 0 });
  }
});

test('a client that does not read makes the node wait, and gets everything when it does', async () => {
  const { front, node } = await startStreaming(64 * MIB);
  const response = await open(front.origin);
  response.pause();
  // The node is done only when all was taken; what all buffers on the way hold is far below.
  const written = () => response.socket.bytesRead;
  await waitFor(settled(written), { what: 'the flow to stop' });
  expect(node.streams).toEqual([]);
  expect(front.upstream('a').inFlight).toBe(1);
  const received = await digestOf(response);
  expect(received.sha256).toBe(node.streams[0]?.sha256);
});

/** True once a number has not changed between ten looks. */
function settled(read: () => number): () => boolean {
  let last = -1;
  let same = 0;
  return () => {
    same = read() === last ? same + 1 : 0;
    last = read();
    return same >= 10;
  };
}

test('a client that leaves in the middle frees the attempt and the node, and blames nobody', async () => {
  const { front, node } = await startStreaming(64 * MIB);
  const response = await open(front.origin);
  await once(response, 'data');
  response.destroy();
  await waitFor(() => front.upstream('a').inFlight === 0, { what: 'the attempt to end' });
  await waitFor(() => node.streams.length === 1, { what: 'the node to be done' });
  expect(node.streams[0]?.complete).toBe(false);
  expect(front.upstream('a').fails).toBe(0);
});

test('a cut after the answer began is a broken body for the client and a failure of the node', async () => {
  const { front, node, other } = await startStreaming(4 * MIB);
  node.mode = 'cut';
  const response = await open(front.origin);
  expect(response.statusCode).toBe(200);
  await expect(digestOf(response)).rejects.toThrow();
  await waitFor(() => front.upstream('a').inFlight === 0, { what: 'the attempt to end' });
  expect(front.upstream('a').fails).toBe(1);
  expect(other.hits()).toBe(0);
});

test('a cut before more than is held has come is repaired elsewhere', async () => {
  const { front, node, other } = await startStreaming(200 * 1024);
  node.mode = 'cut';
  const received = await digestOf(await open(front.origin));
  expect(received.sha256).toBe(other.streams[0]?.sha256);
  expect(front.upstream('a').fails).toBe(1);
});

test('a huge answer that is no good is dropped unread, and the read succeeds elsewhere', async () => {
  const { front, node, other } = await startStreaming(0);
  node.answer = () => ({ status: 500, body: 'x'.repeat(32 * MIB) });
  other.answer = () => ({ result: 'right' });
  const { json } = await front.call('eth_gasPrice');
  expect(json.result).toBe('right');
  await waitFor(() => node.inFlight === 0, { what: 'the node to be freed' });
  expect(front.upstream('a')).toMatchObject({ fails: 1, inFlight: 0 });
});

test('the deadline ends an answer that was not taken in time', async () => {
  const { front, node } = await startStreaming(64 * MIB, {
    connectTimeout: 100,
    readTimeout: 300,
    deadline: 700,
  });
  const response = await open(front.origin);
  response.pause();
  await waitFor(() => front.upstream('a').inFlight === 0, { what: 'the attempt to end' });
  await expect(digestOf(response)).rejects.toThrow();
  await waitFor(() => node.streams.length === 1, { what: 'the node to be done' });
  expect(node.streams[0]?.complete).toBe(false);
  expect(front.upstream('a').fails).toBe(0);
});
