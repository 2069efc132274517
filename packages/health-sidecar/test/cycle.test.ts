// Decides: whether probing, ranking and publishing work together, over real sockets and the memory store.
import { createMemoryStore } from '@rpc-balancer/shared';
import { describe, expect, test } from 'vitest';
import { freePort } from '../../../test/kit/ports.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import { monotonicNow } from '../src/runtime.ts';
import { configOf, network, reasonsIn, says, stage, startNodes } from './stage.ts';

/** Nobody listens there; a port that was free a moment ago may be somebody else's by now. */
const NOWHERE = { url: 'http://127.0.0.1:2' };

test('healthy upstreams are ranked without a reason, with seq rising by one under one epoch', async () => {
  const nodes = await startNodes({}, {}, {});
  const { ranked, rankings } = stage({ config: configOf({ main: network(nodes) }) });
  const ranking = await ranked('five rankings', ({ seq }) => seq >= 4);
  expect(reasonsIn(ranking)).toEqual({ a: null, b: null, c: null });
  expect(ranking).toMatchObject({ identity: '1', finalized: 936, head: { number: 1000, confirmations: 3 } });
  expect(rankings.map(({ seq }) => seq)).toEqual([...rankings.keys()]);
  expect(new Set(rankings.map(({ epoch }) => epoch)).size).toBe(1);
});

test('the head follows the chain and its block interval is learned', async () => {
  const nodes = await startNodes({ blockTimeMs: 200 }, { blockTimeMs: 200 }, { blockTimeMs: 200 });
  const { ranked } = stage({ config: configOf({ main: network(nodes) }) });
  const ranking = await ranked('ten blocks', ({ head }) => (head?.number ?? 0) >= 1010);
  expect(reasonsIn(ranking)).toEqual({ a: null, b: null, c: null });
  expect(ranking.blockIntervalMs).toBeGreaterThan(80);
  expect(ranking.blockIntervalMs).toBeLessThan(500);
});

test('SQ-05: a node is probed once in each interval', async () => {
  const [node] = await startNodes({});
  if (!node) throw new TypeError('a node was started');
  const beganAt = Date.now();
  const probe = { interval: 250, timeout: 3000, attempts: 1 };
  stage({ config: configOf({ main: network([node], { probe }) }) });
  await waitFor(() => node.hits('eth_blockNumber') >= 5, { what: 'five probes' });
  const times = node.requests
    .filter(({ methods }) => methods.includes('eth_blockNumber'))
    .map(({ at }) => at);
  expect((times[4] ?? 0) - beganAt).toBeGreaterThan(4 * 250 - 10); // Timers may be a millisecond early.
});

