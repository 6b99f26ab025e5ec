import { createHash, createPublicKey, type KeyObject } from 'node:crypto';

/** What two people can compare over the telephone: a hash of the public key, of a private one of its public half. */
export function fingerprint(key: KeyObject): string {
  const shown = key.type === 'private' ? createPublicKey(key) : key;
  const hash = createHash('sha256').update(shown.export({ type: 'spki', format: 'der' }));
  return `SHA256:${hash.digest('base64').replace(/=+$/, '')}`;
}
