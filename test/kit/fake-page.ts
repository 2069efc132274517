// Decides: the page that an exporter serves in a test, on a real socket: what it says, how it fails, who asked for it.
// Must not know: what is read from it.
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';

/** `hang` never answers, `stall` begins an answer, `endless` sends it for ever. */
export type PageMode = 'ok' | 'hang' | 'stall' | 'endless';

export interface FakePage {
  readonly url: string;
  /** May be changed while it runs. */
  text: string;
  status: number;
  mode: PageMode;
  readonly requests: { readonly path: string; readonly headers: IncomingHttpHeaders }[];
  /** Bytes that were sent in `endless` mode. */
  readonly endlessBytes: number;
  stop(): Promise<void>;
}

const CHUNK = Buffer.alloc(65_536, 'x');

export async function startFakePage(text: string): Promise<FakePage> {
  const requests: FakePage['requests'] = [];
  let endlessBytes = 0;
  async function* endless(): AsyncGenerator<Buffer> {
    for (;;) {
      endlessBytes += CHUNK.length;
      yield CHUNK;
    }
  }
  const server = createServer(async (request, response) => {
    requests.push({ path: request.url ?? '', headers: request.headers });
    if (page.mode === 'hang') return;
    response.writeHead(page.status, { 'content-type': 'text/plain; version=0.0.4' });
    if (page.mode === 'ok') return response.end(page.text);
    response.write(page.text);
    if (page.mode === 'endless') await pipeline(endless, response).catch(() => {}); // Whoever asked has gone.
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A TCP server's address is an object; only pipes have texts.
  const { port } = server.address() as AddressInfo;
  const page: FakePage = {
    ...{ url: `http://127.0.0.1:${port}`, text, status: 200, mode: 'ok', requests },
    get endlessBytes() {
      return endlessBytes;
    },
    async stop() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
  return page;
}
