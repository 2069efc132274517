// `pnpm packages`: packs the three packages as they would be published and has publint and attw look at each.
// A tarball that a user could not import fails here, not at the user's.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const PACKAGES = ['shared', 'health-sidecar', 'gateway-plugin'] as const;

function run(command: string, args: readonly string[], cwd = ROOT): void {
  process.stdout.write(`$ ${command} ${args.join(' ')}\n`);
  execFileSync(command, args, { cwd, stdio: 'inherit' });
}

const directory = mkdtempSync(join(tmpdir(), 'rpcb-pack-'));
try {
  for (const name of PACKAGES) {
    const home = join(ROOT, 'packages', name);
    if (!existsSync(join(home, 'dist', 'index.js')))
      throw new Error(`${name} is not built; run \`pnpm build\` first`);
    run('npx', ['-y', 'pnpm@12', 'pack', '--pack-destination', directory], home);
  }
  for (const tarball of readdirSync(directory)) {
    run('publint', ['--strict', join(directory, tarball)]);
    // ESM only: a CommonJS user gets require(esm), which every Node that we support has.
    run('attw', ['--profile', 'esm-only', join(directory, tarball)]);
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
