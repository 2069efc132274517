import { type ChainView, chainView, type Reason } from '@rpc-balancer/shared';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  configOf,
  memberOf,
  picked,
  RANKING_MAX_AGE_MS,
  rankingOf,
  type UpstreamInput,
  unprobed,
} from '../../test/members.ts';
import { behindOf, missingBlocks, needOf } from './blocks.ts';
import type { BlockNeed } from './heads.ts';
import { adoptSnapshot, createNetworkState, type NetworkState } from './network-state.ts';
import { nextSnapshot } from './snapshot.ts';

const NOW = 1_704_067_200_000;
const NEED: BlockNeed = { head: 100, since: 0, finalized: 0, anyTier: true };

interface Sampled {
  readonly head: number | null;
  readonly finalized?: number;
  readonly reason?: Reason | null;
}

/** A network whose ranking, accepted now, says this of its upstreams. */
function stateOf(
  sampled: readonly Sampled[],
  upstreams: readonly UpstreamInput[] = sampled.map(() => ({})),
): NetworkState {
  const state = createNetworkState(configOf(upstreams), { rankingMaxAgeMs: RANKING_MAX_AGE_MS });
  adopt(state, sampled, NOW);
  return state;
}

function adopt(
  state: NetworkState,
  sampled: readonly Sampled[],
  at: number,
  head: number | null = null,
): void {
  const ranking = rankingOf(
    sampled.map(({ reason }) => reason ?? null),
    { seq: at - NOW + 1 },
  );
  const upstreams = ranking.upstreams.map((upstream, index) => {
    const number = sampled[index]?.head ?? null;
    const finalized = sampled[index]?.finalized ?? null;
    return { ...upstream, finalized, head: number === null ? null : { number, hash: null, headerAt: null } };
  });
  const networkHead =
    head === null ? null : { number: head, hash: null, headerAt: null, agreedAt: at, confirmations: 1 };
  const finalized = Math.max(0, ...sampled.map((one) => one.finalized ?? 0));
  const next = nextSnapshot(state.snapshot, { ...ranking, upstreams, head: networkHead, finalized }, at);
  if (next) adoptSnapshot(state, next);
}

function show(state: NetworkState, at: number, head: number, when: number): void {
  const member = memberOf(state, at);
  member.shownHead = head;
  member.shownAt = when;
}

const idsOf = (members: readonly { readonly id: string }[]) => members.map(({ id }) => id).join('');
const behind = (state: NetworkState, need: BlockNeed, now = NOW) => idsOf(behindOf(state, need, [], now));

describe('upstreams that lack a block', () => {
  test.each<[string, readonly Sampled[], string]>([
    ['are those whose head is below it', [{ head: 100 }, { head: 99 }, { head: 101 }], 'b'],
    ['are nobody when everybody has it', [{ head: 100 }, { head: 100 }, { head: 101 }], ''],
    [
      'incident 5: and those of unknown head come after who has it',
      [{ head: null }, { head: 100 }, { head: 99 }],
      'ac',
    ],
    [
      'incident 5: and those of unknown head come before who lacks it',
      [{ head: null }, { head: 98 }, { head: 99 }],
      'bc',
    ],
    ['are all but the nearest when nobody has it', [{ head: 90 }, { head: 99 }, { head: 98 }], 'ac'],
    [
      'are compared with upstreams that may be picked',
      [{ head: 100, reason: 'syncing' }, { head: 98 }, { head: 99 }],
      'b',
    ],
  ])('%s', (_, sampled, expected) => {
    expect(behind(stateOf(sampled), NEED)).toBe(expected);
  });

  test('are known by what their answers have shown since', () => {
    const state = stateOf([{ head: 99 }, { head: 99 }, { head: 99 }]);
    show(state, 1, 100, NOW + 10);
    expect(behind(state, NEED, NOW + 20)).toBe('ac');
  });

  test('are known by a later ranking again, when what they showed is surely older', () => {
    const state = stateOf([{ head: 100 }, { head: 99 }]);
    show(state, 1, 100, NOW);
    adopt(state, [{ head: 100 }, { head: 99 }], NOW + 6000);
    expect(behind(state, NEED, NOW + 6000)).toBe('');
    adopt(state, [{ head: 100 }, { head: 99 }], NOW + 8000);
    expect(behind(state, NEED, NOW + 8000)).toBe('b');
  });

  test('are unknown again when neither a ranking nor an answer is young enough', () => {
    const state = unprobed([{}, {}]);
    show(state, 0, 100, NOW);
    expect(behind(state, NEED, NOW + RANKING_MAX_AGE_MS)).toBe('b');
    expect(behind(state, NEED, NOW + RANKING_MAX_AGE_MS + 1)).toBe('');
  });

  test('are not known by an implausible answer', () => {
    const state = createNetworkState(configOf([{}, {}]), { rankingMaxAgeMs: RANKING_MAX_AGE_MS });
    adopt(state, [{ head: 90 }, { head: 90 }], NOW, 90);
    show(state, 1, 1_000_090, NOW);
    expect(behind(state, NEED)).toBe('');
  });

  test('are those that have not finalized what most have', () => {
    const state = stateOf([{ head: 100, finalized: 36 }, { head: 100, finalized: 30 }, { head: 100 }]);
    expect(behind(state, { ...NEED, head: 0, finalized: 36 })).toBe('bc');
  });

  test('come after the others of their tier for the mark, and after all for a block', () => {
    const state = stateOf([{ head: 98 }, { head: 99 }, { head: 100 }], [{}, {}, { tier: 'fallback' }]);
    expect(behind(state, NEED)).toBe('ab');
    expect(behind(state, { ...NEED, anyTier: false })).toBe('a');
  });

  test('may have reached the mark since they were looked at', () => {
    const state = stateOf([{ head: 100 }, { head: 99 }, { head: 98 }]);
    const member = memberOf(state, 1);
    const need = { ...NEED, head: 101, since: NOW + 10 };
    expect(behind(state, need, NOW + 20)).toBe('');
    expect(missingBlocks(state, member, need, [], NOW + 20)).toBe(0);
    expect(missingBlocks(state, member, { ...need, since: 0 }, [], NOW + 20)).toBe(2);
  });

  test('never get a call while another has its block, whatever else is known', () => {
    const head = fc.option(fc.integer({ min: 95, max: 105 }));
    fc.assert(
      fc.property(fc.array(head, { minLength: 1, maxLength: 6 }), fc.integer({ min: 1 }), (heads, seed) => {
        const state = stateOf(heads.map((one) => ({ head: one })));
        const member = picked(state, NOW, { behind: behindOf(state, NEED, [], NOW) }, () => (seed % 97) / 97);
        const best = heads.some((one) => one !== null && one >= 100);
        if (best) expect(heads[member?.index ?? -1]).toBeGreaterThanOrEqual(100);
        else expect(member).not.toBeNull();
      }),
    );
  });

  test('are left for another tier although their lag would be borne', () => {
    const upstreams = [{}, { tier: 'fallback' as const }];
    const state = createNetworkState(configOf(upstreams, { fallbackLagBlocks: 50 }), {
      rankingMaxAgeMs: RANKING_MAX_AGE_MS,
    });
    adopt(state, [{ head: 90, reason: 'lagging' }, { head: 100 }], NOW);
    expect(picked(state, NOW)?.id).toBe('a');
    expect(picked(state, NOW, { behind: behindOf(state, NEED, [], NOW) })?.id).toBe('b');
  });
});

