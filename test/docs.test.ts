// The documents name everything that the code has, rightly, and nothing else.
import { existsSync, globSync, readFileSync } from 'node:fs';
import {
  BalancerError,
  type Config,
  ERRORS,
  type ErrorCode,
  parseConfig,
  type StoreHealth,
} from '@rpc-balancer/shared';
import { describe, expect, test } from 'vitest';
import { createMetrics as createGatewayMetrics } from '../packages/gateway-plugin/src/observe/metrics.ts';
import { type RpcBalancerOptions, resolveOptions } from '../packages/gateway-plugin/src/options.ts';
import { createMetrics as createSidecarMetrics } from '../packages/health-sidecar/src/metrics.ts';
import { configSchema } from '../packages/shared/src/config/schema.ts';
import type { Method } from '../packages/shared/src/protocols/table.ts';
import { TABLES } from '../packages/shared/src/protocols/tables.ts';
import { anchorsOf, documents, factIn, linksIn, sectionsOf } from './documents.ts';
import { inRepo } from './kit/paths.ts';
import { configWith, optionPaths, valueAt } from './schema-paths.ts';
import { run } from './system/programs.ts';

const NOWHERE = {
  env: {},
  readFile: () => {
    throw new Error('there are no files');
  },
};

/** What the schema makes of a text, or its problems. */
function read(text: string): { config: Config | null; problems: { path: string; message: string }[] } {
  try {
    return { config: parseConfig(text, NOWHERE), problems: [] };
  } catch (error) {
    if (!(error instanceof BalancerError)) throw error;
    return { config: null, problems: error.details.problems };
  }
}

const withoutTicks = (text: string): string | undefined => /^`([^`]*)`$/.exec(text)?.[1];

describe('docs/options.md', () => {
  const sections = sectionsOf('docs/options.md', 3);
  const headings = [...sections.keys()];
  const isOfFile = (heading: string) => /^`[^`-][^`]*`$/.test(heading);
  const options = headings.filter(isOfFile).map((heading) => heading.slice(1, -1));
  const sectionOf = (path: string) => sections.get(`\`${path}\``) ?? '';

  test('has one heading for each option of the file, and for nothing else', () => {
    expect(options.toSorted()).toEqual(optionPaths(configSchema).toSorted());
  });

  test.each(options)('says the default of %s', (path) => {
    const said = factIn(sectionOf(path), 'Default') ?? '';
    const without = read(configWith(path, undefined));
    if (said === 'required') {
      const at = read(configWith(path, null)).problems.map((problem) => problem.path);
      expect(at).toContain(path.replace('*', 'main').replace('[]', '[0]'));
    } else if (said === 'none') {
      expect(without.config).not.toBeNull();
      expect(valueAt(without.config, path)).toBeUndefined();
    } else if (said === "the network's") {
      expect(valueAt(without.config, path)).toBe(valueAt(without.config, path.replace('.upstreams[]', '')));
    } else {
      expect(withoutTicks(said), `the default of ${path}`).toBeDefined();
      expect(read(configWith(path, withoutTicks(said))).config).toEqual(without.config);
      expect(valueAt(without.config, path)).toBeDefined();
    }
  });

  test.each(options)('says the limits of %s', (path) => {
    const said = factIn(sectionOf(path), 'Limits') ?? '';
    const [, from, to] = /^`([^`]*)` to `([^`]*)`/.exec(said) ?? [];
    expect(from === undefined ? null : [inside(from), inside(to ?? '')]).toEqual(limitsOf(path));
  });

  test('says why or what for under each heading', () => {
    for (const [heading, text] of sections) {
      const [facts = '', ...prose] = text.trim().split('\n\n');
      expect(facts, heading).toMatch(/^Default: /);
      expect(prose.join(' ').length, heading).toBeGreaterThan(15);
    }
  });

  test('has every argument of both programs', async () => {
    const usages = await Promise.all([run('gateway', []), run('sidecar', ['--help'])]);
    const documented = headings.filter((heading) => heading.startsWith('`--'));
    for (const { output } of usages) {
      const usage = /^.*usage: (.*)$/m.exec(output)?.[1] ?? '';
      const flags = usage.match(/--\w+/g) ?? [];
      expect(flags.map((flag) => `\`${flag}\``).toSorted()).toEqual(documented.toSorted());
    }
  });

  test('has every option of the plugin', () => {
    const all = { config: 1, prefix: 1, ops: 1, redis: 1, resolver: 1, logger: 1, metrics: 1 };
    const names = Object.keys(all satisfies Record<keyof RpcBalancerOptions, number>);
    const documented = headings.filter((heading) => heading.endsWith(' (plugin)'));
    expect(documented.toSorted()).toEqual(names.map((name) => `\`${name}\` (plugin)`).toSorted());
    expect(() => resolveOptions({ ...all, another: 1 })).toThrow('another');
  });
});

