// Decides: how a test gets a real nginx: from PATH, else installed by apt, else the test fails and says what to install.
// Must not know: what it is compared with.
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { findOnPath, installByApt } from './apt.ts';
import { temporaryDirectory } from './paths.ts';
import { startProcess } from './process.ts';
import { waitFor } from './wait.ts';

const REFUSAL = 'no nginx for the oracle; install nginx (1.22 or newer) so that it is on PATH';

const TEMPORARY = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];

export interface Nginx {
  readonly pid: number;
  stop(): Promise<void>;
}

/**
 * One process that is its own only worker, so that all counters are in one place.
 * @param http what stands inside `http { }`
 * @param port one that it listens at
 */
export async function startNginx(http: string, port: number): Promise<Nginx> {
  const command = findNginx() ?? (await installNginx());
  const directory = temporaryDirectory();
  const config = join(directory, 'nginx.conf');
  const temporary = TEMPORARY.map((kind) => `${kind}_temp_path ${directory}/${kind};`).join(' ');
  writeFileSync(
    config,
    `daemon off; master_process off; worker_processes 1; pid ${directory}/nginx.pid;
events { worker_connections 4096; }
http { access_log off; ${temporary}
${http}
}
`,
  );
  const errors = join(directory, 'error.log');
  const started = startProcess({ command, args: ['-c', config, '-p', directory, '-e', errors] });
  await waitFor(() => answers(port) || !started.running, { what: 'nginx to listen' });
  if (!started.running) throw new Error(`nginx ended:\n${started.output}`);
  return {
    pid: started.pid,
    async stop() {
      await started.stop();
    },
  };
}

export function findNginx(): string | null {
  return findOnPath(['nginx']);
}

async function installNginx(): Promise<string> {
  await installByApt('nginx', REFUSAL);
  const installed = findNginx();
  if (installed === null) throw new Error(REFUSAL);
  return installed;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
