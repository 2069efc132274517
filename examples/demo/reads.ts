// Decides: what a client of the demo asks, how often, and what counts as a failure.
// Must not know: what stands behind the endpoints. It is a client like any other: viem, over HTTP.
import { createPublicClient, http, type PublicClient } from 'viem';
import { CHAIN_ID } from './nodes.ts';

/** The longest list of what went wrong. */
const FAILURES_MAX = 20;

/** An error of viem has some lines, of which the first ones tell the most. */
const PROBLEM_CHARS_MAX = 300;

/** A read that takes longer has failed, whatever comes later. */
const TIMEOUT_MS = 10_000;

/** An account that every anvil funds. */
const RICH = '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266';

export interface ReadsReport {
  readonly answered: number;
  readonly failed: number;
  readonly worstMs: number;
  /** The first ones, in words. */
  readonly failures: readonly string[];
}

export interface Reads {
  report(): ReadsReport;
  /** Sends no more, waits for what is on its way. */
  stop(): Promise<ReadsReport>;
}

export interface ReadsOptions {
  /** Asked before each read; the reads go to them in turn. */
  readonly endpoints: () => readonly string[];
  readonly ratePerS: number;
  /** Then no more are sent. */
  readonly max: number;
}

interface Read {
  readonly name: string;
  readonly send: (client: PublicClient) => Promise<unknown>;
  readonly isRight: (answer: unknown) => boolean;
}

const isNatural = (answer: unknown) => typeof answer === 'bigint' && answer >= 0n;

const READS: readonly Read[] = [
  { name: 'eth_blockNumber', send: (client) => client.getBlockNumber(), isRight: isNatural },
  {
    name: 'eth_getBalance',
    send: (client) => client.getBalance({ address: RICH }),
    isRight: (answer) => isNatural(answer) && answer !== 0n,
  },
  { name: 'eth_chainId', send: (client) => client.getChainId(), isRight: (answer) => answer === CHAIN_ID },
  { name: 'eth_gasPrice', send: (client) => client.getGasPrice(), isRight: isNatural },
];

/** Open loop: a read goes out when it is due, whether or not the ones before were answered. */
export function startReads({ endpoints, ratePerS, max }: ReadsOptions): Reads {
  const clients = new Map<string, PublicClient>();
  const running = new Set<Promise<void>>();
  const failures: string[] = [];
  let sent = 0;
  let answered = 0;
  let failed = 0;
  let worstMs = 0;

  function clientOf(url: string): PublicClient {
    // No retry and no cache, so that every failure of an endpoint is seen.
    const transport = http(url, { retryCount: 0, timeout: TIMEOUT_MS });
    const client = clients.get(url) ?? createPublicClient({ transport, cacheTime: 0 });
    clients.set(url, client);
    return client;
  }

  async function send(index: number, read: Read, url: string): Promise<void> {
    const startedAt = performance.now();
    let problem: string | null = null;
    try {
      const answer = await read.send(clientOf(url));
      if (!read.isRight(answer)) problem = `answered ${String(answer)}`;
    } catch (error) {
      problem = String(error).replaceAll(/\s+/g, ' ').slice(0, PROBLEM_CHARS_MAX);
    }
    worstMs = Math.max(worstMs, performance.now() - startedAt);
    if (problem === null) answered++;
    else {
      failed++;
      if (failures.length < FAILURES_MAX) failures.push(`read ${index}, ${read.name} at ${url}: ${problem}`);
    }
  }

  const timer = setInterval(() => {
    const urls = endpoints();
    const url = urls[sent % urls.length];
    // Not in step with the endpoints, so that each of them gets each kind of read.
    const read = READS[Math.floor(sent / Math.max(urls.length, 1)) % READS.length];
    if (url === undefined || read === undefined || sent >= max) return;
    const one = send(sent++, read, url).finally(() => running.delete(one));
    running.add(one);
  }, 1000 / ratePerS);

  const report = () => ({ answered, failed, worstMs, failures: [...failures] });
  return {
    report,
    async stop() {
      clearInterval(timer);
      await Promise.all(running);
      return report();
    },
  };
}
