// `pnpm bench:pick`: what one pick costs with three upstreams, with a thousand that all tie, and where each request must be looked at.
import { bench, run } from 'mitata';
import { beginAttempt, endAttempt } from '../../packages/gateway-plugin/src/balance/ejection.ts';
import {
  createNetworkState,
  type NetworkState,
} from '../../packages/gateway-plugin/src/balance/network-state.ts';
import { isRefusal, pick, type Wanted } from '../../packages/gateway-plugin/src/balance/pick.ts';
import { markUnsupported } from '../../packages/gateway-plugin/src/balance/unsupported.ts';
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

function stateOf(strategy: (typeof STRATEGIES)[number], count: number, maxConns: number | 'off' = 'off') {
  const { networks } = validateConfig({
    networks: {
      net: {
        strategy,
        probe: 'off',
        upstreams: [{ id: 'model', url: 'http://127.0.0.1:1', maxConns }],
      },
    },
  });
  const [model] = networks.net?.upstreams ?? [];
  if (!networks.net || !model) throw new Error('the network was just given');
  // More than the schema allows in a file: a name may stand for many addresses.
  const upstreams = Array.from({ length: count }, (_, at) => ({ ...model, id: `node-${at}` }));
  return createNetworkState({ ...networks.net, upstreams }, { rankingMaxAgeMs: 30_000 });
}

function measure(name: string, state: NetworkState) {
  const random = createRandom(1);
  let now = 1_700_000_000_000;
  bench(name, () => {
    now += 0.01;
    const picked = pick(state, WANTED, now, random);
    if (isRefusal(picked)) throw new Error('everybody is eligible');
    beginAttempt(picked, now, 1000);
    endAttempt(picked);
  });
}

for (const count of [3, 1000]) {
  for (const strategy of STRATEGIES) measure(`${strategy}, ${count} upstreams`, stateOf(strategy, count));
  measure(`least_conn, ${count} upstreams with maxConns`, stateOf('least_conn', count, 100));
  const lacking = stateOf('least_conn', count);
  for (const member of lacking.members)
    markUnsupported(member, 'made_up', Number.POSITIVE_INFINITY, 1_700_000_000_000);
  measure(`least_conn, ${count} upstreams that lack another method`, lacking);
}

await run();
