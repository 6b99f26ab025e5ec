import { constants, type KeyObject, privateEncrypt, publicEncrypt } from 'node:crypto';
import { DmsgError } from '../dmsg-error.ts';
import { ErrorCode } from '../error-code.ts';
import { readU8 } from '../wire/words.ts';
import { RSA_BITS } from './rsa-key.ts';
import type { RsaSteps } from './rsa-steps.ts';

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
    if ((readU8(between, 0) & TOP_BITS) === 0) return rsa(() => publicEncrypt(noPadding(keys.peer), between));
    count.setUint32(0, count.getUint32(0, true) + 1, true);
  }
  throw refused('tries');
}

/** A block that was read. */
export interface OpenBlock {
  /** 256 bytes; noise if something is wrong with the block. Secret. */
  readonly plain: Uint8Array;
  /** 0: made with these keys, as far as can be told from here. Otherwise bits of no meaning. */
  readonly wrong: number;
}

/**
 * Undoes `encryptBlock`, from the other side: a private and a public operation, whatever the block is. Where a number does not pass a
 * check another one takes its place. How long a refusal takes must not show which check it was: who can tell that apart finds a
 * session's key out from a recording, with some 100,000 tries.
 * @param wire 256 bytes.
 */
export function openBlock(wire: Uint8Array, keys: HandshakeKeys, steps: RsaSteps): OpenBlock {
  const first = attempt(wire, (bytes) => steps.privateDecrypt(keys.own, bytes));
  // Always cleared: below 2^2046 a number is below the peer's modulus.
  const between = cleared(first.bytes);
  const second = attempt(between, (bytes) => steps.publicDecrypt(keys.peer, bytes));
  const topBits = (readU8(first.bytes, 0) | readU8(second.bytes, 0)) & TOP_BITS;
  return { plain: second.bytes, wrong: topBits | first.wrong | second.wrong };
}

/**
 * Why a handshake is refused. `keys`: it was not made with the keys that we know, or breaks a rule; which, is not told apart. The others
 * are found only once it is certain who made it: it is for another receiver; it names no receiver, and has to; it is our own half; it
 * has been here before.
 */
export type HandshakeCheck = 'keys' | 'forwarded' | 'unbound' | 'our own' | 'replay';

/** The error of a handshake that fails a check. It carries nothing of the handshake. */
export function refused(check: HandshakeCheck | 'tries'): DmsgError {
  return new DmsgError(ErrorCode.KEYXCHGFAIL, 'handshake refused', { check });
}

function noPadding(key: KeyObject): { key: KeyObject; padding: number } {
  return { key, padding: constants.RSA_NO_PADDING };
}

function rsa(step: () => Uint8Array): Uint8Array {
  try {
    return step();
  } catch {
    throw refused('keys');
  }
}

/**
 * One operation that is done in any case. A number above the modulus is no secret, whoever sent it knows that; only the first step can
 * meet one.
 */
function attempt(bytes: Uint8Array, step: (bytes: Uint8Array) => Uint8Array): { bytes: Uint8Array; wrong: number } {
  try {
    return { bytes: step(bytes), wrong: 0 };
  } catch {
    return { bytes: step(cleared(bytes)), wrong: 1 };
  }
}

/** A copy without its top two bits. */
function cleared(bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[0] = readU8(copy, 0) & ~TOP_BITS;
  return copy;
}
