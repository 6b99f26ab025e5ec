import { describe, expect, it } from 'vitest';
import { formatHostPort, parseHostPort } from './address.ts';

describe('parseHostPort', () => {
  it.each([
    ['127.0.0.1:9987', '127.0.0.1', 9987],
    ['[::1]:987', '::1', 987],
    ['[fe80::1%eth0]:987', 'fe80::1%eth0', 987],
    ['host-1.example.:1', 'host-1.example.', 1],
    ['a:65535', 'a', 65535],
  ])('reads %s, and formatHostPort gives it back', (text, host, port) => {
    expect(parseHostPort(text)).toEqual({ host, port });
    expect(formatHostPort({ host, port })).toBe(text);
  });

  it.each([
    ['', 'must be host:port'],
    ['host', 'must be host:port'],
    [':1', 'host is missing'],
    ['foo:99999', 'port must be 1..65535'],
    ['foo:0', 'port must be 1..65535'],
    ['foo:', 'port must be 1..65535'],
    ['foo:-1', 'port must be 1..65535'],
    ['foo:1e3', 'port must be 1..65535'],
    ['foo: 1', 'port must be 1..65535'],
    ['::1:987', 'brackets'],
    ['[host]:1', 'IPv6'],
    ['[]:1', 'IPv6'],
    ['a b:1', 'host must be'],
    ['a/b:1', 'host must be'],
    [`${'a'.repeat(254)}:1`, 'longer than 253'],
  ])('refuses %j', (text, message) => {
    expect(() => parseHostPort(text)).toThrow(message);
  });

  it('takes port 0 where it means any free port', () => {
    expect(parseHostPort('a:0', { minPort: 0 })).toEqual({ host: 'a', port: 0 });
    expect(() => parseHostPort('a:x', { minPort: 0 })).toThrow('port must be 0..65535');
  });
});

// Limits: runtime/src/address.ts MAX_HOST_LENGTH, runtime/src/address.ts MAX_PORT
it('a host has 253 characters at most, and a port is 65535 at most', () => {
  expect(parseHostPort(`${'x'.repeat(253)}:65535`)).toEqual({ host: 'x'.repeat(253), port: 65535 });
  expect(() => parseHostPort(`${'x'.repeat(254)}:1`)).toThrow('longer than 253');
  expect(() => parseHostPort('x:65536')).toThrow('1..65535');
});
