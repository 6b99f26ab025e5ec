import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto';
import { publicKeyHash } from './key-hash.ts';

// Ours (protocol.md, "Crypto": Handshake). Nothing in the handshake of the references says for whom it is made: who receives one can
// take off the layer that is for him, put on that for another router, and be the sender there. We write the receiver's key into
// random bytes that the references ignore, in the first block, where the sender signs it.

/** Where it begins in the plain handshake; the bytes up to the end of the block are random. */
export const BINDING_AT = 128;
/** Says that a binding follows. Random bytes of a reference are this once in 2^64 handshakes. */
const MARK = Buffer.from('for key:', 'latin1');
const HASH_BYTES = 32;
export const BINDING_BYTES = MARK.length + HASH_BYTES;
/** What else is hashed like this with the same material is something else. */
const PURPOSE = 'spanmesh: receiver of a handshake';

/** What a handshake says of its receiver. */
export interface Binding {
  /** It names one. */
  readonly named: boolean;
  /** It names the key that was asked about. */
  readonly ours: boolean;
}

/** Writes the key of the receiver into a plain handshake. */
export function bindTo(plain: Uint8Array, session: Uint8Array, receiver: KeyObject): void {
  plain.set(MARK, BINDING_AT);
  plain.set(bindingOf(session, receiver), BINDING_AT + MARK.length);
}

/** For whom a plain handshake was made. The same work whatever it says. */
export function bindingIn(plain: Uint8Array, session: Uint8Array, own: KeyObject): Binding {
  const at = BINDING_AT + MARK.length;
  const named = timingSafeEqual(plain.subarray(BINDING_AT, at), MARK);
  const same = timingSafeEqual(plain.subarray(at, at + HASH_BYTES), bindingOf(session, own));
  return { named, ours: named && same };
}

/** Of the material, too: the same 40 bytes in each handshake with a router would be of use to nobody but a reader of the plain text. */
function bindingOf(session: Uint8Array, receiver: KeyObject): Buffer {
  return createHmac('sha256', session).update(PURPOSE).update(publicKeyHash(receiver)).digest();
}
