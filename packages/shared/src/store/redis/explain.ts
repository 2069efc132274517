// Decides: what an error of the Redis client means and which setting mends it, as one sentence.
// Must not know: when it happened. Foreign text is matched here only, since ioredis has no codes for replies.
import { foreignText } from '../../redact.ts';
import type { Target } from './target.ts';

interface Row {
  /** Matched against `code message`; replies of Redis 6.2 to 8 begin with their own code. */
  readonly pattern: RegExp;
  readonly say: (target: Target) => string;
}

/** The first row that matches wins. */
const ROWS: readonly Row[] = [
  {
    pattern: /No such master/,
    say: ({ where, setting }) => `${where} know no master of this name; change ${setting('name')}`,
  },
  {
    pattern: /sentinel.*NOAUTH/i,
    say: ({ where }) => `${where} want a password of their own, which is not supported; allow them without`,
  },
  {
    pattern: /WRONGPASS|invalid password/,
    say: ({ where, setting }) =>
      `${where} refuses the credentials; change ${setting('password')} or ${setting('username')}, or enable that user`,
  },
  {
    pattern: /NOAUTH/,
    say: ({ where, setting }) => `${where} wants a password; set ${setting('password')}`,
  },
  {
    pattern: /NOPERM|can't run this command or subcommand/,
    say: ({ where, setting }) =>
      `${where} does not permit this user what is needed; extend the ACL of ${setting('username')} to our keys, our events channel and the commands in use`,
  },
  {
    pattern: /ERR_TLS_CERT_ALTNAME_INVALID/,
    say: ({ where, setting }) =>
      `the certificate of ${where} is for another name; change ${setting('servername')} or ${setting('address')}`,
  },
  {
    pattern: /SELF_SIGNED_CERT|UNABLE_TO_(VERIFY|GET)|CERT_UNTRUSTED|INVALID_CA/,
    say: ({ where, setting }) =>
      `the certificate of ${where} is from an unknown authority; set ${setting('ca')} to the one that signed it`,
  },
  {
    pattern: /CERT_HAS_EXPIRED|CERT_NOT_YET_VALID/,
    say: ({ where }) => `the certificate of ${where} is out of its dates; renew it on the server`,
  },
  {
    pattern: /ERR_SSL_\w*ALERT|alert (certificate|unknown ca|bad certificate|handshake failure)/i,
    say: ({ where, setting }) =>
      `${where} refuses our TLS certificate or wants one; set ${setting('cert')} to a pair it accepts`,
  },
  {
    pattern: /ERR_OSSL_|PEM|key values mismatch|KEY_VALUES_MISMATCH/,
    say: ({ setting }) =>
      `the TLS material cannot be read; check ${setting('ca')} and that ${setting('cert')} belong together`,
  },
  {
    pattern: /EPROTO|wrong version number|WRONG_VERSION_NUMBER|before secure TLS connection/,
    say: ({ where, setting }) =>
      `${where} does not speak TLS; use its TLS port or a redis:// address in ${setting('address')}`,
  },
  {
    pattern: /Protocol error|Unknown RESP type|unknown command/i,
    say: ({ where, setting }) =>
      `what answers at ${where} is not a Redis of 6.2 or newer, or wants TLS (rediss://); change ${setting('address')}`,
  },
  {
    pattern: /LOADING/,
    say: ({ where }) => `${where} is still loading its data; nothing to change, it is asked again`,
  },
  {
    pattern: /READONLY/,
    say: ({ where, setting }) =>
      `${where} is a read-only replica; change ${setting('address')} to the master, or use Sentinel`,
  },
  {
    pattern: /cluster support disabled/,
    say: ({ where, setting }) =>
      `${where} is no Redis Cluster; use redis.url instead of ${setting('address')}`,
  },
  {
    pattern: /MOVED|ASK |CROSSSLOT/,
    say: ({ where, setting }) =>
      `${where} belongs to a Redis Cluster; use redis.cluster instead of ${setting('address')}`,
  },
  {
    pattern: /CLUSTERDOWN|Too many Cluster redirections/,
    say: ({ where }) => `${where} does not serve all slots; mend the Redis Cluster`,
  },
  {
    pattern: /NOSCRIPT|BUSY/,
    say: ({ where }) => `${where} cannot run our scripts now; end the script that runs (SCRIPT KILL)`,
  },
  {
    pattern: /WRONGTYPE/,
    say: ({ where }) =>
      `a key of ours in ${where} holds a foreign value; change redis.prefix, or delete that key`,
  },
  {
    pattern: /OOM/,
    say: ({ where }) => `${where} is out of memory; raise its maxmemory or free memory`,
  },
  {
    pattern: /MISCONF|NOREPLICAS/,
    say: ({ where }) => `${where} refuses writes; mend its disk or its replicas (see its log)`,
  },
  {
    pattern: /DB index|invalid DB/i,
    say: ({ where }) => `${where} has no such database; change redis.db`,
  },
  {
    pattern: /max number of clients/,
    say: ({ where }) => `${where} has no connection left; raise its maxclients`,
  },
  {
    pattern: /ENOTFOUND|EAI_AGAIN|EAI_/,
    say: ({ where, setting }) => `the name of ${where} cannot be resolved; change ${setting('address')}`,
  },
  {
    pattern: /ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ENOENT|EACCES|All sentinels are/,
    say: ({ where, setting }) =>
      `nothing can be reached at ${where}; start the server or change ${setting('address')}`,
  },
  {
    pattern: /connect ETIMEDOUT/,
    say: ({ where, setting }) =>
      `no connection to ${where} in time; start the server, or change ${setting('address')} (a plain port says nothing to rediss://)`,
  },
  {
    pattern: /timed out|timeout|ETIMEDOUT/i,
    say: ({ where, setting }) =>
      `${where} does not answer in time; check its load and the network, or change ${setting('address')}`,
  },
  {
    pattern: /ECONNRESET|EPIPE|closed|isn't writeable|max retries|Cluster isn't ready|None of startup nodes/i,
    say: ({ where, setting }) =>
      `the connection to ${where} is lost or refused; check the server, ${setting('address')} (redis:// or rediss://) and whether it wants ${setting('cert')}`,
  },
];

/** One sentence without secrets that says what is wrong with the Redis and what to change. */
export function explain(error: unknown, target: Target): string {
  const text = textOf(error);
  const row = ROWS.find(({ pattern }) => pattern.test(text));
  return row ? row.say(target) : `${target.where} answers: ${foreignText(text, target.redact)}`;
}

/** Code and message; of a Cluster's collective error those of the node that failed last. */
function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ('lastNodeError' in error && error.lastNodeError instanceof Error) return textOf(error.lastNodeError);
  return 'code' in error ? `${String(error.code)} ${error.message}` : error.message;
}
