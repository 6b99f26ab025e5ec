import { createHash, createPublicKey, type KeyObject } from 'node:crypto';

/** Hashes already computed, since each takes a tenth of a millisecond. An entry is dropped together with its key. */
const known = new WeakMap<KeyObject, Buffer>();

/**
 * SHA-256 of a public key in DER (SPKI); for a private key, the hash of its public half. 32 bytes that the caller must
 * not change.
 */
export function publicKeyHash(key: KeyObject): Buffer {
  const before = known.get(key);
  if (before !== undefined) return before;
  const shown = key.type === 'private' ? createPublicKey(key) : key;
  const hash = createHash('sha256')
    .update(shown.export({ type: 'spki', format: 'der' }))
    .digest();
  known.set(key, hash);
  return hash;
}
