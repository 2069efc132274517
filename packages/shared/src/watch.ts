// Decides: when a file may have changed, however it was replaced: written, renamed over, or behind a swapped link.
// Must not know: what stands in it.
import { watch } from 'node:fs';
import { dirname } from 'node:path';

/** An editor's or Kubernetes' steps of one change lie within this time. */
const SETTLE_MS = 100;

/**
 * Calls back soon after something changed in the file's directory; `onLost` when the system watches no longer.
 * Does not keep the process alive.
 * @returns what ends it
 */
export function watchFile(
  file: string,
  onChange: () => void,
  onLost: (error: Error & { code?: string }) => void,
): () => void {
  let timer: NodeJS.Timeout | null = null;
  try {
    // The directory: a watch of the file itself ends with the first rename over it.
    const watcher = watch(dirname(file), { persistent: false }, () => {
      // From the first event on: a directory in which something changes all the time must not put it off for ever.
      timer ??= setTimeout(() => {
        timer = null;
        onChange();
      }, SETTLE_MS);
    });
    watcher.on('error', onLost);
    return () => {
      watcher.close();
      if (timer) clearTimeout(timer);
    };
  } catch (error) {
    onLost(error as Error); // node:fs throws nothing else
    return () => {};
  }
}
