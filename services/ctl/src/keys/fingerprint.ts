import { createHash, createPublicKey, type KeyObject } from 'node:crypto';

/** A hash of the public key, or of a private key's public half, which two people can compare over the telephone. */
export function fingerprint(key: KeyObject): string {
  const shown = key.type === 'private' ? createPublicKey(key) : key;
  const hash = createHash('sha256').update(shown.export({ type: 'spki', format: 'der' }));
  return `SHA256:${hash.digest('base64').replace(/=+$/, '')}`;
}
