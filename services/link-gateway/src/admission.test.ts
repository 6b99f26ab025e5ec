import { describe, expect, it } from 'vitest';
import { Admission, isLoopback, peerAddress } from './admission.ts';

const wide = { total: 10, perAddress: 10 };

describe('admission', () => {
  it.each([
    ['127.0.0.1', true],
    ['127.255.255.254', true],
    ['::1', true],
    ['::ffff:127.0.0.1', true],
    ['128.0.0.1', false],
    ['1.127.0.0.1', false],
    ['::ffff:10.0.0.1', false],
    ['fe80::1', false],
    ['::2', false],
    ['', false],
  ])('takes %j for the loopback: %s', (address, loopback) => {
    expect(isLoopback(peerAddress(address))).toBe(loopback);
    expect(new Admission(wide).admit(peerAddress(address))).toBe(loopback ? null : 'not-loopback');
  });

  it('counts all connections and those of each address, and forgets those that are released', () => {
    const admission = new Admission({ total: 3, perAddress: 2 });
    expect(['127.0.0.1', '127.0.0.1', '127.0.0.1'].map((address) => admission.admit(address))).toEqual([
      null,
      null,
      'too-many-from-address',
    ]);
    expect(admission.admit('127.0.0.2')).toBeNull();
    expect(admission.admit('127.0.0.3')).toBe('too-many');
    admission.release('127.0.0.1');
    expect(admission.total).toBe(2);
    expect(admission.admit('127.0.0.1')).toBeNull();
  });

  it('takes nobody once it is closed', () => {
    const admission = new Admission(wide);
    admission.close();
    expect(admission.admit('127.0.0.1')).toBe('stopping');
    expect(admission.total).toBe(0);
  });
});
