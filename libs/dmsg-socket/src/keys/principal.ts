import type { KeyObject } from 'node:crypto';
import { publicKeyHash } from '@spanmesh/dmsg/crypto/key-hash';
import { addressPrincipal } from '@spanmesh/runtime/shares/address-principal';
import type { PeerAccess } from './peer-rules.ts';

const names = new WeakMap<KeyObject, string>();

/**
 * Who a peer is as far as shares are concerned: its key where the connection is encrypted, which shows that it has that key, otherwise its
 * address (as `peerAddress` gives it). The same text for the same principal at every gateway.
 */
export function principalOf(address: string, access: PeerAccess): string {
  return access.kind === 'encrypted' ? keyPrincipal(access.peer) : addressPrincipal(address);
}

/** The same for a peer that has shown this key. */
export function keyPrincipal(key: KeyObject): string {
  let name = names.get(key);
  if (name === undefined) {
    name = `key:${publicKeyHash(key).toString('base64url')}`;
    names.set(key, name);
  }
  return name;
}