/** What the schema says of a number that is far too large; null for an option without such limits. */
function limitsOf(path: string): readonly [number, number] | null {
  const huge = '9000000000000000';
  const isTable = read(configWith(path, huge)).problems.some(({ message }) => message.includes('a section'));
  const { problems } = read(configWith(path, isTable ? `{ x: ${huge} }` : huge));
  const said = problems.map(({ message }) => / from (\d+)(?: ms)? to (\d+)/.exec(message)).find(Boolean);
  return said ? [Number(said[1]), Number(said[2])] : null;
}

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 };

/** A value as the programs have it inside: ms, bytes or the number itself. */
function inside(text: string): number {
  const [, digits, unit = ''] = /^(\d+)([a-z]*)$/.exec(text) ?? [];
  // An unknown unit gives NaN, which equals no limit.
  return Number(digits) * (unit === '' ? 1 : UNITS[unit as keyof typeof UNITS]);
}

describe('docs/errors.md', () => {
  const sections = sectionsOf('docs/errors.md', 2);

  test('has one heading for each code, and for nothing else', () => {
    expect([...sections.keys()].toSorted()).toEqual(Object.keys(ERRORS).toSorted());
  });

  test.each(Object.entries(ERRORS))('says the numbers of %s, when it comes and what to do', (code, entry) => {
    const section = sections.get(code) ?? '';
    expect(section).toContain(`\nHTTP ${entry.statusCode}, JSON-RPC ${entry.jsonRpcCode}`);
    expect(section).toMatch(/\nWhen: .{20}/);
    expect(section).toMatch(/\nDo: .{10}/);
  });

  test('is where every error points to', () => {
    const anchors = anchorsOf('docs/errors.md');
    for (const code of Object.keys(ERRORS) as ErrorCode[]) {
      const [file, anchor] = new BalancerError(code).docs.split('#');
      expect(file).toBe('docs/errors.md');
      expect(anchors).toContain(anchor);
    }
  });
});

/** As it stands in docs/methods.md: name and, after an @, where it names a block. */
function describedMethod(name: string, { block }: Method): string {
  if (block === undefined) return `\`${name}\``;
  return `\`${name}\`@${block === 'finalized' ? block : block.join('+') || 'latest'}`;
}

/** Methods under a line such as "For operators, cost 50". */
function describedMethods(methods: Readonly<Record<string, Method>>): Record<string, string[]> {
  const groups: Record<string, string[]> = {};
  for (const [name, method] of Object.entries(methods)) {
    const cost = `ost ${method.cost ?? 1}`;
    const label = method.admin ? `For operators, c${cost}` : `C${cost}`;
    groups[label] = [...(groups[label] ?? []), describedMethod(name, method)];
  }
  return groups;
}

describe('docs/methods.md', () => {
  const sections = sectionsOf('docs/methods.md', 3);
  const rows = TABLES.flatMap(({ name, methods }) =>
    Object.entries(methods).flatMap(([effect, own]) =>
      Object.keys(own).length > 0 ? [[`${name}: ${effect}`, own] as const] : [],
    ),
  );

  test('has one heading for each protocol and effect, and for nothing else', () => {
    expect([...sections.keys()]).toEqual(rows.map(([heading]) => heading));
  });

  test.each(rows)('lists the methods of %s as the tables do', (heading, methods) => {
    const groups = (sections.get(heading) ?? '').matchAll(/^(.*cost \d+): ([^.]*)\.$/gim);
    const documented = [...groups].map(([, label = '', names = '']) => [label, names.split(/,\s+/)]);
    expect(Object.fromEntries(documented)).toEqual(describedMethods(methods));
  });

  test('says which name spaces are for operators', () => {
    const section = sectionsOf('docs/methods.md', 2).get('For operators') ?? '';
    const named = [...section.matchAll(/`([a-z]+_)\*`/g)].map(([, prefix]) => prefix);
    expect(named).toEqual(TABLES.flatMap(({ adminPrefixes }) => adminPrefixes));
  });
});

describe('docs/nginx.md', () => {
  const sections = sectionsOf('docs/nginx.md', 3);

  test('names every difference from nginx once, in order', () => {
    const ids = [...sections.keys()].map((heading) => /^(D\d+): /.exec(heading)?.[1]);
    expect(ids).toEqual(Array.from({ length: 12 }, (_, at) => `D${at + 1}`));
  });

  test('names tests that exist', () => expectTests(sections));
});

describe('docs/evm-loadbalancer.md', () => {
  const sections = sectionsOf('docs/evm-loadbalancer.md', 3);
  const text = readFileSync(inRepo('docs/evm-loadbalancer.md'), 'utf8');
  const ids = [...text.matchAll(/^\| (SQ-\d\d) \|/gm)].map(([, id = '']) => id);

  test('has each item once, in order', () => {
    expect(ids.length).toBeGreaterThan(0);
    expect(ids).toEqual([...new Set(ids)].toSorted());
  });

  test.each(ids)('has a test that names %s', (id) => {
    expect(testSources().some((source) => source.includes(`'${id}: `))).toBe(true);
  });

  test('tells tests of what failed there', () => expectTests(sections));
});

