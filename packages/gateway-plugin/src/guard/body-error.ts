// Decides: how the framework's own refusals of a body (too large, wrong type) are said in our words.
// Must not know: routes, networks.
import { BalancerError, type ErrorCode } from '@rpc-balancer/shared';

/** The framework's codes, and ours. */
const BODY_ERRORS: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'RPCB_TOO_LARGE',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'RPCB_CONTENT_TYPE',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'RPCB_PARSE',
};

/** The refusal in our words; null for what is not about the body. */
export function ownError(error: unknown, bodyLimit: number): BalancerError | null {
  if (error instanceof BalancerError) return error;
  const code = BODY_ERRORS[(error as { code?: string }).code ?? '']; // Fastify's errors carry a code
  if (code === undefined) return null;
  const details: Partial<Record<ErrorCode, string>> = {
    RPCB_TOO_LARGE: `the body has more than ${bodyLimit} bytes (gateway.bodyLimit)`,
    RPCB_CONTENT_TYPE: 'send the header "content-type: application/json"',
    RPCB_PARSE: 'the body is not as long as content-length says',
  };
  return new BalancerError(code, { detail: details[code] ?? '', cause: error });
}
