import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import fastify from 'fastify';
import { describe, expect, test } from 'vitest';
import { configFile } from '../../../test/kit/paths.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import { rpcBalancer } from '../src/index.ts';
import { listen } from './front.ts';
import { answering, ask, FAULTS, type HttpBench, startHttpBench, startHttpNode } from './http-nodes.ts';

/** How often each node was asked. */
const hits = ({ nodes }: HttpBench) => nodes.map(({ seen }) => seen.length);

/** Requests begin at `a`, which does this. */
async function withFirst(respond: (typeof FAULTS)[string] | undefined, network: object = {}) {
  const bench = await startHttpBench({ network: { readTimeout: 200, connectTimeout: 200, ...network } });
  if (respond) bench.nodes[0].respond = respond;
  else await bench.nodes[0].kill();
  return bench;
}

async function withAll(respond: (typeof FAULTS)[string] | undefined, network: object = {}) {
  const bench = await withFirst(respond, network);
  for (const node of bench.nodes) if (respond) node.respond = respond;
  return bench;
}

describe('a node that fails', () => {
  test.each([
    ['is away', undefined],
    ['resets', FAULTS.reset],
    ['hangs', FAULTS.hang],
    ['writes a bad header', FAULTS['bad header']],
    ['answers with a status that there is not', FAULTS['odd status']],
    ['breaks off in the body', FAULTS.cut],
    ['answers 500', answering(500)],
    ['answers 502', answering(502)],
    ['answers 503', answering(503)],
    ['answers 504', answering(504)],
  ])('costs a GET nothing and counts when it %s', async (_what, respond) => {
    const bench = await withFirst(respond);
    expect(await bench.ask('GET', '/net/x')).toMatchObject({ status: 200, text: 'b' });
    expect(bench.front.upstream('a')).toMatchObject({ fails: 1, inFlight: 0 });
    expect(bench.front.upstream('b')).toMatchObject({ fails: 0, inFlight: 0 });
  });

  test.each(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'PROPFIND', 'MKCOL', 'UNLOCK'])(
    'has its %s sent to the next, since that changes nothing more the second time',
    async (verb) => {
      const bench = await withFirst(FAULTS.reset);
      const body = verb === 'PUT' ? { body: 'whole body' } : {};
      expect((await bench.ask(verb, '/net/x', body)).status).toBe(200);
      expect(hits(bench)).toEqual([1, 1, 0]);
      expect(bench.nodes[1].seen[0]?.body).toBe(body.body ?? '');
    },
  );

  test.each(['POST', 'PATCH', 'LOCK', 'PURGE'])(
    'may have carried out a %s, which is sent to nobody else',
    async (verb) => {
      const bench = await withFirst(FAULTS.reset);
      const { status, error } = await bench.ask(verb, '/net/x', { body: 'x' });
      expect([status, error]).toMatchObject([
        502,
        { code: 'RPCB_FATE_UNKNOWN', network: 'net', attempts: [{ upstream: 'a', outcome: 'failed' }] },
      ]);
      expect(hits(bench)).toEqual([1, 0, 0]);
    },
  );

  test.each([
    ['when nothing was sent', undefined],
    ['when the node refused it for its rate', answering(429)],
  ])('has its POST sent to the next %s', async (_when, respond) => {
    const bench = await withFirst(respond);
    expect(await bench.ask('POST', '/net/x', { body: 'x' })).toMatchObject({ status: 200, text: 'b' });
  });

  test('has its own 500 to a POST passed on, and it counts', async () => {
    const bench = await withFirst(answering(500));
    expect(await bench.ask('POST', '/net/x')).toMatchObject({ status: 500, text: 'it says 500' });
    expect(hits(bench)).toEqual([1, 0, 0]);
    expect(bench.front.upstream('a').fails).toBe(1);
  });

  test('is asked nothing more for the time that its 429 names', async () => {
    const bench = await withFirst(answering(429, { 'retry-after': '20' }));
    expect((await bench.ask('GET', '/net/x')).text).toBe('b');
    expect(bench.front.upstream('a')).toMatchObject({ fails: 0, reason: 'throttled' });
  });
});

