import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePeerTarget } from './peer-target.ts';

describe('a target to dial', () => {
  it.each([
    ['host', { host: 'host', port: 987 }],
    ['127.0.0.1', { host: '127.0.0.1', port: 987 }],
    ['127.0.0.1:9987', { host: '127.0.0.1', port: 9987 }],
    ['a.b-c.example.:1', { host: 'a.b-c.example.', port: 1 }],
    ['::1', { host: '::1', port: 987 }],
    ['[::1]', { host: '::1', port: 987 }],
    ['[fe80::1]:65535', { host: 'fe80::1', port: 65535 }],
  ])('reads %s', (text, target) => {
    expect(parsePeerTarget(text)).toEqual(target);
  });

  it.each([
    '',
    ':987',
    'host:',
    'host:0',
    'host:65536',
    'host:1x',
    'a b',
    '-a',
    'a:b:c:x',
    '[host]:1',
    `${'a'.repeat(254)}`,
  ])('does not read %j', (text) => {
    expect(parsePeerTarget(text)).toBeNull();
  });

  it('never has a port or a host that cannot exist', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const target = parsePeerTarget(text);
        if (target === null) return;
        expect(target.port).toBeGreaterThan(0);
        expect(target.port).toBeLessThan(65536);
        expect(target.host).toMatch(/^[A-Za-z0-9_.:-]+$/);
      }),
    );
  });
});

// Limits: dmsg/src/peer-target.ts MAX_HOST_LENGTH
it('a name has 253 characters at most, with a port or without', () => {
  const name = `${'x'.repeat(252)}y`;
  expect([parsePeerTarget(name), parsePeerTarget(`${name}:65535`)]).toEqual([
    { host: name, port: 987 },
    { host: name, port: 65535 },
  ]);
  for (const text of [`${name}z`, `${name}z:1`, `${name}:65536`, `${name}:0`]) expect(parsePeerTarget(text)).toBeNull();
});
