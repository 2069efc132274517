// Decides: how a Dockerfile is carried out without a container engine: each stage in a folder that stands for its root.
// Must not know: what is built. What the base images hold comes from the machine.
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { inRepo, temporaryDirectory } from './paths.ts';

interface Instruction {
  readonly word: string;
  readonly rest: string;
}

interface Stage {
  readonly base: string;
  readonly name: string | null;
  readonly instructions: readonly Instruction[];
}

export interface Dockerfile {
  readonly stages: readonly Stage[];
  /** Images that are pulled, such as `node:24.21.0-slim`. */
  readonly images: readonly string[];
}

export interface BuiltImage {
  /** The folder that stands for `/`. */
  readonly root: string;
  readonly cwd: string;
  readonly user: string | null;
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly health: readonly string[];
}

export function readDockerfile(...path: readonly string[]): Dockerfile {
  const stages: Stage[] = [];
  for (const line of readFileSync(inRepo(...path), 'utf8').split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const [, word = '', rest = ''] = /^([A-Z]+) (.*)$/.exec(line) ?? [];
    const [base = '', name] = rest.split(' AS ');
    if (word === 'FROM') stages.push({ base, name: name ?? null, instructions: [] });
    else stages[stages.length - 1] = withInstruction(stages.at(-1), { word, rest });
  }
  const own = new Set(stages.map(({ name }) => name));
  return { stages, images: stages.map(({ base }) => base).filter((base) => !own.has(base)) };
}

function withInstruction(stage: Stage | undefined, instruction: Instruction): Stage {
  if (!stage) throw new Error('a Dockerfile begins with FROM');
  return { ...stage, instructions: [...stage.instructions, instruction] };
}

/** Runs RUN and COPY, without what .dockerignore names; the rest is what the image is started with. */
export async function carryOut({ stages }: Dockerfile): Promise<BuiltImage> {
  const built = new Map<string | null, BuiltImage>();
  let last: BuiltImage | null = null;
  for (const { name, instructions } of stages) {
    let image: BuiltImage = {
      root: temporaryDirectory(),
      cwd: '/',
      user: null,
      entrypoint: [],
      cmd: [],
      health: [],
    };
    for (const instruction of instructions) image = await step(image, instruction, built);
    built.set(name, image);
    last = image;
  }
  if (!last) throw new Error('there is no stage');
  return last;
}

async function step(
  image: BuiltImage,
  { word, rest }: Instruction,
  built: ReadonlyMap<string | null, BuiltImage>,
): Promise<BuiltImage> {
  const here = join(image.root, image.cwd);
  // The base images' programs are those of the repository.
  const env = { ...process.env, PATH: `${inRepo('node_modules', '.bin')}:${process.env.PATH}` };
  if (word === 'WORKDIR') {
    mkdirSync(join(image.root, rest), { recursive: true });
    return { ...image, cwd: rest };
  }
  if (word === 'USER') return { ...image, user: rest };
  if (word === 'ENTRYPOINT') return { ...image, entrypoint: JSON.parse(rest) };
  if (word === 'CMD') return { ...image, cmd: JSON.parse(rest) };
  if (word === 'HEALTHCHECK') return { ...image, health: JSON.parse(rest.slice(rest.indexOf('CMD ') + 4)) };
  if (word === 'EXPOSE' || word === 'ENV') return image;
  if (word === 'RUN') await promisify(execFile)('sh', ['-c', rest], { cwd: here, env });
  else if (word === 'COPY') copy(image, rest, built);
  else throw new Error(`${word} cannot be carried out here`);
  return image;
}

function copy(image: BuiltImage, rest: string, built: ReadonlyMap<string | null, BuiltImage>): void {
  const words = rest.split(' ');
  const from = words[0]?.startsWith('--from=') ? (words.shift() ?? '').slice('--from='.length) : null;
  const source = from === null ? inRepo() : built.get(from)?.root;
  if (source === undefined) throw new Error(`there is no stage ${from}`);
  const given = words.pop() ?? '';
  const target = join(image.root, resolve(image.cwd, given));
  const ignored = from === null ? readIgnored() : new Set<string>();
  const filter = (path: string) => !ignored.has(basename(path));
  for (const path of words) {
    // Of a folder its contents are copied, of a file the file itself.
    const isFolder = statSync(join(source, path)).isDirectory();
    const into = given.endsWith('/') && !isFolder ? join(target, basename(path)) : target;
    mkdirSync(dirname(into), { recursive: true });
    cpSync(join(source, path), into, { recursive: true, filter, verbatimSymlinks: true });
  }
}

/** Names that are left out wherever they are; other patterns are not understood here. */
function readIgnored(): ReadonlySet<string> {
  const lines = readFileSync(inRepo('.dockerignore'), 'utf8').trim().split('\n');
  return new Set(lines.map((line) => line.replace(/^\*\*\//, '')));
}
