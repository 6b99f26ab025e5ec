/**
 * An element of GF(2^128) as GCM has it (NIST SP 800-38D, 6.3): four big-endian 32-bit words, the leftmost bit of the
 * first word is the coefficient of x^0.
 */
export type Gf128 = readonly [number, number, number, number];

/** x^128 = 1 + x + x^2 + x^7: the right side, as the first word of an element. */
const REDUCTION = 0xe1000000;

export function gf128FromBytes(bytes: Uint8Array): Gf128 {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
  return [view.getUint32(0), view.getUint32(4), view.getUint32(8), view.getUint32(12)];
}

export function gf128ToBytes(element: Gf128): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  for (const [i, word] of element.entries()) view.setUint32(4 * i, word);
  return bytes;
}

/**
 * The product, in a time that does not depend on the values. It takes a microsecond: fast enough for making keys, too
 * slow for data.
 */
export function multiply(a: Gf128, b: Gf128): Gf128 {
  let [r0, r1, r2, r3] = [0, 0, 0, 0];
  let power = a;
  for (let bit = 0; bit < 128; bit++) {
    // All ones if b has x^bit.
    const mask = -(((b[bit >>> 5] ?? 0) >>> (31 - (bit & 31))) & 1);
    r0 ^= power[0] & mask;
    r1 ^= power[1] & mask;
    r2 ^= power[2] & mask;
    r3 ^= power[3] & mask;
    power = timesX(power);
  }
  return [r0 >>> 0, r1 >>> 0, r2 >>> 0, r3 >>> 0];
}

/** The element times x. */
export function timesX([a0, a1, a2, a3]: Gf128): Gf128 {
  const carry = -(a3 & 1) & REDUCTION;
  return [
    ((a0 >>> 1) ^ carry) >>> 0,
    ((a0 << 31) | (a1 >>> 1)) >>> 0,
    ((a1 << 31) | (a2 >>> 1)) >>> 0,
    ((a2 << 31) | (a3 >>> 1)) >>> 0,
  ];
}

/** The sum, which in this field is also the difference. */
export function add(a: Gf128, b: Gf128): Gf128 {
  return [(a[0] ^ b[0]) >>> 0, (a[1] ^ b[1]) >>> 0, (a[2] ^ b[2]) >>> 0, (a[3] ^ b[3]) >>> 0];
}
