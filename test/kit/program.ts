// Decides: what a started program of ours offers to a test, gateway and sidecar alike.
import type { Exit, StartedProcess } from './process.ts';

export interface Program {
  readonly url: string;
  readonly port: number;
  readonly process: StartedProcess;
  /** Everything it has written. */
  readonly output: string;
  /** GET /status as JSON. */
  status(): Promise<Json>;
  /** GET /ready with its HTTP status. */
  ready(): Promise<{ readonly statusCode: number; readonly body: Json }>;
  /** GET /metrics as text. */
  metrics(): Promise<string>;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<Exit>;
  /** SIGTERM; resolves when it is gone. */
  stop(): Promise<Exit>;
}

/** What a test asserts on; its shape is the test's business. */
// biome-ignore lint/suspicious/noExplicitAny: answers of our programs are checked by the assertions themselves
export type Json = any;

/** The first address that the program says it listens at. */
const LISTENING =
  /listening[^\n]*?http:\/\/(?:127\.0\.0\.1|\[::1\]|localhost):(\d+)|http:\/\/127\.0\.0\.1:(\d+)[^\n]*listening/i;

export async function programOf(started: StartedProcess, timeoutMs: number): Promise<Program> {
  const found = await started.waitForOutput(LISTENING, timeoutMs);
  const port = Number(found[1] ?? found[2]);
  const url = `http://127.0.0.1:${port}`;
  const get = (path: string) => fetch(`${url}${path}`, { headers: { accept: 'application/json' } });
  return {
    url,
    port,
    process: started,
    get output() {
      return started.output;
    },
    async status() {
      return (await get('/status')).json();
    },
    async ready() {
      const response = await get('/ready');
      return { statusCode: response.status, body: await response.json() };
    },
    async metrics() {
      return (await get('/metrics')).text();
    },
    kill() {
      started.kill('SIGKILL');
      return started.exited;
    },
    stop: () => started.stop(),
  };
}
