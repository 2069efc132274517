// Decides: which version this package says it has.
import { readFileSync } from 'node:fs';

/** `src` and `dist` are equally deep, so the same path leads to the manifest from both. */
const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

export const VERSION = manifest.version;
