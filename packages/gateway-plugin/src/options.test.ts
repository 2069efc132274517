import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BalancerError } from '@rpc-balancer/shared';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../../test/kit/paths.ts';
import { loadConfig, resolveOptions } from './options.ts';

const CONFIG = { networks: { net: { upstreams: [{ id: 'a', url: 'http://127.0.0.1:1' }] } } };

function problemOf(options: unknown): BalancerError {
  try {
    resolveOptions(options);
  } catch (error) {
    if (error instanceof BalancerError) return error;
    throw error;
  }
  throw new Error('the options were taken');
}

test('a configuration is enough: the rest is off or the root', () => {
  expect(resolveOptions({ config: CONFIG })).toMatchObject({
    prefix: '',
    ops: null,
    redis: null,
    logger: null,
    metrics: null,
    config: { networks: { net: { tries: 3 } } },
  });
});

test('a trailing slash of prefix and ops is ignored', () => {
  expect(resolveOptions({ config: CONFIG, prefix: '/rpc/', ops: '/' })).toMatchObject({
    prefix: '/rpc',
    ops: '',
  });
});

test('every wrong option is named at once', () => {
  const { code, message } = problemOf({
    config: CONFIG,
    prefix: 'rpc',
    ops: '/a b',
    redis: 'redis://127.0.0.1',
    logger: 1,
    metrics: 'all',
    prefiks: '/x',
  });
  expect(code).toBe('RPCB_CONFIG');
  for (const name of ['prefix', 'ops', 'redis', 'logger', 'metrics', 'prefiks']) {
    expect(message).toContain(name);
  }
});

test('no options and no configuration say what is expected', () => {
  expect(problemOf(undefined).code).toBe('RPCB_CONFIG');
  expect(problemOf({}).message).toContain('config: expected a path or an object');
  expect(problemOf({ config: '' }).message).toContain('config: expected a path or an object');
});

test('a problem inside the configuration carries its path', () => {
  const { code, message } = problemOf({ config: { networks: { net: { upstreams: [] } } } });
  expect(code).toBe('RPCB_CONFIG');
  expect(message).toContain('networks.net.upstreams');
});

test('a path is read as YAML or JSON, and one that cannot be read says why', () => {
  const directory = temporaryDirectory();
  const yaml = join(directory, 'config.yaml');
  writeFileSync(yaml, 'networks:\n  net:\n    upstreams:\n      - { id: a, url: "http://127.0.0.1:1" }\n');
  expect(Object.keys(loadConfig(yaml).networks)).toEqual(['net']);
  expect(() => loadConfig(join(directory, 'missing.yaml'))).toThrow(/cannot read .*missing\.yaml \(ENOENT\)/);
  expect(() => loadConfig(directory)).toThrow(/EISDIR/);
});
