import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Sources } from './expand.ts';
import { parseConfig, validateConfig } from './parse.ts';
import type { Config } from './schema.ts';

const MINIMAL = `
networks:
  main:
    upstreams:
      - id: geth-a
        url: http://10.0.0.1:8545
`;

function sources(env: Sources['env'] = {}, files: Readonly<Record<string, string>> = {}): Sources {
  return {
    env,
    readFile(path) {
      const text = files[path];
      if (text === undefined) throw new Error('ENOENT');
      return text;
    },
  };
}

/** The minimal configuration with one more line in its upstream. */
const withLine = (line: string): string => `${MINIMAL}        ${line}\n`;

const upstreamOf = (config: Config) => config.networks.main?.upstreams[0];

describe('the defaults', () => {
  test('are those of the design', () => {
    expect(parseConfig(MINIMAL, sources())).toEqual({
      gateway: {
        host: '127.0.0.1',
        port: 8080,
        trustProxy: null,
        bodyLimit: 10_485_760,
        batchLimit: 1000,
        batchAnswerLimit: 33_554_432,
        holdAnswer: 262_144,
        exposeHeaders: false,
        pinHeader: false,
        drainTimeout: 35_000,
      },
      sidecar: { host: '127.0.0.1', port: 9101, embed: 'auto', leaseTtl: 5000, rankingMaxAge: 30_000 },
      networks: {
        main: {
          protocol: 'evm',
          required: false,
          strategy: 'least_conn',
          prefer: ['head'],
          compat: null,
          maxLagBlocks: 5,
          monotonicHead: true,
          fallbackLagBlocks: null,
          slowStart: null,
          maxFails: 3,
          failTimeout: 30_000,
          tries: 3,
          retryOn: [],
          deadline: 30_000,
          deadlines: { 'debug_*': 120_000, 'trace_*': 120_000 },
          connectTimeout: 2000,
          readTimeout: 10_000,
          silence: 'auto',
          hedge: null,
          resolve: 'one',
          hostHeader: 'node',
          probe: {
            ...{ interval: 2000, timeout: 5000, attempts: 3, maxPerMinute: null },
            ...{ method: 'GET', path: '/health', status: { first: 200, last: 299 }, json: {}, head: null },
          },
          methods: { reads: [], writes: [], tags: {} },
          upstreams: [
            {
              id: 'geth-a',
              url: 'http://10.0.0.1:8545',
              tier: 'local',
              weight: 1,
              maxConns: null,
              maxFails: 3,
              failTimeout: 30_000,
              headers: {},
              tags: [],
              disabled: false,
            },
          ],
        },
      },
    });
  });

  test('of a Redis are a prefix and a cluster id', () => {
    expect(parseConfig(`redis: { url: redis://10.0.0.5 }${MINIMAL}`, sources()).redis).toEqual({
      url: 'redis://10.0.0.5',
      prefix: 'rpcb',
      clusterId: 'default',
    });
  });

  test('of an upstream are those of its network where it gives none', () => {
    const network = { maxFails: 7, failTimeout: '9s' };
    const own = { id: 'b', url: 'http://10.0.0.2', maxFails: 0, failTimeout: 1000 };
    const upstreams = [{ id: 'a', url: 'http://10.0.0.1' }, own];
    const config = validateConfig({ networks: { main: { ...network, upstreams } } });
    expect(config.networks.main?.upstreams).toMatchObject([
      { maxFails: 7, failTimeout: 9000 },
      { maxFails: 0, failTimeout: 1000 },
    ]);
  });

  test('of nginx stand in the place of ours where a network is compatible with it', () => {
    const upstreams = [{ id: 'a', url: 'http://10.0.0.1' }];
    const network = { compat: 'nginx', upstreams } as const;
    expect(validateConfig({ networks: { main: network } }).networks.main).toMatchObject({
      maxFails: 1,
      failTimeout: 10_000,
      tries: 256,
      retryOn: [
        ...['error', 'timeout', 'invalid_header'],
        ...['http_500', 'http_502', 'http_503', 'http_504', 'http_429'],
      ],
      upstreams: [{ maxFails: 1, failTimeout: 10_000 }],
    });
    const given = { maxFails: 2, failTimeout: 4000, tries: 2, retryOn: ['error'] } as const;
    expect(validateConfig({ networks: { main: { ...network, ...given } } }).networks.main).toMatchObject({
      ...given,
      upstreams: [{ maxFails: 2, failTimeout: 4000 }],
    });
  });

  test('of nginx allow a deadline that is shorter than the timeouts', () => {
    const upstreams = [{ id: 'a', url: 'http://10.0.0.1' }];
    const config = { networks: { main: { compat: 'nginx', deadline: 500, upstreams } } } as const;
    expect(validateConfig(config).networks.main?.deadline).toBe(500);
  });
});

describe('a written value', () => {
  test.each<[string, unknown]>([
    ['identity: 1', { identity: '1' }],
    ['identity: "137"', { identity: '137' }],
    ['probe: off', { probe: null }],
    ['probe: { interval: 1s }', { probe: { interval: 1000, timeout: 5000, attempts: 3 } }],
    ['required: on', { required: true }],
    ['required: true', { required: true }],
    ['deadlines: { "eth_call": 5s }', { deadlines: { eth_call: 5000 } }],
  ])('of a network is read: %s', (line, expected) => {
    expect(parseConfig(`${MINIMAL}    ${line}\n`, sources()).networks.main).toMatchObject(expected as object);
  });

  test.each<[string, unknown]>([
    ['off', null],
    ['false', null],
    ['on', true],
    ['true', true],
    ['2', 2],
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['[10.0.0.1, 10.0.0.2]', ['10.0.0.1', '10.0.0.2']],
  ])('of trustProxy is as in Fastify: %s', (written, expected) => {
    const config = parseConfig(`gateway: { trustProxy: ${written} }${MINIMAL}`, sources());
    expect(config.gateway.trustProxy).toEqual(expected);
  });

  test('may be JSON', () => {
    const text = JSON.stringify({ networks: { main: { upstreams: [{ id: 'a', url: 'http://10.0.0.1' }] } } });
    expect(upstreamOf(parseConfig(text, sources()))?.id).toBe('a');
  });
});

