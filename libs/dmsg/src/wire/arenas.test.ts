import { expect, it } from 'vitest';
import { ARENA_BYTES, Arenas } from './arenas.ts';

it('uses again what was given back last, with the view of the same bytes', () => {
  const arenas = new Arenas();
  const [a, b] = [arenas.take(ARENA_BYTES), arenas.take(ARENA_BYTES)];
  arenas.give(a);
  arenas.give(b);
  expect(arenas.spare).toBe(2);
  expect(arenas.take(1)).toBe(b);
  expect(arenas.take(ARENA_BYTES)).toBe(a);
  expect(arenas.spare).toBe(0);
  a.view.setUint8(ARENA_BYTES - 1, 77);
  expect(a.buf[ARENA_BYTES - 1]).toBe(77);
});

it('gives new memory of the size that is asked for if none is kept, or if more is asked for', () => {
  const arenas = new Arenas();
  expect(arenas.take(100).buf).toHaveLength(100);
  arenas.give(arenas.take(ARENA_BYTES));
  const large = arenas.take(ARENA_BYTES + 1);
  expect([large.buf.length, large.buf.buffer.byteLength, arenas.spare]).toEqual([ARENA_BYTES + 1, ARENA_BYTES + 1, 1]);
});

it('keeps 256 arenas, and none of another size', () => {
  const arenas = new Arenas();
  for (const bytes of [1024, ARENA_BYTES - 1, ARENA_BYTES + 1]) arenas.give(arenas.take(bytes));
  expect(arenas.spare).toBe(0);
  const all = Array.from({ length: 257 }, () => arenas.take(ARENA_BYTES));
  for (const arena of all.slice(0, 256)) arenas.give(arena);
  expect(arenas.spare).toBe(256);
  for (const arena of all.slice(256)) arenas.give(arena);
  expect(arenas.spare).toBe(256);
});
