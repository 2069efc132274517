import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ClientFacts, checkContent, forwardedHeaders, suffixOf } from './request.ts';

const FACTS: ClientFacts = {
  headers: {},
  peer: '10.0.0.9',
  ip: '203.0.113.5',
  protocol: 'https',
  host: 'rpc.example',
  requestId: 'id-1',
};

function headersOf(facts: Partial<ClientFacts>, hostHeader = 'node'): Record<string, string> {
  const flat = forwardedHeaders({ ...FACTS, ...facts }, hostHeader);
  const pairs = flat.flatMap((name, at) => (at % 2 === 0 ? [[name, flat[at + 1] ?? '']] : []));
  return Object.fromEntries(pairs) as Record<string, string>; // The list is name, value, name, value.
}

describe('headers towards a node', () => {
  test('the address of the peer is appended to what the client said of itself', () => {
    expect(headersOf({})['x-forwarded-for']).toBe('10.0.0.9');
    expect(headersOf({ headers: { 'x-forwarded-for': '' } })['x-forwarded-for']).toBe('10.0.0.9');
    const chain = headersOf({ headers: { 'x-forwarded-for': '203.0.113.5, 10.0.0.1' } });
    expect(chain['x-forwarded-for']).toBe('203.0.113.5, 10.0.0.1, 10.0.0.9');
  });

  test('address, scheme, host and request id of the client go along', () => {
    expect(headersOf({})).toEqual({
      'x-forwarded-for': '10.0.0.9',
      'x-real-ip': '203.0.113.5',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'rpc.example',
      'x-request-id': 'id-1',
    });
  });

  test('the host of the client is sent as host only where the configuration says so', () => {
    expect(headersOf({}, 'client').host).toBe('rpc.example');
    expect(headersOf({ host: '' }, 'client').host).toBeUndefined();
    expect(headersOf({}, 'node').host).toBeUndefined();
    expect(headersOf({}, 'fixed.example').host).toBeUndefined();
  });

  test('trace context goes along and nothing else that the client sent', () => {
    const headers = {
      traceparent: '00-1-2-01',
      tracestate: 'a=b',
      authorization: 'Bearer secret',
      cookie: 'session=secret',
      'x-api-key': 'secret',
      'accept-encoding': 'gzip',
    };
    const sent = headersOf({ headers });
    expect(sent).toMatchObject({ traceparent: '00-1-2-01', tracestate: 'a=b' });
    expect(Object.keys(sent).sort()).toEqual([
      'traceparent',
      'tracestate',
      'x-forwarded-for',
      'x-forwarded-host',
      'x-forwarded-proto',
      'x-real-ip',
      'x-request-id',
    ]);
    expect(JSON.stringify(sent)).not.toContain('secret');
  });
});

describe('content', () => {
  test('JSON types are taken with any parameters and in any case', () => {
    const types = [
      'application/json',
      'application/json; charset=utf-8',
      'Application/JSON',
      'application/json-rpc',
      'application/jsonrequest;x=y',
    ];
    for (const type of types) expect(() => checkContent({ 'content-type': type }), type).not.toThrow();
    expect(() =>
      checkContent({ 'content-type': 'application/json', 'content-encoding': 'identity' }),
    ).not.toThrow();
  });

  test('other types, none and compressed bodies are refused with what to send instead', () => {
    for (const type of [undefined, '', 'text/plain', 'application/jsonx', 'multipart/form-data']) {
      const headers = { 'content-type': type };
      expect(() => checkContent(headers), String(type)).toThrow(/content-type: application\/json/);
    }
    for (const encoding of ['gzip', 'br', 'identity, gzip']) {
      const headers = { 'content-type': 'application/json', 'content-encoding': encoding };
      expect(() => checkContent(headers), encoding).toThrow(/uncompressed/);
    }
  });
});

describe('the suffix of a path', () => {
  test('what follows the network is the suffix, with its query', () => {
    const rows: readonly [string, number, string][] = [
      ['/mainnet', 1, ''],
      ['/mainnet/', 1, ''],
      ['/mainnet?', 1, ''],
      ['/mainnet?a=1', 1, '?a=1'],
      ['/mainnet/?a=/b', 1, '?a=/b'],
      ['/mainnet/v1/key', 1, '/v1/key'],
      ['/mainnet/v1/', 1, '/v1/'],
      ['/mainnet/a%20b?q=..', 1, '/a%20b?q=..'],
      ['/rpc/mainnet/v1', 2, '/v1'],
      ['/', 0, ''],
      ['/?a=1', 0, '?a=1'],
      ['http://gateway/mainnet/v1?a=//', 1, '/v1?a=//'],
      ['http://gateway/mainnet', 1, ''],
      ['http://gateway/?a=1', 0, '?a=1'],
      ['http://gateway', 0, ''],
      ['//rpc///mainnet//v1', 2, '//v1'],
    ];
    for (const [url, segments, suffix] of rows) expect(suffixOf(url, segments), url).toBe(suffix);
  });

  test('a path that climbs is refused however it is written', () => {
    const climbing = [
      '/..',
      '/../admin',
      '/a/../../b',
      '/.',
      '/a/./b',
      '/%2e%2e/admin',
      '/%2E./admin',
      '/a/.%2e',
      '/..%2fadmin',
      '/a%2f..%2fb',
      '/..%5cadmin',
      '/..\\admin',
    ];
    for (const path of climbing) {
      expect(() => suffixOf(`/mainnet${path}`, 1), path).toThrow(/segments/);
    }
  });

  test('dots within a segment and in the query are no climbing', () => {
    for (const path of ['/v1.2', '/...', '/.well-known', '/a..b', '/..a']) {
      expect(suffixOf(`/mainnet${path}`, 1)).toBe(path);
    }
    expect(suffixOf('/mainnet?to=/../x', 1)).toBe('?to=/../x');
  });

  test('no suffix resolves to a path above the upstream', () => {
    const part = fc.constantFrom('/', '.', '..', '%2e', '%2E', '%2f', 'a', '?', '\\', '%5C', '//');
    fc.assert(
      fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
        let suffix: string;
        try {
          suffix = suffixOf(`/mainnet/${parts.join('')}`, 1);
        } catch {
          return;
        }
        const decoded = decodeURIComponent(suffix.split('?', 1)[0] ?? '').replace(/\/+/g, '/');
        expect(new URL(`http://node/base${decoded}`).pathname).toMatch(/^\/base(\/|$)/);
      }),
      { numRuns: 2000 },
    );
  });
});
