import { expect, test } from 'vitest';
import { validateConfig } from './parse.ts';
import { createLiveRedactor, redactConfig, redactorOf } from './secrets.ts';

const KEY_PEM = '-----BEGIN PRIVATE KEY-----\npl4nted7';
const CERT_PEM = '-----BEGIN CERTIFICATE-----\nMIIB';

const config = validateConfig({
  redis: {
    url: 'redis://app:pl4nted1@10.0.0.5:6379',
    password: 'pl4nted2',
    tls: { ca: CERT_PEM, cert: CERT_PEM, key: KEY_PEM },
  },
  gateway: { admin: { token: 'pl4nted7-of-the-operators' } },
  networks: {
    main: {
      upstreams: [
        {
          id: 'geth-a',
          url: 'https://user:pl4nted3%40@node.example/v3/pl4nted4?apikey=pl4nted5',
          wsUrl: 'wss://other:pl4nted8@node.example/ws/pl4nted9',
          headers: { 'x-note': 'Bearer pl4nted6' },
          tls: { cert: CERT_PEM, key: KEY_PEM },
          load: { url: 'http://user:pl4nted8@exporter.example:9100/pl4nted9', metric: 'node_load1' },
        },
      ],
    },
  },
});

test('a configuration is shown without any of its secrets, and with all the rest', () => {
  const shown = JSON.stringify(redactConfig(config));
  expect(shown).not.toContain('pl4nted');
  for (const visible of [
    'geth-a',
    'node.example',
    'exporter.example:9100',
    '10.0.0.5:6379',
    'x-note',
    '"tries":3',
    '"port":8080',
  ]) {
    expect(shown).toContain(visible);
  }
});

test('a configuration without secrets is shown as it is', () => {
  const plain = validateConfig({
    networks: { main: { upstreams: [{ id: 'a', url: 'http://10.0.0.1:8545' }] } },
  });
  expect(redactConfig(plain)).toEqual(plain);
});

test.each([
  ['the password in a Redis URL', 'pl4nted1'],
  ['the password of a Redis', 'pl4nted2'],
  ['the password of an upstream, as written', 'pl4nted3%40'],
  ['the password of an upstream, decoded', 'pl4nted3@'],
  ['the authorization that is made of it', Buffer.from('user:pl4nted3@').toString('base64')],
  ['a path segment', 'pl4nted4'],
  ['a query value', 'pl4nted5'],
  ['a header', 'Bearer pl4nted6'],
  ['a header without its scheme', 'pl4nted6'],
  ['the password of a WebSocket', 'pl4nted8'],
  ['the authorization of a WebSocket', Buffer.from('other:pl4nted8').toString('base64')],
  ['a path segment of a WebSocket', 'pl4nted9'],
  ['a private key', KEY_PEM],
  ['the password of an exporter', 'pl4nted8'],
  ['the authorization that is made of that', Buffer.from('user:pl4nted8').toString('base64')],
  ['a path segment of an exporter', 'pl4nted9'],
  ['the token of the operators', 'pl4nted7-of-the-operators'],
])('%s is hidden in any text', (_, secret) => {
  expect(redactorOf(config)(`before ${secret} after`)).toBe('before *** after');
});

test('a redactor that was renewed hides the secrets of both configurations', () => {
  const { redact, renew } = createLiveRedactor(config);
  const text = 'Bearer pl4nted6 and rotated-secret';
  expect(redact(text)).toBe('*** and rotated-secret');
  const url = 'http://10.0.0.1/rotated-secret';
  renew(validateConfig({ networks: { main: { upstreams: [{ id: 'a', url }] } } }));
  expect(redact(text)).toBe('*** and ***');
  expect(redact(text, 7)).toBe('*** and…');
});
