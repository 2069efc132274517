// A changed configuration file is noticed however it was replaced, and taken on only if it is valid.
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { temporaryDirectory } from '../../../test/kit/paths.ts';
import { waitFor } from '../../../test/kit/wait.ts';
import { BalancerError, type Config, parseConfig, startReloader } from '../src/index.ts';
import { watchFile } from '../src/watch.ts';

const SECRET = 'hunter2-of-the-test';

/** A file with so many tries in its network, by which a test tells one from another. */
function textOf(tries: number | string, more = ''): string {
  return `${more}\nnetworks: { main: { tries: ${tries}, upstreams: [{ id: a, url: "http://10.0.0.1/${SECRET}" }] } }\n`;
}

const parse = (text: string) =>
  parseConfig(text, { env: {}, readFile: (path) => readFileSync(path, 'utf8') });

interface StartOptions {
  readonly file?: string;
  readonly apply?: (config: Config) => void;
}

function start({ file = join(temporaryDirectory(), 'config.yaml'), apply = () => {} }: StartOptions = {}) {
  writeFileSync(file, textOf(1));
  const config = parse(textOf(1));
  const applied: Config[] = [];
  const results: string[] = [];
  const logged: string[] = [];
  const write = (fields: object, message: string) => {
    logged.push(`${message} ${JSON.stringify(fields)}`);
  };
  const reloader = startReloader({
    ...{ file, config, parse, log: { debug: write, info: write, warn: write, error: write } },
    fixed: { redis: null, gateway: ['port'], sidecar: [] },
    read: (path) => readFileSync(path, 'utf8'),
    apply(next) {
      apply(next);
      applied.push(next);
    },
    onResult: (result) => results.push(result),
  });
  onTestFinished(() => {
    reloader.stop();
    expect(logged.join('\n')).not.toContain(SECRET);
  });
  const tries = () => applied.map(({ networks }) => networks.main?.tries);
  const toApply = (...expected: readonly number[]) =>
    waitFor(() => tries().join() === expected.join(), { what: `${expected} to be applied` });
  return { file, reloader, applied, tries, toApply, results, logged };
}

describe('a file that changes', () => {
  test('is taken on when it is written, with what differs and nothing else', async () => {
    const { file, toApply, results } = start();
    writeFileSync(file, textOf(2));
    await toApply(2);
    writeFileSync(file, textOf(3));
    await toApply(2, 3);
    expect(results).toEqual(['applied', 'applied']);
  });

  test('is taken on when another is renamed over it, and again after that', async () => {
    const { file, toApply } = start();
    for (const [at, tries] of [2, 3].entries()) {
      writeFileSync(`${file}.new`, textOf(tries));
      renameSync(`${file}.new`, file);
      await toApply(...[2, 3].slice(0, at + 1));
    }
  });

  test('is taken on when the link of its directory is swapped, as Kubernetes does', async () => {
    const root = temporaryDirectory();
    const versions = ['..v1', '..v2', '..v3'].map((name) => join(root, name));
    for (const [at, version] of versions.entries()) {
      mkdirSync(version);
      writeFileSync(join(version, 'config.yaml'), textOf(at + 1));
    }
    symlinkSync('..v1', join(root, '..data'));
    symlinkSync('..data/config.yaml', join(root, 'config.yaml'));
    const { toApply } = start({ file: join(root, 'config.yaml') });
    for (const at of [2, 3]) {
      symlinkSync(`..v${at}`, join(root, '..data_tmp'));
      renameSync(join(root, '..data_tmp'), join(root, '..data'));
      await toApply(...[2, 3].slice(0, at - 1));
    }
  });

  test('is taken on when it was away for a while, which changes nothing by itself', async () => {
    const { file, toApply, results } = start();
    rmSync(file);
    writeFileSync(join(file, '..', 'other'), 'x'); // Another event after it.
    writeFileSync(file, textOf(2));
    await toApply(2);
    expect(results).toEqual(['applied']);
  });

  test('changes nothing when it says the same in other words', async () => {
    const { file, reloader, tries } = start();
    writeFileSync(file, textOf(1, '# in other words'));
    expect(reloader.reload()).toBe('unchanged');
    writeFileSync(file, textOf(2));
    expect(reloader.reload()).toBe('applied');
    expect(reloader.reload()).toBe('unchanged');
    expect(tries()).toEqual([2]);
  });

  test('is read again on demand with the files that it refers to', () => {
    const { file, reloader, applied } = start();
    const token = join(file, '..', 'token');
    writeFileSync(token, `${SECRET}-first`);
    writeFileSync(file, textOf(1, `gateway: { admin: { token: "\${file:${token}}" } }`));
    expect(reloader.reload()).toBe('applied');
    writeFileSync(token, `${SECRET}-second`);
    expect(reloader.reload()).toBe('applied');
    expect(applied.map(({ gateway }) => gateway.admin?.token)).toEqual([
      `${SECRET}-first`,
      `${SECRET}-second`,
    ]);
  });
});

describe('a file that is not valid', () => {
  test('is refused once and told with its problems, and the next valid one is taken on', async () => {
    const { file, results, logged, toApply } = start();
    writeFileSync(file, textOf(`0, url: "http://10.0.0.1/${SECRET}"`));
    await waitFor(() => results.length > 0, { what: 'the refusal' });
    expect(logged.join()).toMatch(/refused; the old one stays.*tries.*unknown key/);
    writeFileSync(join(file, '..', 'other'), 'x');
    writeFileSync(file, textOf(2));
    await toApply(2);
    expect(results).toEqual(['refused', 'applied']);
  });

  test('is refused when what it says cannot be taken on', () => {
    const problem = 'upstream "a": its tls cannot be used';
    const { file, reloader, results, logged, applied } = start({
      apply() {
        throw new BalancerError('RPCB_CONFIG', { detail: problem });
      },
    });
    writeFileSync(file, textOf(2));
    expect(reloader.reload()).toBe('refused');
    expect([logged.join(), results, applied]).toEqual([
      expect.stringContaining('tls cannot be used'),
      ['refused'],
      [],
    ]);
  });

  test('is refused when it cannot be read on demand', () => {
    const { file, reloader, logged } = start();
    rmSync(file);
    expect(reloader.reload()).toBe('refused');
    expect(logged.join()).toContain('cannot read it (ENOENT)');
  });
});

test('keys that need a restart are named, keep their values, and are forgotten when they are as before', () => {
  const { file, reloader, applied, logged } = start();
  writeFileSync(file, textOf(2, 'gateway: { port: 1, batchLimit: 5 }\nredis: { url: "redis://10.0.0.5" }'));
  expect(reloader.reload()).toBe('applied');
  expect(logged.join('\n')).toContain('restart only {"keys":["redis","gateway.port"]}');
  expect(applied[0]).toMatchObject({ gateway: { port: 8080, batchLimit: 5 } });
  expect(applied[0]).not.toHaveProperty('redis');
  logged.length = 0;
  writeFileSync(file, textOf(2));
  expect(reloader.reload()).toBe('applied');
  expect(logged.join('\n')).not.toContain('restart');
});

test('a directory that cannot be watched is told once, and does not end the program', () => {
  const lost: (string | undefined)[] = [];
  const stop = watchFile(
    '/nowhere/config.yaml',
    () => {},
    ({ code }) => lost.push(code),
  );
  stop();
  expect(lost).toEqual(['ENOENT']);
});
