// Decides: whether the sidecar's cycle runs inside this gateway, and starts, changes and ends it as the configuration says.
// Must not know: how anything is probed, ranked or published.
import { type Sidecar, type SidecarOptions, startSidecar } from '@rpc-balancer/health-sidecar';
import type { Config, Store } from '@rpc-balancer/shared';

export interface Embedded {
  /** Another configuration, the first one included. */
  follow(config: Config): void;
  /** Ends the cycle, gives its leases back and waits for both. */
  stop(): Promise<void>;
}

/** Opens no port and listens to no signal: the process is somebody else's. */
export function createEmbedded(options: Omit<SidecarOptions, 'config'>): Embedded {
  const { store, log } = options;
  let sidecar: Sidecar | null = null;
  let ending: Promise<unknown> = Promise.resolve();

  function end(): void {
    if (sidecar) ending = Promise.all([ending, sidecar.stop()]);
    sidecar = null;
  }
  return {
    follow(config) {
      if (publishes(config, store.kind)) {
        if (sidecar) sidecar.reload(config);
        else sidecar = startSidecar({ ...options, config });
        return;
      }
      end();
      if (store.kind === 'memory')
        log.info(
          {},
          'sidecar.embed is never, and without Redis nobody else can probe: passive health decides',
        );
    },
    async stop() {
      end();
      await ending;
    },
  };
}

function publishes({ sidecar: { embed } }: Config, kind: Store['kind']): boolean {
  return embed === 'always' || (embed === 'auto' && kind === 'memory');
}

/** As if each network said `probe: off`, where nobody can ever publish: nothing is missing then. */
export function asProbed(config: Config, kind: Store['kind']): Config {
  if (kind === 'redis' || publishes(config, kind)) return config;
  const networks = Object.entries(config.networks).map(
    ([name, network]) => [name, { ...network, probe: null }] as const,
  );
  return { ...config, networks: Object.fromEntries(networks) };
}