describe('what sends a request on', () => {
  test.each([400, 401, 403, 404, 501])('%i is an answer, and the node is well', async (status) => {
    const bench = await withFirst(answering(status));
    expect(await bench.ask('GET', '/net/x')).toMatchObject({ status, text: `it says ${status}` });
    expect(bench.front.upstream('a')).toMatchObject({ fails: 0, reason: null });
  });

  test.each([
    ['http_403', 403],
    ['http_404', 404],
  ])('with %s in the list %i does, and says nothing against the node', async (word, status) => {
    const bench = await withFirst(answering(status), { retryOn: [word] });
    expect(await bench.ask('GET', '/net/x')).toMatchObject({ status: 200, text: 'b' });
    expect(bench.front.upstream('a')).toMatchObject({ fails: 0, reason: null });
  });

  test.each([
    ['error', FAULTS.reset],
    ['timeout', FAULTS.hang],
    ['invalid_header', FAULTS['bad header']],
  ])('without %s in the list the failure is the answer', async (word, respond) => {
    const others = ['error', 'timeout', 'invalid_header'].filter((one) => one !== word);
    const bench = await withFirst(respond, { retryOn: others });
    const { status, error } = await bench.ask('GET', '/net/x');
    expect([status, error?.code]).toEqual([502, 'RPCB_ATTEMPTS_FAILED']);
    expect(hits(bench)).toEqual([1, 0, 0]);
  });

  test('with non_idempotent a POST is repeated, and its fate stays unknown when nobody answers', async () => {
    const retryOn = ['error', 'non_idempotent'];
    const lucky = await withFirst(FAULTS.reset, { retryOn });
    expect((await lucky.ask('POST', '/net/x')).text).toBe('b');
    const unlucky = await withAll(FAULTS.reset, { retryOn });
    expect((await unlucky.ask('POST', '/net/x')).error?.code).toBe('RPCB_FATE_UNKNOWN');
    expect(hits(unlucky)).toEqual([1, 1, 1]);
  });

  test('a path that the configuration calls a read is repeated, and one that it calls a write is not', async () => {
    const methods = { reads: ['/query/*'], writes: ['/run/*'] };
    const asking = await withFirst(FAULTS.reset, { methods });
    expect((await asking.ask('POST', '/net/query/a/b')).text).toBe('b');
    const running = await withFirst(FAULTS.reset, { methods });
    expect((await running.ask('GET', '/net/run/a?b')).error?.code).toBe('RPCB_FATE_UNKNOWN');
  });
});

describe('when nobody answers well', () => {
  test("the last node's own answer goes out, after as many attempts as there are tries", async () => {
    const bench = await withAll(answering(503, { 'x-own': '1' }), { tries: 2 });
    const { status, text, headers } = await bench.ask('GET', '/net/x');
    expect([status, text, headers['x-own']]).toEqual([503, 'it says 503', '1']);
    expect(hits(bench)).toEqual([1, 1, 0]);
  });

  test('a node that said something is heard although the others were silent', async () => {
    const bench = await withAll(FAULTS.reset);
    bench.nodes[0].respond = answering(500);
    expect(await bench.ask('GET', '/net/x')).toMatchObject({ status: 500, text: 'it says 500' });
    expect(hits(bench)).toEqual([1, 1, 1]);
  });

  test('the error names the attempts, then the reasons, and is a JSON object', async () => {
    const bench = await withAll(FAULTS.reset, { maxFails: 1, failTimeout: '60s' });
    const failed = await bench.ask('GET', '/net/x');
    expect(failed).toMatchObject({
      status: 502,
      error: {
        code: 'RPCB_ATTEMPTS_FAILED',
        network: 'net',
        attempts: ['a', 'b', 'c'].map((upstream) => ({ upstream, outcome: 'failed' })),
        requestId: failed.headers['x-request-id'],
      },
    });
    const refused = await bench.ask('GET', '/net/x');
    expect(refused).toMatchObject({
      status: 503,
      error: { code: 'RPCB_NO_UPSTREAM', reasons: { a: 'ejected', b: 'ejected', c: 'ejected' } },
    });
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect(await bench.ask('HEAD', '/net/x')).toMatchObject({ status: 503, text: '' });
  });

  test('the deadline ends a read with 504, and what may have been carried out with an unknown fate', async () => {
    const network = { deadline: 250, readTimeout: 200, connectTimeout: 40 };
    const bench = await withAll(FAULTS.hang, network);
    expect(await bench.ask('GET', '/net/x')).toMatchObject({ status: 504, error: { code: 'RPCB_DEADLINE' } });
    const other = await withAll(FAULTS.hang, network);
    expect((await other.ask('POST', '/net/x')).error?.code).toBe('RPCB_FATE_UNKNOWN');
  });

  test('a path may have a deadline of its own', async () => {
    const bench = await withAll(FAULTS.hang, { deadlines: { '/slow/*': 100 } });
    expect((await bench.ask('GET', '/net/slow/x')).error?.code).toBe('RPCB_DEADLINE');
    expect(hits(bench)).toEqual([1, 0, 0]);
  });

  test('the deadline covers the last byte of a large answer', async () => {
    const bench = await withAll(
      (_request, response) => {
        response.writeHead(200, { 'content-length': '1000000' });
        response.write('x'.repeat(400_000));
        const drip = setInterval(() => response.write('x'), 20);
        response.once('close', () => clearInterval(drip));
      },
      { deadline: 1500, readTimeout: 1400, connectTimeout: 40 },
    );
    await expect(bench.ask('GET', '/net/x')).rejects.toThrow();
    await waitFor(() => bench.front.upstream('a').inFlight === 0, { what: 'the attempt to end', everyMs: 5 });
  });
});

