// `pnpm bench:pick`: what one pick costs with three upstreams, and with a thousand that all tie.
import { bench, run } from 'mitata';
import { beginAttempt, endAttempt } from '../../packages/gateway-plugin/src/balance/ejection.ts';
import { createNetworkState } from '../../packages/gateway-plugin/src/balance/network-state.ts';
import { isRefusal, pick, type Wanted } from '../../packages/gateway-plugin/src/balance/pick.ts';
import { validateConfig } from '../../packages/shared/src/index.ts';
import { createRandom } from '../kit/clock.ts';

const STRATEGIES = ['least_conn', 'round_robin', 'latency', 'single_best'] as const;
const WANTED: Wanted = {
  tried: [],
  tag: null,
  asked: [{ method: 'eth_call', view: null }],
  answered: false,
  behind: [],
};

function stateOf(strategy: (typeof STRATEGIES)[number], count: number) {
  const { networks } = validateConfig({
    networks: {
      net: {
        strategy,
        probe: 'off',
        upstreams: [{ id: 'model', url: 'http://127.0.0.1:1' }],
      },
    },
  });
  const [model] = networks.net?.upstreams ?? [];
  if (!networks.net || !model) throw new Error('the network was just given');
  // More than the schema allows in a file: a name may stand for many addresses.
  const upstreams = Array.from({ length: count }, (_, at) => ({ ...model, id: `node-${at}` }));
  return createNetworkState({ ...networks.net, upstreams }, { rankingMaxAgeMs: 30_000 });
}

for (const count of [3, 1000]) {
  for (const strategy of STRATEGIES) {
    const state = stateOf(strategy, count);
    const random = createRandom(1);
    let now = 1_700_000_000_000;
    bench(`${strategy}, ${count} upstreams`, () => {
      now += 0.01;
      const picked = pick(state, WANTED, now, random);
      if (isRefusal(picked)) throw new Error('everybody is eligible');
      beginAttempt(picked, now, 1000);
      endAttempt(picked);
    });
  }
}

await run();
