// Decides: how a test asks a network with nginx's rules, or with ours, over FakeNodes and with a clock of its own.
// Must not know: what is asserted.
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { createClock, type FakeClock } from '../../../test/kit/clock.ts';
import type { FakeNode } from '../../../test/kit/fake-node.ts';
import { forward } from '../src/forward.ts';
import { answerOf } from '../src/guard/answer.ts';
import { Cancellation } from '../src/upstream/cancellation.ts';
import type { Network } from '../src/upstream/network.ts';
import { startNodes } from './front.ts';
import { configOf } from './members.ts';
import { networkWith } from './networks.ts';

export interface Told {
  readonly status: number;
  /** Ids of the upstreams in the order of the attempts. */
  readonly tried: string;
  readonly text: string;
}

export interface Bench {
  readonly network: Network;
  readonly nodes: readonly FakeNode[];
  readonly clock: FakeClock;
  post(method?: string, cancellation?: Cancellation): Promise<Told>;
  /** One after another. */
  postMany(count: number): Promise<Told[]>;
  fails(): number[];
}

type Config = Parameters<typeof configOf>;

/** Upstreams `a`, `b`, `c` … on FakeNodes. */
export async function startBench(upstreams: Config[0], settings: Config[1] = {}): Promise<Bench> {
  const nodes = await startNodes(...upstreams.map(() => ({})));
  const clock = createClock();
  let tried: string[] = [];
  const network = networkWith({
    name: 'net',
    config: configOf(
      upstreams.map((upstream, at) => ({ url: nodes[at]?.url ?? '', ...upstream })),
      { probe: 'off', connectTimeout: 300, readTimeout: 150, ...settings },
    ),
    limits: { batchLimit: 10, batchAnswerLimitBytes: 65_536, holdAnswerBytes: 65_536 },
    onAttempt: (_network, upstream) => tried.push(upstream),
  });

  async function post(method = 'eth_gasPrice', cancellation = new Cancellation()): Promise<Told> {
    tried = [];
    const body = Buffer.from(`{"jsonrpc":"2.0","id":1,"method":"${method}","params":["0x01"]}`);
    const incoming = { body, suffix: '', headers: [], pin: null, cancellation };
    const answer = answerOf(await forward(network, incoming, clock.now), 'r');
    const written = answer.body instanceof Readable ? text(answer.body) : answer.body;
    // A broken body is told as what the client would have: nothing whole.
    const told = await Promise.resolve(written).then(String, () => 'cut');
    // One turn later its connection may be used again.
    await new Promise((resolve) => setImmediate(resolve));
    return { status: answer.status, tried: tried.join(''), text: told };
  }
  return {
    network,
    nodes,
    clock,
    post,
    async postMany(count) {
      const told: Told[] = [];
      for (let at = 0; at < count; at++) told.push(await post());
      return told;
    },
    fails: () => network.state.members.map(({ fails }) => fails),
  };
}
