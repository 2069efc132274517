// Decides: when a changed configuration file is read, and that only a valid and different one is taken on.
// Must not know: what it changes.
import { type FixedKeys, keepFixed } from './config/fixed.ts';
import type { Config } from './config/schema.ts';
import { BalancerError } from './errors.ts';
import type { Log } from './log.ts';
import { watchFile } from './watch.ts';

/** `refused`: it is not valid, so the old one stays. `unchanged`: it says what is in force. */
export type ReloadResult = 'applied' | 'refused' | 'unchanged';

export interface ReloaderOptions {
  readonly file: string;
  /** What was read from it for the start. */
  readonly config: Config;
  /** What cannot change before a restart. */
  readonly fixed: FixedKeys;
  /** @throws when it cannot be read; what it throws is shown if it is a BalancerError */
  readonly read: (file: string) => string;
  /** @throws BalancerError `RPCB_CONFIG` */
  readonly parse: (text: string) => Config;
  /**
   * Takes it on, at once or not at all.
   * @throws BalancerError `RPCB_CONFIG`
   */
  readonly apply: (config: Config) => void;
  readonly log: Log;
  readonly onResult: (result: Exclude<ReloadResult, 'unchanged'>) => void;
}

export interface Reloader {
  /** Reads the file now, with all that it refers to. */
  reload(): ReloadResult;
  stop(): void;
}

/** Watches the file. What its references (`${file:…}`, variables) stand for is read again with it or on demand only. */
export function startReloader(options: ReloaderOptions): Reloader {
  const { file, read, parse, apply, log, onResult } = options;
  let seen: string | null = null;
  let given = options.config;
  let inForce = options.config;

  function reload(text: string): ReloadResult {
    seen = text;
    const next = parse(text);
    if (JSON.stringify(next) === JSON.stringify(given)) return 'unchanged';
    const { config, changed } = keepFixed(inForce, next, options.fixed);
    apply(config);
    given = next;
    inForce = config;
    log.info({ file }, 'the configuration was reloaded');
    if (changed.length > 0)
      log.warn({ keys: changed }, 'these keys have changed but take effect after a restart only');
    onResult('applied');
    return 'applied';
  }

  function guarded(attempt: () => ReloadResult): ReloadResult {
    try {
      return attempt();
    } catch (error) {
      const problem = problemOf(error);
      log.error({ file, problem }, 'the changed configuration was refused; the old one stays in force');
      onResult('refused');
      return 'refused';
    }
  }

  /** While a file is being replaced there may be none for a moment; its coming is another change. */
  function check(): void {
    let text: string;
    try {
      text = read(file);
    } catch {
      return;
    }
    if (text !== seen) guarded(() => reload(text));
  }

  const stop = watchFile(file, check, (error) =>
    log.warn(
      { file, problem: error.code ?? 'unknown' },
      'the configuration file cannot be watched; send SIGHUP to have it read again',
    ),
  );
  check(); // It may have changed since it was read for the start.
  return { reload: () => guarded(() => reload(read(file))), stop };
}

/** Other errors' texts may repeat what stands in the file. */
function problemOf(error: unknown): string {
  if (error instanceof BalancerError) return error.message;
  const { code } = error as { code?: string }; // errors of node:fs carry one
  return code === undefined ? 'a mistake of ours' : `cannot read it (${code})`;
}
