// Decides: how the operators' routes stand in a Fastify app.
// Must not know: what they answer.
import type { FastifyInstance } from 'fastify';
import { adminRoutes, assertOperator, type Drainer } from './observe/admin.ts';
import { type OpsSources, opsRoutes } from './observe/ops.ts';

/** Many times a command at its limits. */
const COMMAND_BYTES_MAX = 64 * 1024;

interface Asked {
  readonly network?: string;
  readonly method?: string;
  readonly params?: string;
}

/** @param token of those who may drain; null: there are no admin routes */
export async function registerOps(
  routes: FastifyInstance,
  sources: OpsSources,
  drainer: Drainer,
  token: string | null,
): Promise<void> {
  for (const [path, respond] of opsRoutes(sources)) {
    routes.get<{ Params: Asked; Querystring: Asked }>(path, async ({ params, query }, reply) => {
      const { network = query.network ?? '' } = params;
      const { method = '', params: written = '' } = query;
      const { status, contentType, body } = await respond({ network, method, params: written });
      return reply.code(status).header('content-type', contentType).send(body);
    });
  }
  if (token !== null) await routes.register(async (inner) => registerAdmin(inner, drainer, token));
}

/** In a context of its own: a body is read whatever type the client gave it, and after the token. */
function registerAdmin(routes: FastifyInstance, drainer: Drainer, token: string): void {
  routes.removeAllContentTypeParsers();
  routes.addContentTypeParser(
    '*',
    { parseAs: 'buffer', bodyLimit: COMMAND_BYTES_MAX },
    (_request, body, done) => done(null, body),
  );
  routes.addHook('onRequest', async ({ headers }) => assertOperator(headers.authorization, token));
  for (const [path, command] of adminRoutes(drainer)) {
    routes.post(path, async ({ body }) => command(Buffer.isBuffer(body) ? body : Buffer.alloc(0)));
  }
}
