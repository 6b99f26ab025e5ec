import { type Cipheriv, createCipheriv, createDecipheriv, type Decipheriv } from 'node:crypto';
import { DmsgError } from '../dmsg-error.ts';
import { ErrorCode } from '../error-code.ts';
import type { Opener, PlainSink, Sealer } from './cipher.ts';
import { SESSION_IV_AT, SESSION_IV_BYTES, SESSION_KEY_BYTES } from './session.ts';
import { checkWhole } from './stream-sealer.ts';

// The stream of those builds of the reference that send no tags (protocol.md, "Crypto": Stream): one continuous
// counter-mode stream. Anybody on the path can change it unnoticed, so it is used only for peers for which an operator
// has asked for it.

/** Bytes that one key can encrypt: GCM counts blocks in 32 bits, and two counter values (0 and 1) are not for data. */
export const UNTAGGED_LIMIT_BYTES = (2 ** 32 - 2) * 16;

export interface UntaggedOptions {
  /** For tests; default and upper bound UNTAGGED_LIMIT_BYTES. */
  readonly limitBytes?: number;
}

/** Counts a stream's bytes against the limit of its key. */
class Allowance {
  #left: number;

  constructor(options: UntaggedOptions) {
    this.#left = Math.min(options.limitBytes ?? UNTAGGED_LIMIT_BYTES, UNTAGGED_LIMIT_BYTES);
  }

  /** @throws DmsgError IVWRAP: the block counter would wrap and the key stream repeat. */
  take(bytes: number): void {
    if (bytes > this.#left) throw new DmsgError(ErrorCode.IVWRAP, 'block counter used up', { bytes });
    this.#left -= bytes;
  }
}

/** Encrypts a stream without tags. */
export class UntaggedSealer implements Sealer {
  readonly #cipher: Cipheriv;
  readonly #allowance: Allowance;

  /** @param session the material that this side sent in its handshake; not kept. */
  constructor(session: Uint8Array, options: UntaggedOptions = {}) {
    this.#cipher = createCipheriv('aes-256-ctr', ...keyAndFirstBlock(session));
    this.#allowance = new Allowance(options);
  }

  sealedBytes(plainBytes: number): number {
    return plainBytes;
  }

  seal(plain: Uint8Array): Uint8Array {
    this.#allowance.take(checkWhole(plain));
    return this.#cipher.update(plain);
  }

  sealSlices(slices: readonly Uint8Array[]): Uint8Array[] {
    let bytes = 0;
    for (const slice of slices) bytes += checkWhole(slice);
    this.#allowance.take(bytes);
    return slices.map((slice) => this.#cipher.update(slice));
  }
}

/** Decrypts whatever bytes have come: this stream has no chunks to wait for. */
export class UntaggedOpener implements Opener {
  readonly pendingBytes = 0;
  readonly #decipher: Decipheriv;
  readonly #allowance: Allowance;
  #dead = false;

  /** @param session the material that the peer sent in its handshake; not kept. */
  constructor(session: Uint8Array, options: UntaggedOptions = {}) {
    this.#decipher = createDecipheriv('aes-256-ctr', ...keyAndFirstBlock(session));
    this.#allowance = new Allowance(options);
  }

  open(wire: Uint8Array, sink: PlainSink): void {
    if (this.#dead) throw new DmsgError(ErrorCode.STATE, 'stream opener is dead');
    if (wire.length === 0) return;
    try {
      this.#allowance.take(wire.length);
    } catch (error) {
      this.#dead = true;
      throw error;
    }
    sink.onPlain(this.#decipher.update(wire));
  }
}

/** The first counter block is IV, eight zero bytes, 00000002. */
function keyAndFirstBlock(session: Uint8Array): [Uint8Array, Uint8Array] {
  const block = new Uint8Array(16);
  block.set(session.subarray(SESSION_IV_AT, SESSION_IV_AT + SESSION_IV_BYTES));
  block[15] = 2;
  return [session.subarray(0, SESSION_KEY_BYTES), block];
}
