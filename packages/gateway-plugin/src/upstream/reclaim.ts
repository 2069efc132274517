// Decides: when the runtime collects the read buffers that large answers leave behind.
// Must not know: whose answers they are.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Handed on between two collections. Left alone, V8 lets 32 to 64 MiB of socket reads lie, since it counts
 * the small objects and not the memory behind them; each read then touches new pages, which costs twice the CPU.
 */
const COLLECT_EACH_BYTES = 2 * 1024 ** 2;

/** Told of what large answers hand on, it collects the young generation (about 1 ms) now and then. */
export function createReclaimer(): (passedBytes: number) => void {
  let sinceLast = 0;
  let collectYoung: (() => void) | null = null;
  return (passedBytes) => {
    sinceLast += passedBytes;
    if (sinceLast < COLLECT_EACH_BYTES) return;
    sinceLast = 0;
    collectYoung ??= youngCollector();
    collectYoung();
  };
}

/** V8's own `gc`, which it shows only to contexts made while the flag is set; the host's globals stay as they are. */
function youngCollector(): () => void {
  setFlagsFromString('--expose-gc');
  const gc: unknown = runInNewContext('gc');
  if (globalThis.gc === undefined) setFlagsFromString('--no-expose-gc');
  return typeof gc === 'function' ? () => gc({ type: 'minor' }) : () => {};
}
