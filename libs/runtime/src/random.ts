import { randomBytes } from 'node:crypto';
import { v4 } from 'uuid';

/** Like Math.random: uniform in [0, 1). Passed in, so that tests can repeat their numbers. */
export type Random = () => number;

/** The system's random numbers, with 48 bits. */
export const systemRandom: Random = () => randomBytes(6).readUIntBE(0, 6) / 2 ** 48;

/** A version 4 UUID from the given source: unique without being secret. */
export function randomNonce(random: Random): string {
  const words = Uint32Array.from({ length: 4 }, () => Math.floor(random() * 2 ** 32));
  return v4({ random: new Uint8Array(words.buffer) });
}