describe('an upstream', () => {
  test('that hangs delays neither the first ranking nor the others, and is not probed twice at once (incident 16)', async () => {
    const [good, hung] = await startNodes({}, { mode: 'hang' });
    if (!good || !hung) throw new TypeError('two nodes were started');
    const probe = { interval: 100, timeout: 60_000, attempts: 1 };
    const { ranked } = stage({ config: configOf({ main: network([good, hung], { probe }) }) });
    const first = await ranked('the first ranking');
    expect(reasonsIn(first)).toEqual({ a: null, b: 'unprobed' });
    await ranked('the good one to be probed on', ({ seq, head }) => seq >= 5 && head?.number === 1000);
    expect(hung.hits('eth_chainId')).toBe(1);
    expect(good.hits('eth_chainId')).toBeGreaterThanOrEqual(5);
  });

  test.each([{ wasWell: false }, { wasWell: true }])(
    'that hangs does not keep back for long that the only other is dead: both were well before: $wasWell',
    async ({ wasWell }) => {
      const nodes = await startNodes({ mode: wasWell ? 'ok' : 'hang' }, {});
      const [hung, mortal] = nodes;
      if (!hung || !mortal) throw new TypeError('two nodes were started');
      if (!wasWell) await mortal.kill();
      const probe = { interval: 100, timeout: 60_000, attempts: 1 };
      const { ranked } = stage({ config: configOf({ main: network(nodes, { probe }) }) });
      if (wasWell) {
        await ranked('both to be well', (all) => says('a', null)(all) && says('b', null)(all));
        hung.mode = 'hang';
        await mortal.kill();
      }
      const ranking = await ranked('the dead one', says('b', 'unreachable'));
      expect(reasonsIn(ranking).a).toBe(wasWell ? null : 'unprobed');
    },
  );

  test('that lies and answers first is not believed before the other had its time', async () => {
    const { promise: until, resolve: answer } = Promise.withResolvers<void>();
    const [liar, honest] = await startNodes(
      { mode: 'lie' },
      { answer: ({ method }) => (method === 'eth_chainId' ? { result: '0x1', until } : undefined) },
    );
    if (!liar || !honest) throw new TypeError('two nodes were started');
    // By the sidecar's clock, no halt of the machine takes the time that the other has: longer than an interval.
    let time = monotonicNow();
    const now = () => time;
    const { ranked, rankings } = stage({ config: configOf({ main: network([liar, honest]) }), now });
    await ranked('what is said before both were heard');
    time += 500;
    await ranked('what is said when an interval is over', ({ seq }) => seq > 0);
    answer();
    await ranked('both to be judged', (all) => says('a', 'suspect')(all) && says('b', null)(all));
    const heads = new Set(rankings.map(({ head }) => head?.number ?? null));
    expect([...heads]).toEqual([null, 1000]);
  });

  test('that is far behind and the only one heard at first does not keep the other out', async () => {
    const chain = { headAt: Date.now() - 500_000, blockTimeMs: 250 };
    const behind = { ...chain, now: () => Date.now() - 250_000 };
    const [late, good] = await startNodes(behind, { ...chain, mode: 'http500' });
    if (!late || !good) throw new TypeError('two nodes were started');
    const { ranked } = stage({ config: configOf({ main: network([late, good]) }) });
    await ranked('the late one to be believed', says('a', null));
    good.mode = 'ok';
    await ranked('the good one to be believed', (all) => says('a', 'lagging')(all) && says('b', null)(all));
  });

  test('that dies is unreachable, and is back when it is', async () => {
    const [a, b] = await startNodes({}, {});
    if (!a || !b) throw new TypeError('two nodes were started');
    const { ranked } = stage({ config: configOf({ main: network([a, b]) }) });
    await ranked('both to be well', (ranking) => says('a', null)(ranking) && says('b', null)(ranking));
    await b.kill();
    await ranked('the dead one', says('b', 'unreachable'));
    await b.restart();
    await ranked('its return', says('b', null));
  });

  test('that becomes another chain is wrong_chain, the others are not', async () => {
    const nodes = await startNodes({}, {}, {});
    const { ranked } = stage({ config: configOf({ main: network(nodes) }) });
    await ranked('the identity', ({ identity }) => identity === '1');
    for (const node of nodes.slice(0, 1)) node.chainId = 5;
    const ranking = await ranked('the stray', says('a', 'wrong_chain'));
    expect(reasonsIn(ranking)).toEqual({ a: 'wrong_chain', b: null, c: null });
  });

  test('whose certificate cannot be read is unreachable and harms nobody', async () => {
    const [good] = await startNodes({});
    if (!good) throw new TypeError('a node was started');
    const ca = '-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n';
    const upstreams = [
      { id: 'a', url: good.url },
      { id: 'b', url: good.url.replace('http:', 'https:'), tls: { ca } },
    ];
    const { ranked } = stage({ config: configOf({ main: { ...network([]), upstreams } }) });
    expect(reasonsIn(await ranked('both verdicts', says('b', 'unreachable'))).a).toBeNull();
  });
});

