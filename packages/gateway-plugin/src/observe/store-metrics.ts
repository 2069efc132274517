// Decides: names and units of the metrics that tell how it is and was with the store.
// Must not know: how that is found out.
import type { StoreHealth } from '@rpc-balancer/shared';
import { Counter, Gauge, type Registry } from 'prom-client';

export function registerStore(store: () => StoreHealth, registers: Registry[]): void {
  new Gauge({
    name: 'rpc_balancer_store_connected',
    help: '1 while the store answers',
    registers,
    collect() {
      this.set(store().connected ? 1 : 0);
    },
  });
  new Gauge({
    name: 'rpc_balancer_store_eviction_risk',
    help: '1 while the store may evict control keys',
    registers,
    collect() {
      this.set(store().evictionRisk === null ? 0 : 1);
    },
  });
  new Counter({
    name: 'rpc_balancer_store_connections_lost_total',
    help: 'Connections to the store that were good and ended',
    registers,
    collect() {
      this.reset();
      this.inc(store().connectionsLost);
    },
  });
  new Counter({
    name: 'rpc_balancer_store_slots_moved_total',
    help: 'Slots of a Redis Cluster that were seen at another node than before',
    registers,
    collect() {
      this.reset();
      this.inc(store().slotsMoved);
    },
  });
  new Counter({
    name: 'rpc_balancer_store_failures_total',
    help: 'Steps that the store did not take',
    labelNames: ['step'],
    registers,
    collect() {
      this.reset();
      for (const [step, count] of Object.entries(store().failures)) this.inc({ step }, count);
    },
  });
}
