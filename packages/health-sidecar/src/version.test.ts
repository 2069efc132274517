import { expect, test } from 'vitest';
import manifest from '../package.json' with { type: 'json' };
import { VERSION } from './version.ts';

test('the version that a sidecar tells is that of its package', () => {
  expect(VERSION).toBe(manifest.version);
});
