import { constants, type KeyObject, privateDecrypt, privateEncrypt, publicDecrypt, publicEncrypt } from 'node:crypto';
import { DmsgError } from '../dmsg-error.ts';
import { ErrorCode } from '../error-code.ts';
import { RSA_BITS } from './rsa-key.ts';

/** Bytes of a block: one RSA number. */
export const BLOCK_BYTES = RSA_BITS / 8;

/** The keys of one side of a connection. Both RSA 2048 (rsa-key.ts). */
export interface HandshakeKeys {
  /** This side's private key. */
  readonly own: KeyObject;
  /** The other side's public key. */
  readonly peer: KeyObject;
}

/** Where a block may be changed to make it fit. */
const COUNT_AT = 4;
/** Below 2^2046 a number is below both moduli, whichever key comes next. */
const TOP_BITS = 0xc0;
/** A try succeeds with a chance of at least 1 in 4: that so many fail happens once in 10^31 blocks. */
const MAX_TRIES = 250;

/**
 * Signs a block with the own key, then encrypts it for the peer (protocol.md, "Crypto": Handshake). Bytes 4..7 of `plain` are
 * counted up until the number between the two steps has its top two bits clear; two to four tries on average, each a
 * private operation (a quarter of a millisecond).
 * @param plain 256 bytes; top two bits clear.
 * @throws DmsgError KEYXCHGFAIL
 */
export function encryptBlock(plain: Uint8Array, keys: HandshakeKeys): Uint8Array {
  const count = new DataView(plain.buffer, plain.byteOffset + COUNT_AT, 4);
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const between = rsa(() => privateEncrypt(noPadding(keys.own), plain));
    if ((between[0]! & TOP_BITS) === 0) return rsa(() => publicEncrypt(noPadding(keys.peer), between));
    count.setUint32(0, count.getUint32(0, true) + 1, true);
  }
  throw refused('tries');
}

/**
 * Undoes `encryptBlock`, from the other side.
 * @param wire 256 bytes.
 * @throws DmsgError KEYXCHGFAIL: a number is too large for its key, or top bits are set that a sender clears.
 */
export function decryptBlock(wire: Uint8Array, keys: HandshakeKeys): Uint8Array {
  const between = rsa(() => privateDecrypt(noPadding(keys.own), wire));
  if ((between[0]! & TOP_BITS) !== 0) throw refused('top bits between the keys');
  const plain = rsa(() => publicDecrypt(noPadding(keys.peer), between));
  if ((plain[0]! & TOP_BITS) !== 0) throw refused('top bits');
  return plain;
}

/** The error of a handshake that fails a check. It carries nothing of the handshake. */
export function refused(check: string): DmsgError {
  return new DmsgError(ErrorCode.KEYXCHGFAIL, 'handshake refused', { check });
}

function noPadding(key: KeyObject): { key: KeyObject; padding: number } {
  return { key, padding: constants.RSA_NO_PADDING };
}

function rsa(step: () => Uint8Array): Uint8Array {
  try {
    return step();
  } catch {
    throw refused('number too large for its key');
  }
}
