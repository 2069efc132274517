// Decides: what the store says about itself, and when that has changed.
// Must not know: how it is found out.
import type { StoreHealth, StoreHistory } from '../store.ts';

/** Replies that concern one kind of step and last until somebody mends the server; the connection is good. */
const LASTING =
  /^(NOPERM|ERR can't run|WRONGTYPE|READONLY|OOM|MISCONF|NOREPLICAS|ERR Error running script|The user executing)/;

export interface Health {
  read(): StoreHealth;
  listen(listener: (health: StoreHealth) => void): () => void;
  changed(): void;
  setEvictionRisk(risk: string | null): void;
  /** Keeps the problem if it is one of this step alone; false: it is the connection's. */
  fail(step: string, error: unknown, problem: string): boolean;
  succeed(step: string): void;
  /** Forgets the steps' problems: after a reconnection they show again if they last. */
  forget(): void;
  /** Forgets the problems that no step had since the last call: who had them may never try again. */
  sweep(): void;
  close(): void;
}

export function createHealth(
  connection: () => Pick<StoreHealth, 'connected' | 'problem'>,
  history: () => StoreHistory,
): Health {
  const listeners = new Set<(health: StoreHealth) => void>();
  const problems = new Map<string, { readonly problem: string; fresh: boolean }>();
  let evictionRisk: string | null = null;
  let last: Pick<StoreHealth, 'connected' | 'problem' | 'evictionRisk'> = {
    ...{ connected: false, problem: null, evictionRisk: null },
  };

  function read(): StoreHealth {
    const { connected, problem } = connection();
    const [ofStep] = problems.values();
    return { ...history(), connected, problem: problem ?? ofStep?.problem ?? null, evictionRisk };
  }

  function changed(): void {
    const now = read();
    const same =
      now.connected === last.connected &&
      now.problem === last.problem &&
      now.evictionRisk === last.evictionRisk;
    if (same) return;
    last = now;
    for (const listener of listeners) listener(now);
  }

  return {
    read,
    changed,
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    setEvictionRisk(risk) {
      evictionRisk = risk;
      changed();
    },
    fail(step, error, problem) {
      if (!(error instanceof Error) || !LASTING.test(error.message)) return false;
      problems.set(step, { problem, fresh: true });
      changed();
      return true;
    },
    succeed(step) {
      if (problems.delete(step)) changed();
    },
    forget() {
      problems.clear();
      changed();
    },
    sweep() {
      for (const [step, entry] of problems) {
        if (!entry.fresh) problems.delete(step);
        entry.fresh = false;
      }
      changed();
    },
    close: () => listeners.clear(),
  };
}
