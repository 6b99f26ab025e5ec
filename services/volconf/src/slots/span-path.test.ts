import { describe, expect, it } from 'vitest';
import { parseSpanPath } from './span-path.ts';

const name = `${'x'.repeat(252)}y`;

describe('the path of a slot', () => {
  it.each([
    ['span:host', { host: 'host', port: 987 }],
    ['span:host:1', { host: 'host', port: 1 }],
    ['span:10.0.0.1:65535', { host: '10.0.0.1', port: 65535 }],
    ['span:[2001:db8::1]:5', { host: '2001:db8::1', port: 5 }],
    ['span:2001:db8::1', { host: '2001:db8::1', port: 987 }],
  ])('%s', (path, address) => {
    expect(parseSpanPath(path, 987)).toEqual(address);
  });

  it.each([
    '',
    'host',
    'file:host',
    'span:',
    'span:-a',
    'span:a b',
    'span:a:',
    'span:a:0',
    'span:a:65536',
    'span:[a]:1',
    'span:fe80::1%eth0',
  ])('is not %j', (path) => {
    expect(parseSpanPath(path, 987)).toBeNull();
  });

  // Limits: dmsg/src/peer-target.ts MAX_HOST_LENGTH
  it('has a name of 253 characters at most, with a port or without', () => {
    expect(parseSpanPath(`span:${name}`, 987)).toEqual({ host: name, port: 987 });
    expect(parseSpanPath(`span:${name}:65535`, 987)).toEqual({ host: name, port: 65535 });
    for (const path of [`span:${name}z`, `span:${name}z:1`]) expect(parseSpanPath(path, 987)).toBeNull();
  });
});
