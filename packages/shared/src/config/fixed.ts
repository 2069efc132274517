// Decides: which of two configurations' values hold where a running program cannot change one.
// Must not know: which keys those are, or why.
import type { Config } from './schema.ts';

/** Keys that need a restart: the whole `redis` section, and some of the others. */
export interface FixedKeys {
  readonly redis: null;
  readonly gateway: readonly (keyof Config['gateway'])[];
  readonly sidecar: readonly (keyof Config['sidecar'])[];
}

export interface Kept {
  /** The next configuration, with the running one's values at the fixed keys. */
  readonly config: Config;
  /** Paths of the fixed keys that would have changed. */
  readonly changed: readonly string[];
}

export function keepFixed(running: Config, next: Config, fixed: FixedKeys): Kept {
  const { redis: _redis, ...others } = next;
  return {
    config: {
      ...others,
      ...(running.redis && { redis: running.redis }),
      gateway: { ...next.gateway, ...pick(running.gateway, fixed.gateway) },
      sidecar: { ...next.sidecar, ...pick(running.sidecar, fixed.sidecar) },
    },
    changed: [
      ...(isSame(running.redis, next.redis) ? [] : ['redis']),
      ...changedIn('gateway', running.gateway, next.gateway, fixed.gateway),
      ...changedIn('sidecar', running.sidecar, next.sidecar, fixed.sidecar),
    ],
  };
}

function pick<Section extends object>(section: Section, keys: readonly (keyof Section)[]): Partial<Section> {
  const wanted = new Set<PropertyKey>(keys);
  // The entries of a section, fewer of them, are a part of it.
  return Object.fromEntries(Object.entries(section).filter(([key]) => wanted.has(key))) as Partial<Section>;
}

function changedIn<Section extends object>(
  name: string,
  running: Section,
  next: Section,
  keys: readonly (keyof Section)[],
): string[] {
  return keys.filter((key) => !isSame(running[key], next[key])).map((key) => `${name}.${String(key)}`);
}

/** Both come from the same schema, which puts their keys in the same order. */
function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