describe('what calls need', () => {
  const of = (method: string, params: unknown = []): { view: ChainView | null; lastResort: unknown } => ({
    view: chainView(method, params),
    lastResort: null,
  });

  function marked(): NetworkState {
    const state = stateOf([{ head: 100, finalized: 36 }]);
    state.heads.raise(100, NOW);
    state.heads.learnHeight(`0x${'ab'.repeat(32)}`, 77);
    return state;
  }

  const explicit = { since: 0, finalized: 0, anyTier: true };
  const mark = { head: 100, since: NOW, finalized: 0, anyTier: false };

  test.each<[string, ReturnType<typeof of>[], BlockNeed | null]>([
    ['nothing', [of('eth_chainId'), of('eth_getTransactionReceipt', ['0x'])], null],
    ['a number', [of('eth_getBalance', ['0xaa', '0x50'])], { head: 80, ...explicit }],
    [
      'the highest number',
      [of('eth_getBalance', ['0xaa', '0x50']), of('eth_call', [{}, '0x51'])],
      { head: 81, ...explicit },
    ],
    [
      'the height of a hash',
      [of('eth_getLogs', [{ blockHash: `0x${'AB'.repeat(32)}` }])],
      { head: 77, ...explicit },
    ],
    ['nothing for a hash nobody has shown', [of('eth_getBlockByHash', [`0x${'cd'.repeat(32)}`])], null],
    ['the mark for latest', [of('eth_call', [{}, 'latest'])], mark],
    ['the mark for pending', [of('eth_call', [{}, 'pending'])], mark],
    [
      'a number above the mark rather than the mark',
      [of('eth_getLogs', [{ fromBlock: '0x65' }])],
      { head: 101, ...explicit },
    ],
    ['the mark rather than a number below it', [of('eth_getLogs', [{ fromBlock: '0x1' }])], mark],
    [
      'nothing where the answer shows its head',
      [of('eth_blockNumber'), of('eth_getBlockByNumber', ['latest'])],
      null,
    ],
    [
      'the mark when such an answer was too low',
      [{ ...of('eth_blockNumber'), lastResort: 'x' }],
      { ...mark, anyTier: true },
    ],
    ['the finalized block', [of('eth_call', [{}, 'safe'])], { ...explicit, head: 0, finalized: 36 }],
  ])('is %s', (_, calls, expected) => {
    expect(needOf(marked(), calls, NOW)).toEqual(expected);
  });

  test('is not the mark when the head may go back, and no finalized block that is forgotten', () => {
    const state = createNetworkState(configOf([{}], { monotonicHead: 'off' }), { rankingMaxAgeMs: 1 });
    state.heads.raise(100, NOW);
    expect(needOf(state, [of('eth_call', [{}, 'latest'])], NOW)).toBeNull();
    expect(needOf(marked(), [of('eth_call', [{}, 'safe'])], NOW + RANKING_MAX_AGE_MS + 1)).toBeNull();
  });
});