describe('a reference', () => {
  test.each<[string, string, unknown]>([
    ['weight: ${N}', 'weight', 5],
    ['weight: ${NONE:-7}', 'weight', 7],
    ['weight: ${EMPTY:-7}', 'weight', 7],
    ['disabled: ${YES}', 'disabled', true],
    ['maxConns: ${OFF}', 'maxConns', null],
    ['headers: { x: "${N}" }', 'headers', { x: '5' }],
    ['headers: { x: "Bearer ${TOKEN}" }', 'headers', { x: 'Bearer t: {k' }],
    ['headers: { x: "${N}${N}" }', 'headers', { x: '55' }],
    ['headers: { x: "${EMPTY}" }', 'headers', { x: '' }],
    ['headers: { x: "${NONE:-}" }', 'headers', { x: '' }],
    ['headers: { x: "${file:/run/key}" }', 'headers', { x: 'from the file' }],
    ['headers: { x: "${DOLLARS}" }', 'headers', { x: '${N} $1 $& $$' }],
    ['headers: { x: "$N $ {N}" }', 'headers', { x: '$N $ {N}' }],
  ])('is expanded: %s', (line, key, expected) => {
    const env = { N: '5', YES: 'true', OFF: 'off', EMPTY: '', TOKEN: 't: {k', DOLLARS: '${N} $1 $& $$' };
    const config = parseConfig(withLine(line), sources(env, { '/run/key': 'from the file\n' }));
    expect(upstreamOf(config)).toHaveProperty(key, expected);
  });

  test('keeps the lines of a certificate, quoted or not', () => {
    const pem = '-----BEGIN CERTIFICATE-----\nMIIB\nAAAA\n-----END CERTIFICATE-----';
    for (const written of ['${file:/ca.pem}', '"${file:/ca.pem}"', '${PEM}']) {
      const from = sources({ PEM: pem }, { '/ca.pem': `${pem}\n` });
      expect(upstreamOf(parseConfig(withLine(`tls: \n          ca: ${written}`), from))?.tls?.ca).toBe(pem);
    }
  });

  test('is expanded in values only, so that a comment or a key cannot ask for a variable', () => {
    expect(() => parseConfig(`# \${NO_SUCH}${MINIMAL}`, sources())).not.toThrow();
    expect(() => parseConfig(`\${N}: 1${MINIMAL}`, sources({ N: 'redis' }))).toThrow('unknown key "${N}"');
  });

  test('cannot change the document, whatever the secret holds', () => {
    const latin = fc.array(fc.integer({ min: 0x20, max: 0x7e }), { maxLength: 40 });
    const secret = fc.oneof(
      latin.map((codes) => String.fromCharCode(...codes)),
      fc.constantFrom(
        'x" }',
        'a: b',
        '# c',
        '- d',
        '*e',
        '&f',
        '!!int 5',
        '"g"',
        "'h'",
        '{i: j}',
        '| k',
        '@l',
      ),
    );
    fc.assert(
      fc.property(secret, (value) => {
        const quoted = parseConfig(withLine('headers: { x: "${S}" }'), sources({ S: value }));
        expect(upstreamOf(quoted)).toEqual({
          ...upstreamOf(parseConfig(MINIMAL, sources())),
          headers: { x: value },
        });
      }),
    );
  });

  test('that is whole and unquoted never becomes more than a scalar', () => {
    for (const value of [
      '{a: 1}',
      '[1]',
      'a: b',
      '- 1',
      '*a',
      '# c',
      '5 # c',
      '"5"',
      "'x'",
      '|',
      '>',
      'a\nb',
    ]) {
      const path = withLine('hologram: ${S}');
      expect(() => parseConfig(path, sources({ S: value }))).toThrow(/1 problem\n.*unknown key "hologram"/);
      const url = `networks:\n  main:\n    upstreams: \${S}\n`;
      expect(() => parseConfig(url, sources({ S: value }))).toThrow('expected a list, got a text');
    }
  });
});

test('a text that is too long to be a configuration is refused unread', () => {
  expect(() => parseConfig(' '.repeat(1_000_001), sources())).toThrow('expected at most 1000000 characters');
});

test('an alias that is asked for too often is refused', () => {
  const bomb = Array.from({ length: 9 }, (_, at) => {
    const before =
      at === 0
        ? '1'
        : Array(9)
            .fill(`*a${at - 1}`)
            .join(',');
    return `a${at}: &a${at} [${before}]`;
  });
  expect(() => parseConfig(bomb.join('\n'), sources())).toThrow('bad alias');
});

test('no text makes the reader of configurations throw anything but its own error', () => {
  const line = fc.constantFrom(
    ...MINIMAL.split('\n'),
    '  - ${',
    '*a',
    '? x',
    '{',
    '"',
    '%Y',
    '---',
    '!!x y',
    '<<: *b',
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(line).map((lines) => lines.join('\n')),
      ),
      (text) => {
        try {
          parseConfig(text, sources());
        } catch (error) {
          expect(error).toMatchObject({ code: 'RPCB_CONFIG' });
        }
      },
    ),
    { numRuns: 500 },
  );
});
