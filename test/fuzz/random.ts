/** A small fast generator (sfc32), which makes the same numbers from the same seed everywhere. Not for secrets. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #count = 1;

  /** Different `stream`s make different numbers from one seed. */
  constructor(seed: number, stream = 0) {
    this.#a = seed | 0;
    this.#b = stream | 0;
    this.#c = Math.floor(seed / 2 ** 32) ^ 0x5bd1e995;
    // Mixes until every bit of the seed has influenced every bit of the state.
    for (let i = 0; i < 16; i++) this.u32();
  }

  /** An unsigned 32-bit number. */
  u32(): number {
    const result = (this.#a + this.#b + this.#count) | 0;
    this.#count = (this.#count + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + result) | 0;
    return result >>> 0;
  }

  /** 0 .. n - 1; n ≤ 2^32. */
  below(n: number): number {
    return Math.floor((this.u32() / 2 ** 32) * n);
  }

  /** True once in `n` times. */
  oneIn(n: number): boolean {
    return this.below(n) === 0;
  }

  /** A number of 1 .. max, mostly small: each further step has a probability of `more` in 256. */
  few(max: number, more = 128): number {
    let n = 1;
    while (n < max && (this.u32() & 0xff) < more) n++;
    return n;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }

  fill(buf: Uint8Array, start: number, end: number): void {
    for (let i = start; i < end; i++) buf[i] = this.u32();
  }
}
