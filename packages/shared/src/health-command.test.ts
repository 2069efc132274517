import { expect, test } from 'vitest';
import { originOf } from './health-command.ts';

test.each([
  { host: '127.0.0.1', origin: 'http://127.0.0.1:80' },
  { host: '0.0.0.0', origin: 'http://127.0.0.1:80' },
  { host: '::', origin: 'http://[::1]:80' },
  { host: 'fd00::7', origin: 'http://[fd00::7]:80' },
  { host: 'gateway.internal', origin: 'http://gateway.internal:80' },
])('whoever listens at $host is reached at $origin', ({ host, origin }) => {
  expect(originOf({ host, port: 80 })).toBe(origin);
});
