/**
 * Simple tabulation hashing: one table of 256 random words for each of the eight bytes of an id. Peers choose the ids
 * that are kept here. A peer that does not know the tables cannot choose ids that collide more often than random ones,
 * and linear probing takes constant expected time for any set of keys (Patrascu and Thorup, "The power of simple
 * tabulation hashing").
 */
export type HashTables = Int32Array;

/** Number of words that `makeHashTables` draws. */
const TABLE_WORDS = 8 * 256;

/** Hash tables from a source of random words that fills an array of 32-bit integers. */
export function makeHashTables(fill: (words: Int32Array<ArrayBuffer>) => unknown): HashTables {
  const tables = new Int32Array(TABLE_WORDS);
  fill(tables);
  return tables;
}

/**
 * The hash of an id (its two 32-bit halves): one word for each of its eight bytes, from that byte's own table, combined
 * by xor.
 */
export function hashId(tables: HashTables, low: number, high: number): number {
  return (
    word(tables, low & 0xff) ^
    word(tables, 256 + ((low >>> 8) & 0xff)) ^
    word(tables, 512 + ((low >>> 16) & 0xff)) ^
    word(tables, 768 + (low >>> 24)) ^
    word(tables, 1024 + (high & 0xff)) ^
    word(tables, 1280 + ((high >>> 8) & 0xff)) ^
    word(tables, 1536 + ((high >>> 16) & 0xff)) ^
    word(tables, 1792 + (high >>> 24))
  );
}

/** The word at an index that is always in range; `?? 0` satisfies the type checker. */
function word(tables: HashTables, at: number): number {
  return tables[at] ?? 0;
}
