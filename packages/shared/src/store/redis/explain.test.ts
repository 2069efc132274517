// Every error that Redis and its client are known to give is explained with the setting that mends it.
import { expect, test } from 'vitest';
import { explain } from './explain.ts';
import { configTarget } from './target.ts';

const SECRET = 's3cret-word';
const target = configTarget({
  url: `redis://anna:${SECRET}@redis.test:6380/1`,
  prefix: 'rpcb',
  clusterId: 'test',
});
const sentinels = configTarget({
  sentinels: ['10.0.0.1:26379'],
  name: 'main',
  prefix: 'rpcb',
  clusterId: 'test',
});

function coded(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

test.each([
  [
    new Error('WRONGPASS invalid username-password pair or user is disabled.'),
    /redis\.password or redis\.username/,
  ],
  [new Error('NOAUTH HELLO must be called with the client already authenticated'), /set redis\.password/],
  [new Error("NOPERM User anna has no permissions to run the 'eval' command"), /ACL of redis\.username/],
  [
    coded('ERR_TLS_CERT_ALTNAME_INVALID', "Hostname/IP does not match certificate's altnames"),
    /tls\.servername/,
  ],
  [coded('SELF_SIGNED_CERT_IN_CHAIN', 'self-signed certificate in certificate chain'), /redis\.tls\.ca/],
  [coded('UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'unable to verify the first certificate'), /redis\.tls\.ca/],
  [coded('CERT_HAS_EXPIRED', 'certificate has expired'), /renew it on the server/],
  [
    coded('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'alert number 116'),
    /redis\.tls\.cert and redis\.tls\.key/,
  ],
  [coded('ERR_OSSL_X509_KEY_VALUES_MISMATCH', 'key values mismatch'), /belong together/],
  [coded('EPROTO', 'wrong version number'), /does not speak TLS/],
  [new Error('Protocol error, got "H" as reply type byte'), /is not a Redis.*redis\.url/],
  [new Error('LOADING Redis is loading the dataset in memory'), /still loading/],
  [new Error("READONLY You can't write against a read only replica."), /redis\.url to the master/],
  [new Error('ERR This instance has cluster support disabled'), /is no Redis Cluster/],
  [new Error('MOVED 3999 10.0.0.2:6379'), /use redis\.cluster/],
  [new Error('CLUSTERDOWN Hash slot not served'), /mend the Redis Cluster/],
  [new Error('NOSCRIPT No matching script.'), /scripts/],
  [new Error('BUSY Redis is busy running a script.'), /SCRIPT KILL/],
  [new Error('WRONGTYPE Operation against a key'), /redis\.prefix/],
  [new Error("OOM command not allowed when used memory > 'maxmemory'."), /raise its maxmemory/],
  [new Error('MISCONF Redis is configured to save RDB snapshots'), /mend its disk/],
  [new Error('ERR DB index is out of range'), /redis\.db/],
  [new Error('ERR max number of clients reached'), /maxclients/],
  [coded('ENOTFOUND', 'getaddrinfo ENOTFOUND redis.test'), /cannot be resolved; change redis\.url/],
  [coded('ECONNREFUSED', 'connect ECONNREFUSED 10.0.0.1:6380'), /start the server or change redis\.url/],
  [coded('ETIMEDOUT', 'connect ETIMEDOUT'), /start the server, or change redis\.url/],
  [new Error('Command timed out'), /does not answer in time/],
  [new Error('Socket timeout. Expecting data'), /does not answer in time/],
  [coded('ECONNRESET', 'read ECONNRESET'), /lost or refused/],
])('%s', (error, expected) => {
  const text = explain(error, target);
  expect(text).toMatch(expected);
  expect(text).not.toContain(SECRET);
  expect(text).not.toContain('\n');
});

test('the error of a Cluster is that of the node that failed last', () => {
  const error = Object.assign(new Error('Failed to refresh slots cache.'), {
    lastNodeError: new Error('WRONGPASS invalid username-password pair'),
  });
  expect(explain(error, target)).toMatch(/redis\.password/);
});

test('a Sentinel that does not know the name leads to that name', () => {
  const error = new Error(
    'All sentinels are unreachable and retry is disabled. Last error: ERR No such master with that name',
  );
  expect(explain(error, sentinels)).toBe(
    'the Sentinels 10.0.0.1:26379 know no master of this name; change redis.name',
  );
});

test('an unknown error is repeated cut short, in one line and without credentials', () => {
  const text = explain(new Error(`ERR odd ${SECRET}\r\n${'x'.repeat(1000)}`), target);
  expect(text).toMatch(/^redis:\/\/redis\.test:6380\/\*\*\* answers: ERR odd \*\*\* x+…$/);
  expect(text.length).toBeLessThan(300);
});
