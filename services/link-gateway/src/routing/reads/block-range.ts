/**
 * A range of bytes of a device that a node exports; the offset in two unsigned 32-bit halves (architecture.md,
 * "Numbers").
 */
export interface BlockRange {
  readonly offsetLo: number;
  readonly offsetHi: number;
  readonly bytes: number;
}

/** The range of a whole device. */
export const EVERYTHING: BlockRange = { offsetLo: 0, offsetHi: 0, bytes: Number.POSITIVE_INFINITY };

const TWO_32 = 2 ** 32;

/** True if the two ranges have at least one byte in common. */
export function overlap(a: BlockRange, b: BlockRange): boolean {
  return startsBeforeEnd(a, b) && startsBeforeEnd(b, a);
}

function startsBeforeEnd({ offsetLo, offsetHi }: BlockRange, of: BlockRange): boolean {
  const end = of.offsetLo + of.bytes;
  const endHi = of.offsetHi + Math.floor(end / TWO_32);
  return offsetHi < endHi || (offsetHi === endHi && offsetLo < end % TWO_32);
}
