import { createHash, createPublicKey, type KeyObject } from 'node:crypto';

/** Hashes that were made once: each takes a tenth of a millisecond. They go with their keys. */
const known = new WeakMap<KeyObject, Buffer>();

/** SHA-256 of a public key in DER (SPKI), 32 bytes not to be changed; of a private key that of its public half. */
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
