// The public entry: what a gateway needs to run the sidecar's cycle inside its own process.
export { type Sidecar, type SidecarOptions, startSidecar } from './sidecar.ts';
export type { NetworkStatus, Readiness, SidecarStatus, UpstreamStatus } from './status.ts';
