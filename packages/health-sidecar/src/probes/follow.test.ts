// Decides: when an upstream is listened to, by a socket and a clock that the test moves.
import type { Head } from '@rpc-balancer/shared';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Socket } from '../runtime.ts';
import { evm } from './evm.ts';
import { follow } from './follow.ts';
import type { Push } from './protocol.ts';
import { PROTOCOLS } from './protocols.ts';

/** What the follower uses of a WebSocket; the test is the other side. */
class ScriptedSocket extends EventTarget {
  readonly sent: string[] = [];
  closed = false;
  terminated = false;
  /** Whether the other side agrees to a closing. */
  answers = true;
  onopen = () => {};
  onmessage = (_: { readonly data: unknown }) => {};
  onerror = () => {};
  onclose = () => {};

  send(text: string): void {
    this.sent.push(text);
  }
  close(): void {
    this.closed = true;
    if (this.answers) this.onclose();
  }
  terminate(): void {
    this.terminated = true;
  }
  tell(message: object): void {
    this.onmessage({ data: JSON.stringify({ jsonrpc: '2.0', ...message }) });
  }
  tellHead(number: number): void {
    this.tell({ method: 'eth_subscription', params: { result: { number: `0x${number.toString(16)}` } } });
  }
}

interface Pause {
  readonly ms: number;
  readonly end: () => void;
}

/** A follower whose sockets and pauses come to the test, in their order. */
function bench({ random = 1, opens = true } = {}) {
  const sockets: ScriptedSocket[] = [];
  const pauses: Pause[] = [];
  const heads: number[] = [];
  const endedAfter: number[] = [];
  const over = new AbortController();
  let now = 0;
  const following = follow({
    // A protocol without it would be another test.
    push: evm.push as Push,
    async open() {
      if (!opens) throw new Error('no such certificate');
      const socket = new ScriptedSocket();
      sockets.push(socket);
      return socket as unknown as Socket; // It has what is used of one.
    },
    ...{ timeoutMs: 700, signal: over.signal, now: () => now, random: () => random },
    pause: (ms, signal) =>
      new Promise((resolve) => {
        if (signal.aborted) return resolve();
        pauses.push({ ms, end: resolve });
        signal.addEventListener('abort', () => resolve(), { once: true });
      }),
    onHead: ({ number }: Head) => heads.push(number),
    onEnd: () => endedAfter.push(heads.length),
  });
  onTestFinished(async () => {
    over.abort();
    await following.ended;
  });
  /** Everything that is ready to run has run. */
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
  return {
    ...{ sockets, pauses, heads, endedAfter, over, following, settle },
    advance: (ms: number) => {
      now += ms;
    },
  };
}

async function opened(given = bench()) {
  await given.settle();
  const [socket] = given.sockets;
  if (!socket) throw new Error('a socket is opened at once');
  socket.onopen();
  return { ...given, socket };
}

test('an upstream is asked for heads when its socket is open, and each head is told', async () => {
  const { socket, heads } = await opened();
  expect(socket.sent.map((text) => JSON.parse(text))).toEqual([
    { jsonrpc: '2.0', id: 1, method: 'eth_subscribe', params: ['newHeads'] },
  ]);
  socket.tell({ id: 1, result: '0x1' });
  for (const number of [5, 6]) socket.tellHead(number);
  expect(heads).toEqual([5, 6]);
});

test('an upstream that does not agree in time is left for a pause', async () => {
  const { socket, pauses, settle } = await opened();
  expect(pauses.map(({ ms }) => ms)).toEqual([700]);
  pauses[0]?.end();
  await settle();
  expect(socket.closed).toBe(true);
  expect(pauses[1]?.ms).toBe(8000);
});

test('one that has agreed may take its time to tell', async () => {
  const { socket, pauses, settle } = await opened();
  socket.tell({ id: 1, result: '0x1' });
  pauses[0]?.end();
  await settle();
  expect(socket.closed).toBe(false);
});