function testSources(): string[] {
  const files = globSync([inRepo('packages/*/{src,test}/**/*.test.ts'), inRepo('test/**/*.test.ts')]);
  return files.map((path) => readFileSync(path, 'utf8'));
}

/** Each section says which test shows it, and there is one of that name. */
function expectTests(sections: ReadonlyMap<string, string>): void {
  const sources = testSources();
  const named = [...sections.values()].flatMap((section) => /\nTest: "(.*)"/.exec(section)?.[1] ?? []);
  expect(named).toHaveLength(sections.size);
  for (const name of named)
    expect(
      sources.some((source) => source.includes(`test('${name}'`)),
      name,
    ).toBe(true);
}

interface Described {
  readonly type: string;
  readonly labels: readonly string[];
}

const STORE: StoreHealth = {
  ...{ connected: true, problem: null, evictionRisk: null },
  ...{ connectionsLost: 1, lastLostAt: 1, slotsMoved: 1, failures: { publish: 1 } },
};

function gatewayMetrics(): Map<string, Described> {
  const { registry } = createGatewayMetrics({ networks: () => [], store: () => STORE, now: () => 0 });
  return new Map(
    registry.getMetricsAsArray().map((metric) => {
      // The registry's type leaves out what its metrics were made with.
      const { name, labelNames = [] } = metric as unknown as { name: string; labelNames?: string[] };
      return [name, { type: metric.constructor.name, labels: labelNames.toSorted() }];
    }),
  );
}

/** Of a sidecar to which everything has happened, from what it shows. */
async function sidecarMetrics(): Promise<Map<string, Described>> {
  const metrics = createSidecarMetrics();
  const head = { number: 1, hash: null, headerAt: null };
  metrics.probed('n', 'u', null, 1);
  metrics.probed('n', 'u', 'unreachable', 1);
  metrics.loadFailed('n', 'u');
  metrics.pushed('n', 'u');
  metrics.fenced('n');
  metrics.reloaded('applied');
  metrics.leased('n', { network: 'n', holder: 'h', epoch: 1 });
  metrics.published('n', {
    ...{ version: 1, network: 'n', epoch: 1, seq: 1, publisher: 'h', generatedAt: 1, configHash: '' },
    ...{ identity: null, finalized: 1, blockIntervalMs: 1 },
    head: { ...head, agreedAt: 1, confirmations: 1 },
    upstreams: [
      {
        ...{ id: 'u', reason: 'lagging', head, finalized: 1, lagBlocks: 1, errorRatio: 0, score: 0 },
        ...{ latencyP50Ms: 1, latencyP95Ms: 1, load: 1 },
        budget: { attempts: 1, throttled: 1, retryAt: 1, left: 1, limit: 1, resetAt: 1 },
      },
    ],
  });
  const text = await metrics.text(STORE);
  const types = [...text.matchAll(/^# TYPE (\w+) (\w)(\w+)$/gm)];
  return new Map(
    types.map(([, name = '', first = '', rest = '']) => {
      const shown = new RegExp(`^${name}(?:_count)?(?:\\{(.*)\\})? `, 'm').exec(text);
      expect(shown, `a value of ${name}`).not.toBeNull();
      const labels = [...(shown?.[1] ?? '').matchAll(/(\w+)="/g)].map(([, label = '']) => label);
      return [name, { type: first.toUpperCase() + rest, labels: labels.toSorted() }];
    }),
  );
}

describe('docs/metrics.md', () => {
  const sections = sectionsOf('docs/metrics.md', 3);

  test('has one heading for each metric with its type and labels, and for nothing else', async () => {
    const documented = [...sections].map(([name, section]) => {
      const [, type = ''] = /^\s*(\w+)\. Labels: /.exec(section) ?? [];
      const labels = [...(factIn(section, 'Labels') ?? '').matchAll(/`(\w+)`/g)].map(
        ([, label = '']) => label,
      );
      return [name, { type, labels: labels.toSorted() }] as const;
    });
    expect(new Map(documented)).toEqual(new Map([...gatewayMetrics(), ...(await sidecarMetrics())]));
  });

  test('says the unit of each', () => {
    for (const [name, section] of sections) expect(factIn(section, 'Unit')?.length, name).toBeGreaterThan(4);
  });
});

describe('links', () => {
  test.each(documents())('of %s lead somewhere', (file) => {
    for (const { path, anchor } of linksIn(file)) {
      expect(existsSync(inRepo(path)), `${path} is linked`).toBe(true);
      if (anchor !== undefined) expect(anchorsOf(path), `#${anchor} is linked in ${path}`).toContain(anchor);
    }
  });
});
