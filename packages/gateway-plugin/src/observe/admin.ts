// Decides: what an operator may ask for over HTTP, and who is one.
// Must not know: Fastify, how a drain is carried out.
import { createHash, timingSafeEqual } from 'node:crypto';
import { BalancerError, type DrainNote, readDrainCommand } from '@rpc-balancer/shared';

/** What came of a drain, or of its end. */
export interface DrainAnswer {
  readonly network: string;
  readonly upstream: string;
  readonly drained: boolean;
  /** Epoch ms. */
  readonly since: number;
  readonly by: string | null;
  readonly reason: string | null;
  /** Such as that nobody is left to serve the network; null when there is nothing to warn of. */
  readonly warning: string | null;
}

export interface Drainer {
  drain(network: string, upstream: string, note?: Partial<DrainNote>): Promise<DrainAnswer>;
  undrain(network: string, upstream: string, note?: Partial<DrainNote>): Promise<DrainAnswer>;
}

/** Path to what it does with the body of a POST. */
export function adminRoutes(drainer: Drainer): ReadonlyMap<string, (body: Buffer) => Promise<DrainAnswer>> {
  const route = (verb: keyof Drainer) => async (body: Buffer) => {
    const command = readDrainCommand(parse(body));
    if ('invalid' in command) throw new BalancerError('RPCB_INVALID_COMMAND', { detail: command.invalid });
    return drainer[verb](command.network, command.upstream, command);
  };
  return new Map([
    ['/admin/drain', route('drain')],
    ['/admin/undrain', route('undrain')],
  ]);
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString());
  } catch {
    throw new BalancerError('RPCB_PARSE', { detail: 'send { "network": …, "upstream": … }' });
  }
}

/** @throws BalancerError `RPCB_UNAUTHORIZED` unless the header `authorization` has the token */
export function assertOperator(authorization: string | undefined, token: string): void {
  // Digests have one length, and how far two of them are alike tells nothing of the token.
  if (timingSafeEqual(digest(authorization ?? ''), digest(`Bearer ${token}`))) return;
  throw new BalancerError('RPCB_UNAUTHORIZED', {
    detail: 'send the header "authorization: Bearer …" with the token of gateway.admin',
  });
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
