import { type LocatedUpstream, validateConfig } from '@rpc-balancer/shared';
import { expect, test } from 'vitest';
import { createBudgets } from './budgets.ts';

const NOW = 1_700_000_000_000;
const SENT = { method: 'POST', headers: {}, signal: new AbortController().signal };

function upstreamOf(failTimeout: number): LocatedUpstream {
  const upstreams = [{ id: 'a', url: 'http://127.0.0.1:1', failTimeout }];
  const [upstream] = validateConfig({ networks: { main: { upstreams } } }).networks.main?.upstreams ?? [];
  if (!upstream) throw new TypeError('the upstream was named in the lines above');
  return { ...upstream, voter: 'a', addresses: [] };
}

/** Budgets of one upstream whose answers ask to wait so many seconds. */
function budgetsOf(failTimeout = 30_000) {
  let now = NOW;
  const asked: (number | null)[] = [];
  const budgets = createBudgets({
    network: 'main',
    store: { readUsages: async () => [] },
    fetcherOf: async () => ({
      fetch: async () => {
        const seconds = asked.shift() ?? null;
        return new Response('', seconds === null ? {} : { headers: { 'retry-after': String(seconds) } });
      },
      socket: () => {
        throw new Error('there are no sockets here');
      },
      close: async () => {},
    }),
    now: () => now,
    log: { debug() {}, info() {}, warn() {}, error() {} },
    redact: (text) => text,
  });
  return {
    budgets,
    advance: (ms: number) => {
      now += ms;
    },
    /** Until when the upstream is left alone after a probe that ends so, from now. */
    async probed(failure: 'throttled' | 'probe_failed' | null, ...seconds: (number | null)[]) {
      asked.push(...seconds);
      const fetcher = await budgets.fetcherOf(upstreamOf(failTimeout));
      for (const _ of seconds) await fetcher.fetch('http://127.0.0.1:1', SENT);
      budgets.probed('a', failure);
      return Math.max(0, budgets.retryAt('a') - now);
    },
  };
}

test('a limit leaves the upstream alone for the longest that the answers to its probe ask', async () => {
  expect(await budgetsOf().probed('throttled', 5, 7, null, 6)).toBe(7000);
  expect(await budgetsOf(2000).probed('throttled', 5)).toBe(2000);
});

test('what was asked beside another answer than a limit is neither kept nor remembered', async () => {
  const { probed } = budgetsOf();
  expect(await probed('probe_failed', 20)).toBe(0);
  expect(await probed(null, 20)).toBe(0);
  expect(await probed('throttled', null)).toBe(1000);
});

test('a probe is refused without a time for longer and longer, until one succeeds', async () => {
  const { probed, advance } = budgetsOf();
  expect(await probed('throttled', null)).toBe(1000);
  advance(1000);
  expect(await probed('throttled', null)).toBe(2000);
  advance(2000);
  await probed(null, null);
  expect(await probed('throttled', null)).toBe(1000);
});

test('until when the upstream is left alone is told while it lasts', async () => {
  const { budgets, probed, advance } = budgetsOf();
  budgets.refresh();
  await budgets.idle();
  await probed('throttled', 7);
  const told = () => budgets.of(['a']).get('a');
  expect(told()).toMatchObject({ attempts: 1, throttled: 1, retryAt: NOW + 7000 });
  advance(7000);
  expect(told()?.retryAt).toBeNull();
});
