import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { BalancerError, parseConfig } from '../src/index.ts';

// One wrong file per mistake, and the message it must give. After a change of words: look at the messages that the
// failing tests show, and write those that are better into the text files.
const FOLDER = fileURLToPath(new URL('bad-config/', import.meta.url));

const names = readdirSync(FOLDER);
const mistakes = names.filter((name) => name.endsWith('.yaml')).map((name) => name.slice(0, -'.yaml'.length));

/** Stands in the files and in the variables wherever a real configuration has a secret. */
const PLANTED = /pl4nted\w*|1234567890|MIIBplanted/;

const sources = {
  env: {
    API_KEY: 'pl4ntedSecretOfTheEnvironment',
    CERTIFICATE: '-----BEGIN CERTIFICATE-----\nMIIBplanted\n-----END CERTIFICATE-----',
  },
  readFile(path: string): string {
    throw new Error(`ENOENT: ${path}, not pl4nted`);
  },
};

function problemOf(name: string): unknown {
  try {
    parseConfig(readFileSync(`${FOLDER}${name}.yaml`, 'utf8'), sources);
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('a wrong configuration', () => {
  test.each(mistakes)('is refused with the expected message: %s', (name) => {
    const error = problemOf(name);
    expect(error).toBeInstanceOf(BalancerError);
    const message = error instanceof BalancerError ? `${error.message}\n` : '';
    expect(error).toMatchObject({ code: 'RPCB_CONFIG' });
    expect(message).toBe(readFileSync(`${FOLDER}${name}.txt`, 'utf8'));
    expect(message).not.toMatch(PLANTED);
    expect(JSON.stringify(error)).not.toMatch(PLANTED);
  });

  test('has a file and a message each, and no message is left over', () => {
    const expected = mistakes.flatMap((name) => [`${name}.txt`, `${name}.yaml`]);
    expect(names.toSorted()).toEqual(expected.toSorted());
  });

  test.each([
    'unknown-key',
    'wrong-type',
    'bad-duration',
    'bad-size',
    'bad-url',
    'missing-required',
    'duplicate-id',
    'reserved-name',
    'contradictory-timeouts',
    'unset-variable',
    'unreadable-file',
    'not-yaml',
    'bad-redis',
    'bad-identity',
    'no-networks',
    'no-upstreams',
    'bad-header',
    'out-of-range',
    'bad-tls',
    'wrong-choice',
    'unknown-root',
    'bad-glob',
    'secret-in-the-wrong-key',
    'several-problems',
    'bad-compat',
  ])('of the kind %s has two examples at least', (kind) => {
    expect(mistakes.filter((name) => name.startsWith(`${kind}-`) || name === kind).length).toBeGreaterThan(1);
  });
});