describe('of three upstreams', () => {
  test('SQ-07: one that claims an absurd head is suspect and moves nothing', async () => {
    const nodes = await startNodes({}, {}, { mode: 'lie', lieBy: 74_500_000 });
    const { ranked } = stage({ config: configOf({ main: network(nodes) }) });
    const ranking = await ranked('the liar', says('c', 'suspect'));
    expect(ranking.head?.number).toBe(1000);
    expect(reasonsIn(ranking)).toEqual({ a: null, b: null, c: 'suspect' });
  });

  test('one whose head freezes is left, also when it never lags by more than allowed', async () => {
    const moving = { blockTimeMs: 150 };
    const nodes = await startNodes(moving, moving, moving);
    const config = configOf({ main: network(nodes, { maxLagBlocks: 1_000_000 }) });
    const { ranked } = stage({ config });
    await ranked('an interval', ({ blockIntervalMs }) => blockIntervalMs !== null);
    for (const node of nodes.slice(2)) node.mode = 'frozen';
    const ranking = await ranked('the frozen one', says('c', 'stalled'));
    expect(reasonsIn(ranking)).toEqual({ a: null, b: null, c: 'stalled' });
    for (const node of nodes.slice(2)) node.mode = 'ok';
    await ranked('its return', says('c', null));
  });

  test('one dead and one a thousand blocks behind leave the head to the third', async () => {
    const moving = { blockTimeMs: 100 };
    const nodes = await startNodes(moving, moving);
    const { ranked } = stage({ config: configOf({ main: network([...nodes, NOWHERE]) }) });
    await ranked('an interval', ({ blockIntervalMs }) => blockIntervalMs !== null);
    for (const node of nodes.slice(1)) node.head -= 1000;
    const fallen = await ranked('the one that fell behind', says('b', 'lagging'));
    const later = await ranked(
      'more blocks',
      ({ head }) => (head?.number ?? 0) > (fallen.head?.number ?? 0) + 5,
    );
    expect(reasonsIn(later)).toEqual({ a: null, b: 'lagging', c: 'unreachable' });
  });
});

describe('of two upstreams', () => {
  test.each([{ liarAt: 0 }, { liarAt: 1 }])(
    'a liar from the start is suspect: at $liarAt',
    async ({ liarAt }) => {
      const nodes = await startNodes(
        liarAt === 0 ? { mode: 'lie' } : {},
        liarAt === 1 ? { mode: 'lie' } : {},
      );
      const { ranked, rankings } = stage({ config: configOf({ main: network(nodes) }) });
      await ranked('the liar', says(liarAt === 0 ? 'a' : 'b', 'suspect'));
      await ranked('some more', ({ seq }) => seq > 5);
      expect(rankings.every(({ head }) => (head?.number ?? 0) <= 1000)).toBe(true);
    },
  );

  test('one that begins to lie is suspect, and the head goes on', async () => {
    const moving = { blockTimeMs: 150 };
    const nodes = await startNodes(moving, moving);
    const { ranked } = stage({ config: configOf({ main: network(nodes) }) });
    await ranked('an interval', ({ blockIntervalMs }) => blockIntervalMs !== null);
    for (const node of nodes.slice(1)) node.mode = 'lie';
    const caught = await ranked('the liar', says('b', 'suspect'));
    const later = await ranked(
      'more blocks',
      ({ head }) => (head?.number ?? 0) > (caught.head?.number ?? 0) + 5,
    );
    expect(reasonsIn(later)).toEqual({ a: null, b: 'suspect' });
  });

  test('one that freezes is left', async () => {
    const moving = { blockTimeMs: 150 };
    const nodes = await startNodes(moving, moving);
    const { ranked } = stage({ config: configOf({ main: network(nodes) }) });
    await ranked('an interval', ({ blockIntervalMs }) => blockIntervalMs !== null);
    for (const node of nodes.slice(0, 1)) node.mode = 'frozen';
    const ranking = await ranked('the frozen one', (one) => reasonsIn(one).a !== null);
    expect(['stalled', 'lagging']).toContain(reasonsIn(ranking).a);
    expect(reasonsIn(ranking).b).toBeNull();
  });
});

