// Decides: whether the server may evict our control keys when its memory is full.
// Must not know: when to ask.
import { type Client, isCluster } from './client.ts';

/** The risk of the worst server, or null when there is none; undefined where INFO was not answered: nothing new is known. */
export async function findEvictionRisk(client: Client): Promise<string | null | undefined> {
  const servers = isCluster(client) ? client.nodes('master') : [client];
  try {
    const answers = await Promise.all(servers.map((server) => server.info('memory')));
    return answers.map(evictionRiskIn).find((risk) => risk !== null) ?? null;
  } catch {
    return undefined;
  }
}

/** What an answer to INFO memory says. `volatile-*` is accepted: it spares the epoch, the one key that never expires. */
export function evictionRiskIn(answer: string): string | null {
  const maxmemory = Number(/^maxmemory:(\d+)/m.exec(answer)?.[1] ?? 0);
  const policy = /^maxmemory_policy:([\w-]+)/m.exec(answer)?.[1] ?? 'noeviction';
  if (maxmemory === 0 || !policy.startsWith('allkeys-')) return null;
  return `Redis may evict leases and epochs: its maxmemory-policy is ${policy}; set it to noeviction or volatile-*`;
}
