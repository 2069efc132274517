// Decides: how a program asks a running one on the same machine whether it is alive, as a container's health command does.
// Must not know: which program it is, arguments, exit codes.

/** The process answers at once if it is well; a container's own timeout should be longer. */
const ANSWER_MS = 3000;

export interface Listening {
  /** What it listens at. */
  readonly host: string;
  readonly port: number;
}

/** Where somebody who listens can be reached: an address to listen at is not always one to connect to. */
export function originOf({ host, port }: Listening): string {
  if (host === '0.0.0.0') return `http://127.0.0.1:${port}`;
  if (host === '::') return `http://[::1]:${port}`;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** Null when it is alive, else what is wrong. */
export async function askHealth(listening: Listening): Promise<string | null> {
  const url = `${originOf(listening)}/health`;
  const signal = AbortSignal.timeout(ANSWER_MS);
  try {
    const response = await fetch(url, { redirect: 'manual', signal });
    await response.body?.cancel();
    return response.ok ? null : `${url} answered HTTP ${response.status}`;
  } catch {
    return signal.aborted
      ? `${url} did not answer within ${ANSWER_MS} ms`
      : `nobody can be reached at ${url}`;
  }
}