test('all stuck at one height keep serving, and the metric says since when the head stands', async () => {
  const nodes = await startNodes({}, {}, {});
  const { ranked, sidecar } = stage({ config: configOf({ main: network(nodes) }) });
  const first = await ranked('the head', ({ head }) => head !== null);
  const later = await ranked('more rankings', ({ seq }) => seq > 8);
  expect(reasonsIn(later)).toEqual({ a: null, b: null, c: null });
  expect(later.head?.agreedAt).toBe(first.head?.agreedAt);
  expect(await sidecar.metrics()).toMatch(/network_head_timestamp_seconds\{network="main"\} \d/);
});

test('a network of which every node hangs does not stop another', async () => {
  const [good, hung] = await startNodes({}, { mode: 'hang' });
  if (!good || !hung) throw new TypeError('two nodes were started');
  const probe = { interval: 100, timeout: 60_000, attempts: 1 };
  const { ranked } = stage({
    config: configOf({ stuck: network([hung], { probe }), main: network([good], { probe }) }),
  });
  expect((await ranked('the other network', ({ seq }) => seq > 5)).head?.number).toBe(1000);
});

test('a network with probe: off is neither probed nor published', async () => {
  const [off, on] = await startNodes({}, {});
  if (!off || !on) throw new TypeError('two nodes were started');
  const config = configOf({ quiet: network([off], { probe: 'off' }), main: network([on]) });
  const { ranked, store, sidecar } = stage({ config });
  await ranked('the other network', ({ seq }) => seq > 3);
  expect(off.hits()).toBe(0);
  expect(await store.readRanking('quiet')).toBeNull();
  expect(sidecar.status().networks.find((one) => one.network === 'quiet')?.state).toBe('off');
});

test('a ranking is renewed before it is too old, however rarely is probed', async () => {
  const [node] = await startNodes({});
  if (!node) throw new TypeError('a node was started');
  const probe = { interval: 3_600_000, timeout: 5000, attempts: 1 };
  const { ranked } = stage({
    config: configOf({ main: network([node], { probe }) }, { rankingMaxAge: 1000 }),
  });
  expect(reasonsIn(await ranked('a third ranking', ({ seq }) => seq >= 2))).toEqual({ a: null });
  expect(node.hits('eth_chainId')).toBe(1);
});

test('a node whose answers take ten intervals is well between them, too', async () => {
  const nodes = await startNodes({ mode: 'late', lateMs: 1000 }, {});
  const { ranked, rankings } = stage({ config: configOf({ main: network(nodes) }) });
  const first = await ranked('its first answer', says('a', null));
  await waitFor(() => (nodes[0]?.hits('eth_chainId') ?? 0) > 2, { what: 'its third probe' });
  expect(rankings.filter(({ seq }) => seq > first.seq).every(says('a', null))).toBe(true);
});

test('incident 11: probes keep within the budget of calls, and what they found counts until the next', async () => {
  const nodes = await startNodes({}, {});
  const maxPerMinute = 1200;
  const probe = { interval: 100, timeout: 5000, attempts: 3, maxPerMinute };
  const { ranked, rankings } = stage({
    config: configOf({ main: network(nodes, { probe }) }, { rankingMaxAge: 1000 }),
  });
  const first = await ranked('the first verdict', says('a', null));
  const last = await ranked('more of them', ({ seq }) => seq > first.seq + 8);
  const elapsedMs = last.generatedAt - (rankings[0]?.generatedAt ?? 0);
  for (const node of nodes) {
    // One probe begins before the first ranking, one may go on after the last.
    expect(node.hits()).toBeLessThanOrEqual((elapsedMs / 60_000) * maxPerMinute + 10);
  }
  const since = rankings.filter(({ seq }) => seq > first.seq);
  expect(since.every((ranking) => says('a', null)(ranking) && says('b', null)(ranking))).toBe(true);
});

