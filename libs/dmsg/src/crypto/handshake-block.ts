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

/** Offset of the bytes that are incremented until the signed block fits. */
const COUNT_AT = 4;
/** A number below 2^2046 (top two bits clear) is below the modulus of either key, so both keys can process it. */
const TOP_BITS = 0xc0;
/** A try succeeds with a chance of at least 1 in 4, so 250 tries fail once in 10^31 blocks. */
const MAX_TRIES = 250;

/**
 * Signs a block with the own key, then encrypts it for the peer (protocol.md, "Crypto": Handshake). Bytes 4..7 of
 * `plain` are incremented until the number between the two steps has its top two bits clear; two to four tries on
 * average, each a private operation (a quarter of a millisecond).
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

/** The result of decrypting a block. */
export interface OpenBlock {
  /** 256 bytes; noise if something is wrong with the block. Secret. */
  readonly plain: Uint8Array;
  /**
   * 0: the block was made with these keys, as far as a single block shows. Any other value: it was not; the bits mean
   * nothing.
   */
  readonly wrong: number;
}

/**
 * Undoes `encryptBlock` at the receiver: one private and one public operation, whatever the block contains. A number
 * that fails a check is replaced by one that passes and the work goes on, because the time of a refusal must not show
 * which check failed: somebody who can tell needs some 100,000 tries to find the session key of a recorded connection.
 * @param wire 256 bytes.
 */
export function openBlock(wire: Uint8Array, keys: HandshakeKeys, steps: RsaSteps): OpenBlock {
  const first = attempt(wire, (bytes) => steps.privateDecrypt(keys.own, bytes));
  // The top bits are always cleared: a number below 2^2046 is below the peer's modulus.
  const between = cleared(first.bytes);
  const second = attempt(between, (bytes) => steps.publicDecrypt(keys.peer, bytes));
  const topBits = (readU8(first.bytes, 0) | readU8(second.bytes, 0)) & TOP_BITS;
  return { plain: second.bytes, wrong: topBits | first.wrong | second.wrong };
}

/**
 * Why a handshake is refused. `keys`: it was not made with the keys that we know, or it breaks a rule (never said
 * which). The other reasons are checked only once the sender is certain. `forwarded`: it names another receiver.
 * `unbound`: it names no receiver, and must. `our own`: it is our half, sent back. `replay`: it was received before.
 */
export type HandshakeCheck = 'keys' | 'forwarded' | 'unbound' | 'our own' | 'replay';

/** The error for a handshake that fails a check. It contains no bytes of the handshake. */
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
 * One RSA operation, which is done in any case: if the number is above the modulus, its top bits are cleared first. The
 * extra time is no secret, since the sender knows the number. Only the first step can meet such a number.
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
