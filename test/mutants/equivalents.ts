/** A change that nothing can notice, or that nobody would want to be noticed. */
export interface Equivalent {
  /** From the root of the project. */
  readonly file: string;
  /** The whole line that it changes, trimmed. */
  readonly line: string;
  readonly kind: string;
  readonly replace: string;
  readonly why: string;
}

/** They are not made. One whose line has changed counts again. */
export const EQUIVALENTS: readonly Equivalent[] = [
  {
    file: 'libs/dmsg/src/wire/salt.ts',
    line: 'if (this.#used === POOL_WORDS) {',
    kind: 'condition',
    replace: 'true',
    why: 'A pool that is filled for each word gives random words, too, and is only slower.',
  },
  {
    file: 'libs/dmsg/src/wire/crc-tables.ts',
    line: 'const tables = new Int32Array(16 * 256);',
    kind: 'constant',
    replace: '(16 + 1)',
    why: 'Nobody reads the seventeenth table.',
  },
  {
    file: 'libs/dmsg/src/wire/framing.ts',
    line: 'this.#append(chunk, at, at + bytes, this.#partialBytes + end - at);',
    kind: 'arithmetic',
    replace: '(this.#partialBytes) - (end)',
    why: 'A buffer that expects too little grows more often.',
  },
  {
    file: 'libs/dmsg/src/wire/framing.ts',
    line: 'if (held.length > 0) this.#consume(held, 0, this.#sink!);',
    kind: 'boundary',
    replace: '(held.length) >= (0)',
    why: 'Of no bytes no message is made.',
  },
  {
    file: 'libs/spantree/src/model/filter-class.ts',
    line: 'const bit = peerType < 32 ? this.#maskLo >>> peerType : this.#maskHi >>> (peerType - 32);',
    kind: 'arithmetic',
    replace: '(peerType) + (32)',
    why: 'Shifts count modulo 32.',
  },
  {
    file: 'libs/spantree/src/relay-batch.ts',
    line: 'this.#lnkConns.length = 0;',
    kind: 'constant',
    replace: '(0 + 1)',
    why: 'One that is named for longer is overwritten by the next.',
  },
  {
    file: 'libs/spantree/src/relay-batch.ts',
    line: 'this.#links.length = 0;',
    kind: 'constant',
    replace: '(0 + 1)',
    why: 'One that is named for longer is overwritten by the next.',
  },
  {
    file: 'libs/spantree/src/selection.ts',
    line: 'this.#count = 0;',
    kind: 'constant',
    replace: '(0 + 1)',
    why: 'Each flush walks before it looks at what was taken.',
  },
];
