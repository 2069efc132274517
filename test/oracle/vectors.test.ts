// The vectors that were measured with GET, asked of nginx itself and of a replica with `compat: nginx` over an http network.
import { describe, expect, onTestFinished, test } from 'vitest';
import { openNginx, openReplica } from './doors.ts';
import type { NodeMode, Scenario } from './scenario.ts';
import { type Seen, Side, startNodes } from './side.ts';

const NODE = { weight: 1, maxFails: 3, failTimeoutS: 30, maxConns: 0, backup: false, down: false };
/** Three nodes as in OpenZeppelin's file. */
const OZ: Scenario = {
  seed: 0,
  protocol: 'http',
  strategy: 'least_conn',
  nodes: [NODE, NODE, NODE],
  retryOn: ['error', 'timeout', 'invalid_header', 'http_500', 'http_502', 'http_503', 'http_504'],
  tries: 3,
  deadlineMs: 30_000,
  groups: [],
};
const REPEATING: Scenario = { ...OZ, retryOn: [...OZ.retryOn, 'non_idempotent'] };

interface Asked {
  readonly seen: readonly Seen[];
  readonly hits: readonly number[];
}

/** What was seen of so many requests, one after another, by new nodes of which some are in this mode. */
async function asked(
  open: typeof openNginx,
  scenario: Scenario,
  { mode, failing, verb, count }: { mode: NodeMode; failing: number; verb: string; count: number },
): Promise<Asked> {
  const nodes = await startNodes(scenario.nodes.length);
  const { doors, stop } = await open([{ scenario, nodes }]);
  const [door] = doors;
  if (!door) throw new Error('there is a door for each group');
  const side = new Side(nodes, door);
  onTestFinished(async () => {
    await side.stop();
    await stop();
  });
  for (let at = 0; at < failing; at++) await side.setMode(at, mode);
  const seen: Seen[] = [];
  for (let at = 0; at < count; at++) seen.push(await side.request(verb));
  return { seen, hits: side.hits() };
}

const countOf = ({ seen }: Asked, wanted: number) => seen.filter(({ status }) => status === wanted).length;
const attempts = ({ seen }: Asked) => seen.map(({ tried }) => tried.length);

describe.each([
  ['nginx', openNginx],
  ['a replica with compat nginx', openReplica],
] as const)('%s', (_name, open) => {
  test('V6: while all nodes answer 500 to GET the counts are used up, then nothing is contacted', async () => {
    const told = await asked(open, OZ, { mode: 'http500', failing: 3, verb: 'GET', count: 7 });
    expect(told.seen.map(({ status }) => status)).toEqual([500, 500, 500, 502, 502, 502, 502]);
    expect(attempts(told)).toEqual([3, 3, 3, 2, 1, 0, 0]);
    expect(told.hits).toEqual([4, 3, 5]);
  });

  test('V7: a 500 to POST is passed on and excludes nobody, and moves on only where POST may be repeated', async () => {
    const load = { mode: 'http500', failing: 1, verb: 'POST', count: 12 } as const;
    const plain = await asked(open, OZ, load);
    expect([countOf(plain, 200), countOf(plain, 500), plain.hits[0]]).toEqual([8, 4, 4]);
    const repeating = await asked(open, REPEATING, load);
    expect([countOf(repeating, 200), repeating.hits[0]]).toEqual([12, 3]);
  });

  test('V8: a reset costs the POST that meets it, and a GET one more attempt, until the node is left', async () => {
    const posted = await asked(open, OZ, { mode: 'reset', failing: 1, verb: 'POST', count: 14 });
    expect([countOf(posted, 200), countOf(posted, 502), posted.hits[0]]).toEqual([11, 3, 3]);
    const got = await asked(open, OZ, { mode: 'reset', failing: 1, verb: 'GET', count: 12 });
    expect([countOf(got, 200), attempts(got).filter((count) => count === 2).length]).toEqual([12, 3]);
  });
});
