// Decides: which parts of a configuration are secret, and how it looks without them.
// Must not know: where it is shown.

import { createRedactor, HIDDEN, type Redact, redactUrl, urlSecrets } from '../redact.ts';
import { endpointOf } from './endpoint.ts';
import type { UpstreamConfig } from './network.ts';
import type { Config } from './schema.ts';

/** A function that hides every secret of this configuration in any text. */
export function redactorOf(config: Config): Redact {
  return createRedactor(secretsIn(config));
}

function secretsIn(config: Config): string[] {
  const upstreams = Object.values(config.networks).flatMap((network) => network.upstreams);
  const fromUpstreams = upstreams.flatMap((upstream) => [
    ...secretsOf(upstream),
    ...(upstream.wsUrl === undefined ? [] : secretsOf({ url: upstream.wsUrl, headers: {} })),
    ...(upstream.load ? secretsOf({ url: upstream.load.url, headers: {} }) : []),
    ...(upstream.tls?.key === undefined ? [] : [upstream.tls.key]),
  ]);
  const { url, password, tls } = config.redis ?? {};
  const fromRedis = [url === undefined ? undefined : passwordOf(url), password, tls?.key];
  const others = [...fromRedis, config.gateway.admin?.token].filter((secret) => secret !== undefined);
  return [...fromUpstreams, ...others];
}

/** Of the URL and the headers, with the `authorization` that is made of the URL's user and password. */
function secretsOf(endpoint: Pick<UpstreamConfig, 'url' | 'headers'>): string[] {
  const headers = Object.values(endpointOf(endpoint).headers);
  return [
    ...urlSecrets(endpoint.url),
    ...headers.flatMap((value) => [value, value.slice(value.indexOf(' ') + 1)]),
  ];
}

export interface LiveRedactor {
  readonly redact: Redact;
  /** Hides the secrets of another configuration as well: what is on its way may still hold the old ones. */
  renew(config: Config): void;
}

/** A redactor for a configuration that may change. */
export function createLiveRedactor(config: Config): LiveRedactor {
  let present = secretsIn(config);
  let redact = createRedactor(present);
  return {
    redact: (text, charsMax) => redact(text, charsMax),
    renew(next) {
      const before = present;
      present = secretsIn(next);
      redact = createRedactor([...before, ...present]);
    },
  };
}

/** The resolved configuration as it may be shown: what `--check` prints. */
export function redactConfig(config: Config): unknown {
  const networks = Object.entries(config.networks).map(([name, network]) => {
    const upstreams = network.upstreams.map((upstream) => ({
      ...upstream,
      url: redactUrl(upstream.url),
      ...(upstream.wsUrl !== undefined && { wsUrl: redactUrl(upstream.wsUrl) }),
      headers: Object.fromEntries(Object.keys(upstream.headers).map((key) => [key, HIDDEN])),
      ...(upstream.tls && { tls: hideAll(upstream.tls) }),
      ...(upstream.load && { load: { ...upstream.load, url: redactUrl(upstream.load.url) } }),
    }));
    return [name, { ...network, upstreams }];
  });
  const { redis, gateway } = config;
  return {
    ...config,
    gateway: { ...gateway, ...(gateway.admin && { admin: hideAll(gateway.admin) }) },
    ...(redis && {
      redis: {
        ...redis,
        ...(redis.url !== undefined && { url: redactUrl(redis.url) }),
        ...(redis.password !== undefined && { password: HIDDEN }),
        ...(redis.tls && { tls: { ...redis.tls, ...(redis.tls.key !== undefined && { key: HIDDEN }) } }),
      },
    }),
    networks: Object.fromEntries(networks),
  };
}

function passwordOf(url: string): string | undefined {
  return /^[a-z]+:\/\/[^/?#:]*:([^/?#]*)@/i.exec(url)?.[1];
}

function hideAll(tls: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(Object.keys(tls).map((key) => [key, HIDDEN]));
}
