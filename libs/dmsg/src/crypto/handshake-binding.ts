import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto';
import { publicKeyHash } from './key-hash.ts';

// Our addition to the handshake (protocol.md, "Crypto": Handshake). The references' handshake does not name its
// receiver: a host that receives one can take off the layer that is encrypted for it, encrypt the rest for another
// router, and pass for the sender there. We write the receiver's key into random bytes that the references ignore, in
// the first block, which the sender signs.

/** Offset of the binding in the plain handshake; the bytes from its end to the end of the block are random. */
export const BINDING_AT = 128;
/** Says that a binding follows. A reference's random bytes equal it once in 2^64 handshakes. */
const MARK = Buffer.from('for key:', 'latin1');
const HASH_BYTES = 32;
export const BINDING_BYTES = MARK.length + HASH_BYTES;
/** Separates this HMAC from any other that may be computed with the same session material. */
const PURPOSE = 'spanmesh: receiver of a handshake';

/** What a handshake says about its receiver. */
export interface Binding {
  /** The handshake names a receiver's key. */
  readonly named: boolean;
  /** The handshake names our own key. */
  readonly ours: boolean;
}

/** Writes the key of the receiver into a plain handshake. */
export function bindTo(plain: Uint8Array, session: Uint8Array, receiver: KeyObject): void {
  plain.set(MARK, BINDING_AT);
  plain.set(bindingOf(session, receiver), BINDING_AT + MARK.length);
}

/** Reads for whom a plain handshake was made. Does the same work whatever the handshake says. */
export function bindingIn(plain: Uint8Array, session: Uint8Array, own: KeyObject): Binding {
  const at = BINDING_AT + MARK.length;
  const named = timingSafeEqual(plain.subarray(BINDING_AT, at), MARK);
  const same = timingSafeEqual(plain.subarray(at, at + HASH_BYTES), bindingOf(session, own));
  return { named, ours: named && same };
}

/**
 * The HMAC is keyed by the session material so that it differs from handshake to handshake: 40 bytes that are the same
 * in every handshake with a router would only help somebody who looks for known plaintext.
 */
function bindingOf(session: Uint8Array, receiver: KeyObject): Buffer {
  return createHmac('sha256', session).update(PURPOSE).update(publicKeyHash(receiver)).digest();
}
