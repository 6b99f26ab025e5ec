/** Bytes of a device that a node exports; offsets in two unsigned 32-bit halves (architecture.md, "Numbers"). */
export interface BlockRange {
  readonly offsetLo: number;
  readonly offsetHi: number;
  readonly bytes: number;
}

/** All that a device may have. */
export const EVERYTHING: BlockRange = { offsetLo: 0, offsetHi: 0, bytes: Number.POSITIVE_INFINITY };

const TWO_32 = 2 ** 32;

/** They have at least one byte in common. */
export function overlap(a: BlockRange, b: BlockRange): boolean {
  return startsBeforeEnd(a, b) && startsBeforeEnd(b, a);
}

function startsBeforeEnd({ offsetLo, offsetHi }: BlockRange, of: BlockRange): boolean {
  const end = of.offsetLo + of.bytes;
  const endHi = of.offsetHi + Math.floor(end / TWO_32);
  return offsetHi < endHi || (offsetHi === endHi && offsetLo < end % TWO_32);
}
