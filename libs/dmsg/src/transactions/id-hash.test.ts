import { expect, it } from 'vitest';
import { hashId, makeHashTables } from './id-hash.ts';

it('the hash of an id depends on all its bytes, each by a table of its own', () => {
  // Each table entry is its own index.
  const tables = makeHashTables((words) => words.set(words.keys().toArray()));
  const bytes = [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];
  let hash = 0;
  for (const [i, byte] of bytes.entries()) hash ^= 256 * i + byte;
  expect(hashId(tables, 0x67452301, 0xefcdab89 | 0)).toBe(hash);
  expect(tables.length).toBe(8 * 256);

  // An entry of one byte's table contributes to the hash of exactly the ids with that value of that byte.
  for (const [i, byte] of bytes.entries()) {
    const one = makeHashTables((words) => words.fill(-1, 256 * i + byte, 256 * i + byte + 1));
    const half = (at: number, of: number) => (i >> 2 === at ? of << (8 * (i & 3)) : 0);
    expect(hashId(one, half(0, byte), half(1, byte))).toBe(-1);
    expect(hashId(one, half(0, byte + 1), half(1, byte + 1))).toBe(0);
  }
});

it('the hash of an id is a 32-bit integer, whatever its halves', () => {
  const tables = makeHashTables((words) => crypto.getRandomValues(words));
  for (const half of [0, 1, -1, 0x7fffffff, -0x80000000]) {
    const hash = hashId(tables, half, ~half);
    expect(hash).toBe(hash | 0);
  }
});
