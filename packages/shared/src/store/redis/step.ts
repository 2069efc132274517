// Decides: how one step is sent: how long it may take, and when it is sent once more.
// Must not know: which steps there are, or what follows from one that fails.
import type { Client } from './client.ts';
import { COMMAND_TIMEOUT_MS } from './connect.ts';
import type { Link } from './link.ts';

/** Sends what a step consists of. */
export type Send<Answer> = (client: Client) => Promise<Answer>;

/**
 * Takes a step with this name; rejects with a BalancerError `RPCB_STORE` within a second. What was in flight when its
 * connection ended is sent once more, unless it is not repeatable.
 */
export type Run = <Answer>(step: string, send: Send<Answer>, repeatable?: boolean) => Promise<Answer>;

/** A script of a kilobyte is sent whole: at a few a second per network that costs less than a lost cache would. */
export function script(
  text: string,
  keys: readonly string[],
  args: readonly (string | number)[],
): Send<unknown> {
  return (client) => client.eval(text, keys.length, ...keys, ...args);
}

/**
 * Waits for a connection that is being made, then for the answer; both together no longer than the timeout.
 * What was in flight when its connection ended is sent once more if it may be: its fate is unknown.
 */
export async function sendInTime<Answer>(
  link: Link,
  send: () => Promise<Answer>,
  repeatable: boolean,
): Promise<Answer> {
  let late = false;
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      late = true;
      reject(new Error('Command timed out'));
    }, COMMAND_TIMEOUT_MS);
  });
  const sendOnce = async (renewed: boolean): Promise<Answer> => {
    await link.usable(renewed);
    if (late) throw new Error('Command timed out'); // The caller has gone: a lease taken now would be nobody's.
    return send();
  };
  const answer = sendOnce(false).catch((error) => {
    if (isUnsent(error) || (repeatable && isLost(error))) return sendOnce(true);
    throw error;
  });
  try {
    return await Promise.race([answer, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/** ioredis rejects with this what was in flight when the connection ended. */
function isLost(error: unknown): boolean {
  return error instanceof Error && error.name === 'MaxRetriesPerRequestError';
}

/** ioredis rejects with this what it did not write, because the server had ended the connection a moment before. */
function isUnsent(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith("Stream isn't writeable");
}
