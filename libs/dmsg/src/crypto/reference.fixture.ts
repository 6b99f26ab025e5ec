import { createCipheriv } from 'node:crypto';
import type { ChunkCount } from './chunk-counter.ts';
import type { Opener } from './cipher.ts';

/** A stream sealed as protocol.md describes ("Crypto": Stream), chunk by chunk with node:crypto's AES-256-GCM. */
export function sealedByNode(session: Uint8Array, plain: Uint8Array, first: ChunkCount = { high: 0, low: 0 }): Buffer {
  const parts: Uint8Array[] = [];
  let counter = (BigInt(first.high) << 32n) | BigInt(first.low);
  for (let at = 0; at < plain.length; at += 64) {
    const iv = Buffer.alloc(12);
    iv.set(session.subarray(32, 36));
    iv.writeBigUInt64BE(counter++, 4);
    const cipher = createCipheriv('aes-256-gcm', session.subarray(0, 32), iv);
    parts.push(cipher.update(plain.subarray(at, at + 64)), cipher.final(), cipher.getAuthTag());
  }
  return Buffer.concat(parts);
}

/** Opens the pieces of a stream, and returns all plaintext in one piece. */
export function openAll(opener: Opener, pieces: Iterable<Uint8Array>): Buffer {
  const parts: Uint8Array[] = [];
  for (const piece of pieces) opener.open(piece, { onPlain: (plain) => parts.push(Buffer.from(plain)) });
  return Buffer.concat(parts);
}

/** The bytes, cut at these places (taken modulo the length, in any order). */
export function cutAt(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const sorted = places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b);
  return [0, ...sorted].map((start, i) => bytes.subarray(start, sorted[i] ?? bytes.length));
}
