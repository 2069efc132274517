// The public entry: what a gateway needs to run the sidecar's cycle inside its own process.
export {
  type NetworkStatus,
  type Readiness,
  type Sidecar,
  type SidecarOptions,
  type SidecarStatus,
  startSidecar,
  type UpstreamStatus,
} from './sidecar.ts';
