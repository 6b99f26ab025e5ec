import { randomBytes } from 'node:crypto';

/** Like Math.random: uniform in [0, 1). Handed in, so that tests can repeat themselves. */
export type Random = () => number;

/** The system's, with 48 bits. */
export const systemRandom: Random = () => randomBytes(6).readUIntBE(0, 6) / 2 ** 48;

/** 128 bits as hex: unique without being secret. */
export function randomNonce(random: Random): string {
  let hex = '';
  for (let i = 0; i < 4; i++) {
    hex += Math.floor(random() * 2 ** 32)
      .toString(16)
      .padStart(8, '0');
  }
  return hex;
}
