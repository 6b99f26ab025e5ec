import { expect, it } from 'vitest';
import { testKeys } from './keys.fixture.ts';
import { principalOf } from './principal.ts';

const [ours, theirs] = [testKeys(), testKeys()];
const encrypted = {
  kind: 'encrypted',
  file: 'f',
  own: ours.own,
  peer: theirs.shown,
  tagged: true,
  bound: false,
} as const;
const plaintext = { kind: 'plaintext', file: 'f' } as const;

it('is the key of a peer that has one, wherever it connects from, and passes through other services', () => {
  const one = principalOf('192.0.2.1', encrypted);
  expect(one).toMatch(/^key:[-\w]{43}$/);
  expect(principalOf('192.0.2.2', encrypted)).toBe(one);
  expect(principalOf('192.0.2.1', { ...encrypted, peer: ours.shown })).not.toBe(one);
});

it('is the address, or the network, of a peer without a key', () => {
  expect(principalOf('192.0.2.1', plaintext)).toBe('192.0.2.1');
  expect(principalOf('2001:db8:1:2:3::4', plaintext)).toBe('2001:db8:1:2::');
});
