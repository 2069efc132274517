// Decides: what the nodes of `pnpm bench:sidecar` answer: a process of its own that costs little, on many addresses.
// Must not know: who asks. Prints its ports once it listens.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const PORT_COUNT = Number(process.argv[2]);
const BLOCK_MS = 12_000;
const CALL = /"id":(\d+),"method":"(\w+)","params":\["?(\w*)/g;

/** A block later every twelve seconds, the same on every node. */
function resultOf(method: string, tag: string): string {
  if (method === 'eth_chainId') return '"0x1"';
  if (method === 'eth_syncing') return 'false';
  const number = Math.floor(Date.now() / BLOCK_MS) - (tag === 'finalized' ? 64 : 0);
  const hex = `0x${number.toString(16)}`;
  if (method === 'eth_blockNumber') return `"${hex}"`;
  const timestamp = `0x${((number * BLOCK_MS) / 1000).toString(16)}`;
  const hash = `0x${number.toString(16).padStart(64, '0')}`;
  return `{"number":"${hex}","hash":"${hash}","timestamp":"${timestamp}"}`;
}

const ports = await Promise.all(
  Array.from({ length: PORT_COUNT }, () => {
    const server = createServer((request, response) => {
      let body = '';
      request.setEncoding('latin1').on('data', (chunk) => {
        body += chunk;
      });
      request.on('end', () => {
        const answers = [...body.matchAll(CALL)].map(
          ([, id = '', method = '', tag = '']) =>
            `{"jsonrpc":"2.0","id":${id},"result":${resultOf(method, tag)}}`,
        );
        const text = body.startsWith('[') ? `[${answers.join(',')}]` : (answers[0] ?? '');
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': text.length });
        response.end(text);
      });
    });
    server.keepAliveTimeout = 65_000;
    return new Promise<number>((resolve) => {
      // Every loopback address, so that a few ports are many nodes.
      server.listen(0, '0.0.0.0', () => resolve((server.address() as AddressInfo).port)); // TCP, so no text
    });
  }),
);
process.stdout.write(`${JSON.stringify({ ports })}\n`);
