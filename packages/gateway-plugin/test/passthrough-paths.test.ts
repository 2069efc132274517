// Where a passed-on request leads: how its path is compared with globs, and where a redirect takes the client.
import { describe, expect, test } from 'vitest';
import { type FrontOptions, startFront } from './front.ts';
import { answering, ask, FAULTS, startHttpBench, startHttpNode } from './http-nodes.ts';

describe('a glob of paths', () => {
  test.each([
    '/run/now',
    '/r%75n/now',
    '/run%2fnow',
    '//run//now',
    '/%72%75%6E/now',
    `/run/${'x'.repeat(3000)}/now`,
  ])('matches %.40s however it is spelled, and the node gets it as it came', async (path) => {
    const bench = await startHttpBench({ network: { methods: { writes: ['/run/*now'] } } });
    bench.nodes[0].respond = FAULTS.reset ?? bench.nodes[0].respond;
    expect((await bench.ask('GET', `/net${path}?a=%41`)).error?.code).toBe('RPCB_FATE_UNKNOWN');
    expect(bench.nodes.map(({ seen }) => seen.map(({ url }) => url))).toEqual([[`${path}?a=%41`], [], []]);
  });

  test('sees the method of a URI call, too, as the node does', async () => {
    const bench = await startHttpBench({ network: { protocol: 'cometbft' } });
    bench.nodes[0].respond = FAULTS.reset ?? bench.nodes[0].respond;
    const { error } = await bench.ask('GET', '/net/broadcast%5ftx_sync?tx=0x01');
    expect(error?.data).toMatchObject({ code: 'RPCB_FATE_UNKNOWN' });
    expect(bench.nodes[0].seen[0]?.url).toBe('/broadcast%5ftx_sync?tx=0x01');
  });
});

describe('a path that nodes read in different ways', () => {
  test.each([
    ['/net/a%00b', false],
    ['/net/a#b', false],
    ['/net/a;%zz', true],
    ['/net/a;%ff', true],
  ])('such as %s is refused in plain words before any node sees it', async (path, useSemicolonDelimiter) => {
    // The framework warns of it at any other place; at this one its type does not know it.
    const routerOptions = { caseSensitive: true, ...{ useSemicolonDelimiter } };
    const bench = await startHttpBench({ server: { routerOptions } });
    const { status, error } = await bench.ask('GET', path);
    expect([status, error]).toMatchObject([
      400,
      { code: 'RPCB_BAD_PATH', message: expect.stringContaining('UTF-8') },
    ]);
    expect(bench.nodes.flatMap(({ seen }) => seen)).toEqual([]);
  });
});

describe('a redirect of a node that was sent the host name', () => {
  /** What a client of `api.example` is told when the node says this. */
  async function told(location: string, options: FrontOptions = {}, host = 'api.example') {
    const node = await startHttpNode('a');
    const front = await startFront([{ url: `${node.url}/base?key=secret` }], {
      ...{ plugin: { prefix: '/rpc' }, ...options },
      network: { protocol: 'http', hostHeader: 'client', ...options.network },
    });
    const at = (text: string) => text.replace('NODE', node.url);
    node.respond = answering(302, { location: at(location), 'content-location': at(location) });
    const headers = { host };
    const { headers: own } = await ask(front.origin, 'GET', '/rpc/net/a/b', { headers });
    expect(own['content-location']).toBe(own.location);
    return own.location?.replace(node.url, 'NODE');
  }

  test.each([
    ['http://api.example/base/x?key=secret&y=2#z', '/rpc/net/x?y=2#z'],
    ['https://api.example/base/x', '/rpc/net/x'],
    ['http://API.example:80/base', '/rpc/net'],
    ['//api.example/base/x', '/rpc/net/x'],
    ['NODE/base/x?key=secret', '/rpc/net/x'],
    ['/base/x', '/rpc/net/x'],
    ['https://api.example/login?key=secret', 'https://api.example/login'],
    ['http://api.example:8080/base/x', 'http://api.example:8080/base/x'],
    ['https://api.example.evil/base/x', 'https://api.example.evil/base/x'],
    ['ftp://api.example/base/x', 'ftp://api.example/base/x'],
  ])('of its client to %s is told as %s', async (location, here) => {
    expect(await told(location)).toBe(here);
  });

  test.each([
    ['fixed.example', 'https://fixed.example/base/x', '/rpc/net/x'],
    ['fixed.example', 'https://api.example/base/x', 'https://api.example/base/x'],
    ['node', 'https://api.example/base/x', 'https://api.example/base/x'],
  ])('%s to %s is told as %s', async (hostHeader, location, here) => {
    expect(await told(location, { network: { hostHeader } })).toBe(here);
  });

  test('stays as it is where the client has named no host that there could be', async () => {
    expect(await told('https://api.example/base/x', {}, 'a^b')).toBe('https://api.example/base/x');
  });
});
