/** CRC-32C (Castagnoli), reflected polynomial (protocol.md, "Message": CRC). */
const POLYNOMIAL = 0x82f63b78;

/** Sixteen tables of 256, one after the other: table k holds the effect of a byte that is followed by k zero bytes. */
export const CRC_TABLES: Int32Array = makeTables();

function makeTables(): Int32Array {
  const tables = new Int32Array(16 * 256);
  for (let n = 0; n < 256; n++) {
    let c = n;
    for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ POLYNOMIAL : c >>> 1;
    tables[n] = c;
  }
  for (let i = 256; i < tables.length; i++) {
    const before = tables[i - 256]!;
    tables[i] = (before >>> 8) ^ tables[before & 0xff]!;
  }
  return tables;
}
