import { randomFillSync } from 'node:crypto';

/** A source of random 32-bit words (any of their bits may be used). */
export interface RandomWords {
  next(): number;
}

/** Words fetched from the generator at once: 16 KiB, of which a word costs a third of what it costs in 4 KiB. */
const POOL_WORDS = 4096;

/** Cryptographic random words, fetched in batches. */
export class RandomPool implements RandomWords {
  readonly #words = new Uint32Array(POOL_WORDS);
  #used = POOL_WORDS;

  next(): number {
    if (this.#used === POOL_WORDS) {
      randomFillSync(this.#words);
      this.#used = 0;
    }
    return this.#words[this.#used++] ?? 0;
  }
}

const defaultPool = new RandomPool();

/**
 * The salts of one direction of one connection (protocol.md, "Message": salt): the upper 24 bits are random, the low 8
 * bits count the messages, mod 256.
 */
export class SaltSequence {
  readonly #random: RandomWords;
  #count = 0;

  constructor(random: RandomWords = defaultPool) {
    this.#random = random;
  }

  /** The salt of the next message, unsigned. Every salt that is taken must be sent, in the order taken. */
  next(): number {
    const salt = ((this.#random.next() & 0xffffff00) | this.#count) >>> 0;
    this.#count = (this.#count + 1) & 0xff;
    return salt;
  }
}