test.each([
  { what: 'is slower to answer than the period of its probes', first: {} },
  { what: 'answers after another has told of a head', first: { pushMode: 'heads', blockTimeMs: 50 } },
] as const)('the next publisher leaves nobody out who $what', async ({ first }) => {
  const nodes = await startNodes(first, { mode: 'late', lateMs: 300, blockTimeMs: 50 });
  const store = createMemoryStore(monotonicNow);
  const config = configOf({ main: network(nodes, { maxLagBlocks: 100 }) });
  const before = stage({ config, store, instance: 'before' });
  await before.ranked('both to be well', (all) => says('a', null)(all) && says('b', null)(all));
  await before.sidecar.stop();
  const { ranked, rankings } = stage({ config, store });
  await ranked('some rankings', ({ publisher, seq }) => publisher === 'one' && seq >= 3);
  const own = rankings.filter(({ publisher }) => publisher === 'one');
  expect(own.filter((ranking) => !says('b', null)(ranking))).toEqual([]);
});

test('the next publisher goes on with head, identity and block interval of the last', async () => {
  const nodes = await startNodes({ mode: 'lie', chainId: 5 }, { chainId: 1 });
  const store = createMemoryStore(monotonicNow);
  const before = await store.acquire('main', 'before', 60_000);
  if (before === null) throw new TypeError('nobody else holds it');
  const head = { number: 1000, hash: null, headerAt: null, agreedAt: monotonicNow(), confirmations: 2 };
  const known = { version: 1, network: 'main', epoch: before.epoch, seq: 9, publisher: 'before' } as const;
  const learned = {
    generatedAt: monotonicNow(),
    configHash: 'h',
    identity: '1',
    finalized: null,
    upstreams: [],
  };
  await store.publish(before, { ...known, ...learned, head, blockIntervalMs: 12_000 }, 60_000);
  await store.release(before);

  const { ranked, rankings } = stage({ config: configOf({ main: network(nodes) }), store });
  const judged = await ranked(
    'both to be judged',
    (all) => says('a', 'wrong_chain')(all) && says('b', null)(all),
  );
  const first = rankings.find(({ publisher }) => publisher === 'one');
  for (const ranking of [first, judged]) {
    expect(ranking).toMatchObject({ identity: '1', blockIntervalMs: 12_000, head: { number: 1000 } });
    expect(ranking?.head?.agreedAt).toBe(head.agreedAt);
  }
  expect(first?.seq).toBe(0);
  expect(first?.epoch).toBeGreaterThan(before.epoch);
});

test('a stored ranking that is none is left aside', async () => {
  const [node] = await startNodes({});
  if (!node) throw new TypeError('a node was started');
  const store = createMemoryStore(monotonicNow);
  const foreign = { ...store, readRanking: async () => '{"version":99}' };
  const { sidecar, logged } = stage({ config: configOf({ main: network([node]) }), store: foreign });
  await waitFor(() => (sidecar.status().networks[0]?.seq ?? -1) > 1, { what: 'rankings' });
  expect(logged.join('\n')).toContain('the stored ranking is not ours');
});

test('nothing that is logged or shown holds a secret of the configuration', async () => {
  const port = await freePort();
  const secret = { url: `http://user:hunter22@127.0.0.1:${port}/v3/0123456789abcdef?key=hidden99` };
  const { ranked, sidecar, logged, store } = stage({ config: configOf({ main: network([secret]) }) });
  await ranked('its verdict', says('a', 'unreachable'));
  const shown = [
    ...logged,
    JSON.stringify(sidecar.status()),
    await sidecar.metrics(),
    await store.readRanking('main'),
  ];
  expect(shown.join('\n')).not.toMatch(/hunter22|0123456789abcdef|hidden99/);
  expect(sidecar.status().networks[0]?.upstreams[0]?.detail).toMatch(/eth_/);
});
