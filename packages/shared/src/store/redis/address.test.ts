// A URL names what its parts say.
import { expect, test } from 'vitest';
import { addressIn, placeIn } from './address.ts';

const nobody = { username: undefined, password: undefined };

test.each([
  [
    'redis://127.0.0.1:6380',
    { ...nobody, at: { host: '127.0.0.1', port: 6380 }, db: undefined, secure: false },
  ],
  ['rediss://redis.test/2', { ...nobody, at: { host: 'redis.test', port: 6379 }, db: 2, secure: true }],
  ['redis://[::1]:7000', { ...nobody, at: { host: '::1', port: 7000 }, db: undefined, secure: false }],
  [
    'redis://anna:p%40ss@redis.test:1',
    { username: 'anna', password: 'p@ss', at: { host: 'redis.test', port: 1 }, db: undefined, secure: false },
  ],
  [
    'redis://:word@redis.test',
    {
      username: undefined,
      password: 'word',
      at: { host: 'redis.test', port: 6379 },
      db: undefined,
      secure: false,
    },
  ],
  ['unix:///run/redis.sock?db=4', { ...nobody, at: { path: '/run/redis.sock' }, db: 4, secure: false }],
  [
    'unix://anna:word@/run/redis.sock',
    { username: 'anna', password: 'word', at: { path: '/run/redis.sock' }, db: undefined, secure: false },
  ],
  [
    'redis://redis.test?tls=false&password=other',
    { ...nobody, at: { host: 'redis.test', port: 6379 }, db: undefined, secure: false },
  ],
])('%s', (url, place) => {
  expect(placeIn(url)).toEqual(place);
});

test('an address of a Sentinel or Cluster node may be of version six', () => {
  expect(addressIn('[fd00::1]:26379')).toEqual({ host: 'fd00::1', port: 26379 });
});
