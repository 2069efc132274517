import { expect, test } from 'vitest';
import { type Endpoint, endpointOf, socketEndpointOf } from './endpoint.ts';

test.each<[string, Partial<Endpoint>]>([
  ['http://10.0.0.1:8545', { origin: 'http://10.0.0.1:8545', path: '', query: '', headers: {} }],
  ['http://10.0.0.1:8545/', { origin: 'http://10.0.0.1:8545', path: '' }],
  ['HTTPS://Node.example/v3/Key/', { origin: 'https://Node.example', path: '/v3/Key', query: '' }],
  ['https://node.example/rpc?apikey=a%2Fb&x=y', { path: '/rpc', query: '?apikey=a%2Fb&x=y' }],
  ['https://node.example?key=v', { origin: 'https://node.example', path: '', query: '?key=v' }],
  ['https://node.example/?', { path: '', query: '' }],
  ['http://[::1]:8545/a', { origin: 'http://[::1]:8545', path: '/a' }],
  ['https://user:pass@node.example/a', { origin: 'https://node.example', path: '/a' }],
])('the endpoint of %s', (url, expected) => {
  expect(endpointOf({ url, headers: {} })).toMatchObject(expected);
});

test.each([
  ['user:pass', 'user:pass'],
  ['us%40er:p%3Aa%2Fss', 'us@er:p:a/ss'],
  ['user:a:b', 'user:a:b'],
  ['us@er:pass', 'us@er:pass'],
  ['token', 'token:'],
  [':pass', ':pass'],
  ['%C3%BC:100%', 'ü:100%'],
])('the user and password %s become a basic authorization', (written, plain) => {
  const { headers, origin } = endpointOf({ url: `https://${written}@node.example`, headers: {} });
  expect(headers).toEqual({ authorization: `Basic ${Buffer.from(plain, 'utf8').toString('base64')}` });
  expect(origin).toBe('https://node.example');
});

test('a configured header wins over the user of the URL, in any case', () => {
  const headers = { Authorization: 'Bearer mine', 'X-Api-Key': 'Key' };
  expect(endpointOf({ url: 'https://user:pass@node.example', headers }).headers).toEqual({
    authorization: 'Bearer mine',
    'x-api-key': 'Key',
  });
});

test.each<[string, string | undefined, string]>([
  ['http://10.0.0.1:8545', undefined, 'ws://10.0.0.1:8545/websocket'],
  ['https://node.example/v3/key/?k=1', undefined, 'wss://node.example/v3/key/websocket?k=1'],
  ['http://10.0.0.1:8545', 'wss://node.example/socket?k=1', 'wss://node.example/socket?k=1'],
])('the WebSocket of %s with wsUrl %s is %s', (url, wsUrl, expected) => {
  const { origin, path, query } = socketEndpointOf({ url, wsUrl, headers: {} }, '/websocket');
  expect(`${origin}${path}${query}`).toBe(expected);
});
