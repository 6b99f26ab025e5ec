import { createHash, generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { publicKeyHash } from './key-hash.ts';

describe('the hash of a key', () => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });

  it('is that of the public half in DER', () => {
    const hash = createHash('sha256').update(publicKey.export({ type: 'spki', format: 'der' }));
    const expected = hash.digest();
    expect(publicKeyHash(publicKey)).toEqual(expected);
    expect(publicKeyHash(privateKey)).toEqual(expected);
  });

  it('is made once', () => {
    for (const key of [publicKey, privateKey]) {
      const first = publicKeyHash(key);
      expect(first).toHaveLength(32);
      expect(publicKeyHash(key)).toBe(first);
    }
  });
});
