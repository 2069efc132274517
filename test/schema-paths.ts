// Decides: which options the configuration's schema has, and how one of them is set in a small configuration.
// Must not know: what an option means. Reads the schema's own description of itself.

/** What of zod's `def` is read here. */
interface Definition {
  readonly type: string;
  readonly innerType?: Described;
  readonly in?: Described;
  readonly options?: readonly Described[];
  readonly valueType?: Described;
  readonly element?: Described;
  readonly shape?: Readonly<Record<string, Described>>;
}

export interface Described {
  readonly def: unknown;
}

// zod's types of definitions are one per class; the members that are read are checked where they are.
const definitionOf = (schema: Described) => schema.def as Definition;

/** Without defaults, transforms and the like. */
function bare(schema: Described): Definition {
  const definition = definitionOf(schema);
  const inner = definition.innerType ?? definition.in;
  return inner ? bare(inner) : definition;
}

/** Such as `gateway.port` or `networks.*.upstreams[].id`: everything that can be set, and sections that can be `off`. */
export function optionPaths(schema: Described, path = ''): string[] {
  const { type, shape, options, valueType, element } = bare(schema);
  const below = (part: string, child: Described) =>
    optionPaths(child, path === '' ? part : `${path}.${part}`);
  if (type === 'object' && shape) return Object.entries(shape).flatMap(([key, child]) => below(key, child));
  if (type === 'union') {
    const section = options?.find((option) => bare(option).type === 'object');
    return section ? [path, ...optionPaths(section, path)] : [path];
  }
  if (type === 'record' && valueType && bare(valueType).type === 'object') return below('*', valueType);
  if (type === 'array' && element && bare(element).type === 'object') {
    return [path, ...optionPaths(element, `${path}[]`)];
  }
  return [path];
}

const NETWORK = 'main';

/** A path's keys in a configuration with one network of one upstream. */
export function keysOf(path: string): string[] {
  return path.split('.').flatMap((part) => {
    if (part === '*') return [NETWORK];
    return part.endsWith('[]') ? [part.slice(0, -2), '0'] : [part];
  });
}

type Tree = { [key: string]: unknown };

/** Some keys of a probe are those of one protocol. */
function smallestProbe(path: string): Tree {
  const [, key = ''] = /^networks\.\*\.probe\.(method|path|status|json|head)\b/.exec(path) ?? [];
  if (key === '') return {};
  return { protocol: 'http', ...(path.includes('.head.') && { probe: { head: { pointer: '/height' } } }) };
}

function smallest(path: string): Tree {
  const upstream = { id: 'a', url: 'http://127.0.0.1:1' };
  // Exactly one way to Redis is allowed, so another one where the url itself is looked at.
  const redis = path === 'redis.url' ? { cluster: ['127.0.0.1:1'] } : { url: 'redis://127.0.0.1:1' };
  // Off unless it is given, and then `after` must be.
  const hedge = path.startsWith('networks.*.hedge.') ? { hedge: { after: 50 } } : {};
  return {
    redis,
    networks: {
      [NETWORK]: { ...hedge, ...smallestProbe(path), upstreams: [{ ...upstream, ...loadFor(path) }] },
    },
  };
}

/** Exactly one of two sources is allowed, so the other one where a source itself is looked at. */
function loadFor(path: string): Tree {
  if (!path.includes('.load.')) return {};
  const source = path.endsWith('.metric') ? { pointer: '/load' } : { metric: 'node_load1' };
  return { load: { url: 'http://127.0.0.1:1', ...source } };
}

/** The smallest configuration as YAML, with `text` as it is at that path; null takes the key out. */
export function configWith(path: string, text: string | null | undefined): string {
  const config = smallest(path);
  if (text === undefined) return JSON.stringify(config);
  const keys = keysOf(path);
  const last = keys.pop() ?? '';
  let at: Tree = config;
  for (const key of keys) {
    at[key] ??= {};
    at = at[key] as Tree; // Every key but the last leads to a section or a list.
  }
  if (text === null) delete at[last];
  else at[last] = '@here@';
  return JSON.stringify(config).replace('"@here@"', () => text ?? '');
}

export function valueAt(config: unknown, path: string): unknown {
  return keysOf(path).reduce<unknown>((at, key) => (at as Tree | undefined)?.[key], config); // Absent sections stay absent.
}
