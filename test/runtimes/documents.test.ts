import { expect, test } from 'vitest';
import { inRepo, type Runtime, runtimeCommand } from '../kit/paths.ts';
import { startProcess } from '../kit/process.ts';

/** What the program writes on a runtime, line by line. */
async function documentsOf(runtime: Runtime): Promise<string[]> {
  const leading = runtime === 'deno' ? ['run', '--quiet', '--no-prompt', '--allow-env'] : [];
  const started = startProcess({
    command: runtimeCommand(runtime),
    args: [...leading, inRepo('test', 'runtimes', 'documents.ts')],
    cwd: inRepo(),
    env: { BUN_RUNTIME_TRANSPILER_CACHE_PATH: '0' },
  });
  expect(await started.exited, started.stderr).toEqual({ code: 0, signal: null });
  return started.stdout.split('\n');
}

test('the same samples give the same published bytes on all three runtimes', async () => {
  const [node, bun, deno] = await Promise.all([documentsOf('node'), documentsOf('bun'), documentsOf('deno')]);
  expect(node.length).toBeGreaterThan(400);
  // What is published is read back as it was written.
  for (let at = 0; at < 400; at += 2)
    expect(JSON.parse(node[at + 1] ?? '')).toEqual(JSON.parse(node[at] ?? ''));
  for (const reason of [null, 'disabled', 'unreachable', 'syncing', 'suspect'])
    expect(node.join('\n')).toContain(`"reason":${JSON.stringify(reason)}`);
  expect(bun).toEqual(node);
  expect(deno).toEqual(node);
});