describe('the rules of all networks hold for http ones', () => {
  test('a drained upstream gets nothing, and a full one nothing more', async () => {
    const bench = await startHttpBench({ upstreams: [{}, {}, { maxConns: 1 }] });
    await bench.front.app.rpcBalancer.drain('net', 'a');
    await bench.front.app.rpcBalancer.drain('net', 'b');
    expect((await bench.ask('GET', '/net/x')).text).toBe('c');
    const [, , last] = bench.nodes;
    last.respond = FAULTS.hang ?? last.respond;
    const held = bench.ask('GET', '/net/held');
    await waitFor(() => last.seen.length === 2, { what: 'the node to have it', everyMs: 5 });
    const { status, error } = await bench.ask('GET', '/net/x');
    expect([status, error]).toMatchObject([
      503,
      { code: 'RPCB_OVERLOADED', reasons: { a: 'drained', b: 'drained', c: 'full' } },
    ]);
    await last.kill();
    expect((await held).status).toBe(502);
  });

  test('a client that leaves ends the attempt, which says nothing about the node', async () => {
    const bench = await withFirst(FAULTS.hang, { readTimeout: '10s' });
    const { origin } = bench.front;
    const leaving = request(origin, { path: '/net/x', agent: false }).on('error', () => {});
    leaving.end();
    await waitFor(() => bench.nodes[0].seen.length === 1, { what: 'the node to have it', everyMs: 5 });
    leaving.destroy();
    await waitFor(() => bench.front.upstream('a').inFlight === 0, { what: 'its end', everyMs: 5 });
    expect(bench.front.upstream('a').fails).toBe(0);
    expect(hits(bench)).toEqual([1, 0, 0]);
  });

  test('a path that wants a tag goes where the tag is', async () => {
    const bench = await startHttpBench({
      network: { methods: { tags: { '/archive/*': 'archive' } } },
      upstreams: [{}, {}, { tags: ['archive'] }],
    });
    const asked = ['/net/archive/1', '/net/archive/2/3?x', '/net/archive/4'];
    for (const path of asked) expect((await bench.ask('GET', path)).text).toBe('c');
  });

  test('a slow GET is asked of a second node as well, and a slow PUT is not', async () => {
    const hedge = { after: 20 };
    const reading = await withFirst(FAULTS.hang, { hedge });
    expect((await reading.ask('GET', '/net/x')).text).toBe('b');
    expect(reading.front.upstream('a').fails).toBe(0); // Given up, and not waited for.
    const writing = await withFirst(FAULTS.hang, { hedge });
    expect((await writing.ask('PUT', '/net/x')).text).toBe('b');
    expect(writing.front.upstream('a').fails).toBe(1);
  });

  test('a network that is added while the gateway runs is served at once', async () => {
    const [first, second] = await Promise.all([startHttpNode('first'), startHttpNode('second')]);
    const networkOf = (url: string) => ({
      ...{ protocol: 'http', probe: 'off' },
      upstreams: [{ id: 'a', url }],
    });
    const file = configFile({ networks: { one: networkOf(first.url) } });
    const app = fastify();
    await app.register(rpcBalancer, { config: file });
    const origin = await listen(app);
    expect((await ask(origin, 'PROPFIND', '/two/x')).status).toBe(404);
    writeFileSync(
      file,
      JSON.stringify({ networks: { one: networkOf(first.url), two: networkOf(second.url) } }),
    );
    expect(app.rpcBalancer.reload()).toBe('applied');
    expect(await ask(origin, 'PROPFIND', '/two/x')).toMatchObject({ status: 200, text: 'second' });
  });

  test('requests and attempts are counted under the same names', async () => {
    const bench = await startHttpBench({ plugin: { ops: '/-/rpc' } });
    bench.nodes[0].respond = answering(500);
    await bench.ask('GET', '/net/x');
    await bench.ask('GET', '/net/..x');
    expect((await bench.ask('GET', '/net')).status).toBe(308);
    const { text } = await bench.ask('GET', '/-/rpc/metrics');
    expect(text).toContain('rpc_balancer_requests_total{network="net",code="ok"} 2');
    expect(text).toContain('rpc_balancer_requests_total{network="net",code="RPCB_NOT_FOUND"} 1');
    expect(text).toContain('rpc_balancer_attempts_total{network="net",upstream="a",outcome="failed"} 1');
    expect(text).toContain('rpc_balancer_attempts_total{network="net",upstream="b",outcome="answered"} 1');
  });
});
