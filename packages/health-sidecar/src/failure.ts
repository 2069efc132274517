// Decides: what is logged of a step of the store that failed, of which nobody else is told.
// Must not know: which step, or what follows.
import { BalancerError, type Log } from '@rpc-balancer/shared';
import { errorText } from './runtime.ts';

export interface FailureLog {
  readonly log: Log;
  readonly redact: (text: string) => string;
}

/** A store out of reach counts its failures and says so by itself, once; all else is a mistake of ours. */
export function logFailure(
  error: unknown,
  { log, redact }: FailureLog,
  fields: Readonly<Record<string, unknown>> = {},
): void {
  const isExpected = error instanceof BalancerError && error.code === 'RPCB_STORE';
  if (isExpected) log.debug(fields, 'the store is out of reach');
  else log.error({ ...fields, problem: redact(errorText(error)) }, 'a mistake of ours; going on');
}
