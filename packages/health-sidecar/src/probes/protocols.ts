// Decides: how the upstreams of each protocol are probed. A new one adds its file and a line here, which the compiler asks for.
// Must not know: how any of them probes.
import type { ProtocolName } from '@rpc-balancer/shared';
import { cometbft } from './cometbft.ts';
import { evm } from './evm.ts';
import { http } from './http.ts';
import type { Protocol } from './protocol.ts';
import { substrate } from './substrate.ts';

export const PROTOCOLS: Readonly<Record<ProtocolName, Protocol>> = { evm, substrate, cometbft, http };
