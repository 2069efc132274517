// Decides: how a test waits: for a condition, with an end, never for a time.
import { setTimeout as delay } from 'node:timers/promises';

export interface WaitOptions {
  /** Default 20 s: what comes at all comes by then, on a slow machine with other work, too. */
  readonly timeoutMs?: number;
  /** Said in the error: "waited 10000 ms for <what>". */
  readonly what: string;
  /** Time between two looks; default 10 ms. */
  readonly everyMs?: number;
}

type Falsy = false | null | undefined | 0 | '';

/** Looks until the condition is truthy and returns what it gave; a condition that throws is looked at again. */
export async function waitFor<Value>(
  condition: () => Value | Promise<Value>,
  { timeoutMs = 20_000, what, everyMs = 10 }: WaitOptions,
): Promise<Exclude<Value, Falsy>> {
  const deadline = performance.now() + timeoutMs;
  let last: unknown = 'nothing';
  for (;;) {
    try {
      const value = await condition();
      // Whatever is truthy is none of the excluded values.
      if (value) return value as Exclude<Value, Falsy>;
      last = value;
    } catch (error) {
      last = error;
    }
    if (performance.now() >= deadline) {
      const options = last instanceof Error ? { cause: last } : undefined;
      throw new Error(`waited ${timeoutMs} ms for ${what}; last: ${String(last)}`, options);
    }
    await delay(everyMs);
  }
}
