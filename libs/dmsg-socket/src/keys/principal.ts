import type { KeyObject } from 'node:crypto';
import { publicKeyHash } from '@spanmesh/dmsg/crypto/key-hash';
import { addressPrincipal } from '@spanmesh/runtime/shares/address-principal';
import type { PeerAccess } from './peer-rules.ts';

const names = new WeakMap<KeyObject, string>();

/**
 * The principal of a peer, whose share of limited resources the peer uses: its key if the connection is encrypted,
 * which proves that it has that key; otherwise its address (as `peerAddress` gives it). Every gateway has the same text
 * for the same principal.
 */
export function principalOf(address: string, access: PeerAccess): string {
  return access.kind === 'encrypted' ? keyPrincipal(access.peer) : addressPrincipal(address);
}

/** The principal of a peer that has proved that it has this key. */
export function keyPrincipal(key: KeyObject): string {
  let name = names.get(key);
  if (name === undefined) {
    name = `key:${publicKeyHash(key).toString('base64url')}`;
    names.set(key, name);
  }
  return name;
}
