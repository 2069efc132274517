// What a container engine learns from the health commands: 0 or 1, and never anything else.
import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { configFile } from '../kit/paths.ts';
import { freePort } from '../kit/ports.ts';
import { fakeNode, gateway, PROBE, run } from './programs.ts';

test('the health command of a gateway tells whether the one that its file and arguments name is alive', async () => {
  const node = await fakeNode({ mode: 'http500' });
  const port = await freePort();
  const networks = { main: { probe: PROBE, required: true, upstreams: [{ id: 'geth-a', url: node.url }] } };
  const config = configFile({ gateway: { port, host: '0.0.0.0' }, networks });
  const health = (...args: readonly string[]) => run('gateway', ['health', '--config', config, ...args]);
  expect(await health()).toEqual({
    ...{ code: 1, signal: null },
    output: `nobody can be reached at http://127.0.0.1:${port}/health\n`,
  });
  const front = await gateway({ config, port });
  expect(await health()).toEqual({ code: 0, signal: null, output: 'ok\n' });
  // It is alive, whatever its nodes are: to restart it would mend nothing.
  expect((await front.ready()).statusCode).toBe(503);
  expect((await health('--port', String(await freePort()))).code).toBe(1);
});

test.each(['gateway', 'sidecar'] as const)(
  'a health command of a %s that cannot be followed ends with 1',
  async (program) => {
    for (const args of [[], ['--config', '/nowhere/config.yaml'], ['--port', 'http'], ['--what']]) {
      const { code, output } = await run(program, ['health', ...args]);
      expect(code, args.join(' ')).toBe(1);
      expect(output).not.toBe('');
    }
  },
);

test('a program that takes connections and answers nothing is not alive', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
  });
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : null;
  const { code, output } = await run('sidecar', ['health', '--port', String(port)]);
  expect(code).toBe(1);
  expect(output).toMatch(/did not answer within \d+ ms/);
});