describe('the pause before the next socket', () => {
  async function pausesOf(
    count: number,
    random: number,
    { told = 0, lastsMs = 0 }: { readonly told?: number; readonly lastsMs?: number } = {},
  ): Promise<number[]> {
    const given = await opened(bench({ random }));
    const seen: number[] = [];
    for (let at = 0; at < count; at++) {
      const socket = given.sockets.at(-1);
      if (at < told) socket?.tellHead(5);
      given.advance(at < told ? lastsMs : 0);
      socket?.onclose();
      await given.settle();
      seen.push(given.pauses.at(-1)?.ms ?? 0);
      given.pauses.at(-1)?.end();
      await given.settle();
    }
    return seen;
  }

  test('grows up to ten minutes where nothing was ever told', async () => {
    const pauses = await pausesOf(4, 1);
    expect(pauses).toEqual([8000, 128_000, 600_000, 600_000]);
  });

  test('is ten seconds at most where heads were told before', async () => {
    expect(await pausesOf(5, 1, { told: 1, lastsMs: 10_000 })).toEqual([500, 2000, 8000, 10_000, 10_000]);
  });

  test('grows, too, while each socket ends soon after it has told', async () => {
    expect(await pausesOf(3, 1, { told: 3, lastsMs: 9999 })).toEqual([2000, 8000, 10_000]);
    expect(await pausesOf(3, 1, { told: 3, lastsMs: 10_000 })).toEqual([500, 500, 500]);
  });

  test('is spread down to its half', async () => {
    expect(await pausesOf(2, 0)).toEqual([4000, 64_000]);
  });

  test('is long after a refusal', async () => {
    const { socket, pauses, settle } = await opened();
    socket.tell({ id: 1, error: { code: -32_601, message: 'no such method' } });
    await settle();
    expect([socket.closed, pauses.at(-1)?.ms]).toEqual([true, 600_000]);
  });

  test('is short after a subscription that was agreed to and is cancelled', async () => {
    const { socket, pauses, advance, settle } = await opened();
    socket.tell({ id: 1, result: {} });
    socket.tellHead(5);
    advance(60_000);
    socket.tell({ id: 1, error: { code: -32_000, message: 'subscription was cancelled' } });
    await settle();
    expect([socket.closed, pauses.at(-1)?.ms]).toEqual([true, 500]);
  });

  test('comes, too, when no socket can be opened', async () => {
    const given = bench({ opens: false });
    await given.settle();
    expect(given.pauses.map(({ ms }) => ms)).toEqual([8000]);
  });
});

describe('a subscription that polls see more than', () => {
  test('is opened anew when it stays behind for three seconds', async () => {
    const { socket, following, advance, settle } = await opened();
    socket.tellHead(5);
    following.polled(6);
    advance(2999);
    following.polled(7);
    await settle();
    expect(socket.closed).toBe(false);
    advance(1);
    following.polled(7);
    await settle();
    expect(socket.closed).toBe(true);
  });

  test('is left alone when it tells as much in the meantime', async () => {
    const { socket, following, advance, settle } = await opened();
    socket.tellHead(5);
    following.polled(6);
    socket.tellHead(6);
    advance(5000);
    following.polled(7);
    await settle();
    expect(socket.closed).toBe(false);
  });
});

test('nothing is told after the end, and the socket is closed', async () => {
  const { socket, over, following, heads } = await opened();
  over.abort();
  await following.ended;
  socket.tellHead(5);
  expect([socket.closed, heads]).toEqual([true, []]);
});

test('the end of each connection is told', async () => {
  const { socket, endedAfter, settle } = await opened();
  socket.tellHead(5);
  expect(endedAfter).toEqual([]);
  socket.onclose();
  await settle();
  expect(endedAfter).toEqual([1]);
});

describe('a socket whose closing is never answered', () => {
  async function closing() {
    const given = await opened();
    given.socket.answers = false;
    given.socket.onerror();
    await given.settle();
    expect(given.socket).toMatchObject({ closed: true, terminated: false });
    return given;
  }

  test('is ended by force after three seconds, and not before is there another', async () => {
    const { socket, sockets, pauses, settle } = await closing();
    expect(pauses.at(-1)?.ms).toBe(3000);
    pauses.at(-1)?.end();
    await settle();
    expect([socket.terminated, pauses.at(-1)?.ms, sockets.length]).toEqual([true, 8000, 1]);
  });

  test('is ended by force when nobody wants to be told any more', async () => {
    const { socket, over, following } = await closing();
    over.abort();
    await following.ended;
    expect(socket.terminated).toBe(true);
  });
});

test('no message of any protocol breaks it, and a head that is believed has an exact height', () => {
  const pushes = Object.values(PROTOCOLS).flatMap(({ push }) => push ?? []);
  const odd = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom('0x10000000000000000', '-0x1', '0x', -1, 2 ** 53, '7'),
  );
  const shapes = [
    (value: unknown) => ({ params: { result: value } }),
    (value: unknown) => ({ params: { result: { number: value, timestamp: value, hash: value } } }),
    (value: unknown) => ({ result: { data: { value: { header: { height: value, time: value } } } } }),
    (value: unknown) => ({ params: value, result: value }),
  ];
  const property = fc.property(
    odd,
    fc.constantFrom(...shapes),
    fc.constantFrom(...pushes),
    (value, shape, push) => {
      const head = push.headIn(shape(value));
      expect(head === null || (Number.isSafeInteger(head.number) && head.number >= 0)).toBe(true);
    },
  );
  fc.assert(property, { numRuns: 2000 });
});
