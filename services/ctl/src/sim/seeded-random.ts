import type { Random } from '@spanmesh/runtime/random';

/**
 * Random numbers that are the same for the same seed: mulberry32 (public domain). `stream` gives independent sequences
 * for one seed, so that the numbers of one peer do not depend on when others draw theirs.
 */
export function seededRandom(seed: number, stream = 0): Random {
  let state = Math.imul(seed ^ Math.imul(stream + 1, 0x9e3779b1), 0x85ebca6b) | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A version 4 uuid from a source of random numbers. */
export function randomUuid(random: Random): string {
  const words = Array.from({ length: 4 }, () => Math.floor(random() * 2 ** 32));
  words[1] = (((words[1] ?? 0) & 0xffff0fff) | 0x4000) >>> 0;
  words[2] = (((words[2] ?? 0) & 0x3fffffff) | 0x80000000) >>> 0;
  const hex = words.map((word) => word.toString(16).padStart(8, '0')).join('');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
