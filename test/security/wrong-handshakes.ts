import { constants, privateDecrypt, publicDecrypt, randomBytes } from 'node:crypto';
import type { CryptKeys } from '../peer/crypt.ts';

const BLOCK_BYTES = 256;
const TOP_BITS = 0xc0;

/**
 * The kinds of wrong handshakes for which a receiver that stopped at the first failed check would need different times:
 * one RSA operation for the first kind, two for the second, three or four for the third. Only the owner of the
 * receiver's private key can tell them apart.
 */
export const KINDS = ['top bits between the keys', 'top bits', 'fields'] as const;
export type Kind = (typeof KINDS)[number];

/** Makes `count` handshakes of each kind, 512 bytes each. `keys`: the receiver's. */
export function wrongHandshakes(count: number, { own, peer }: CryptKeys): Record<Kind, Buffer[]> {
  const padding = constants.RSA_NO_PADDING;
  const made: Record<Kind, Buffer[]> = { 'top bits between the keys': [], 'top bits': [], fields: [] };
  while (KINDS.some((kind) => made[kind].length < count)) {
    const noise = randomBytes(2 * BLOCK_BYTES);
    // Makes the blocks smaller than every modulus.
    noise[0]! &= ~TOP_BITS;
    noise[BLOCK_BYTES]! &= ~TOP_BITS;
    const between = privateDecrypt({ key: own, padding }, noise.subarray(0, BLOCK_BYTES));
    const kind = kindOf(between, () => publicDecrypt({ key: peer, padding }, between));
    if (made[kind].length < count) made[kind].push(noise);
  }
  return made;
}

function kindOf(between: Buffer, plain: () => Buffer): Kind {
  if ((between[0]! & TOP_BITS) !== 0) return 'top bits between the keys';
  return (plain()[0]! & TOP_BITS) !== 0 ? 'top bits' : 'fields';
}
