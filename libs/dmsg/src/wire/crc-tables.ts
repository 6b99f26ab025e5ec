/** CRC-32C (Castagnoli), reflected polynomial (protocol.md, "Message": CRC). */
const POLYNOMIAL = 0x82f63b78;

/**
 * Sixteen tables of 256 entries, one after the other: table k has the effect of a byte that is followed by k zero
 * bytes.
 */
const TABLES: Int32Array = makeTables();

/**
 * The effect on the CRC register of `byte` (0 to 255) followed by `zeros` (0 to 15) zero bytes. Calls are inlined: one
 * costs no more than an array access.
 */
export function effect(zeros: number, byte: number): number {
  // The index is always in range; `?? 0` satisfies the type checker and the compiled code does not contain it.
  return TABLES[(zeros << 8) + byte] ?? 0;
}

function makeTables(): Int32Array {
  const tables = new Int32Array(16 * 256);
  for (let n = 0; n < 256; n++) {
    let c = n;
    for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ POLYNOMIAL : c >>> 1;
    tables[n] = c;
  }
  for (let i = 256; i < tables.length; i++) {
    const before = tables[i - 256] ?? 0;
    tables[i] = (before >>> 8) ^ (tables[before & 0xff] ?? 0);
  }
  return tables;
}
