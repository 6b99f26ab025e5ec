import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BLOCKS_BYTES, CHUNK_BYTES } from './chunk-kernel-code.ts';
import { AHEAD_CHUNKS, KeyStreamAhead } from './key-stream-ahead.ts';
import { StreamOpener } from './stream-opener.ts';
import { StreamSealer } from './stream-sealer.ts';

describe('key stream that is made ahead', () => {
  it('is found in order, once, and not for another chunk', () => {
    const ahead = new KeyStreamAhead();
    const out = new Uint8Array(4 * BLOCKS_BYTES);
    expect(ahead.take(0, 0, 1, out)).toBe(false);
    const blocks = Uint8Array.from({ length: 4 * BLOCKS_BYTES }, (_, i) => i / BLOCKS_BYTES);
    ahead.keep(blocks, 1, 10, 1);
    // `ahead` has a copy.
    blocks.fill(0xff);
    expect(ahead.take(1, 10, 1, out)).toBe(false);
    expect(ahead.take(0, 11, 1, out)).toBe(false);
    expect(ahead.take(1, 11, 2, out)).toBe(true);
    expect([out[0], out[BLOCKS_BYTES]]).toEqual([1, 2]);
    expect(ahead.take(1, 11, 1, out)).toBe(false);
    expect(ahead.take(1, 13, 2, out)).toBe(false);
    expect(ahead.take(1, 13, 1, out)).toBe(true);
    expect(out[0]).toBe(3);
    expect(ahead.take(1, 14, 1, out)).toBe(false);
  });

  it('changes no sealed byte, however the plaintext is cut, also where the counter passes 32 bits', () => {
    const size = fc.integer({ min: 1, max: 2 * AHEAD_CHUNKS });
    const first = fc.constantFrom({ high: 0, low: 0 }, { high: 3, low: 2 ** 32 - 20 });
    fc.assert(
      fc.property(fc.array(size, { minLength: 1, maxLength: 20 }), first, (sizes, firstChunk) => {
        const session = randomBytes(64);
        const plain = randomBytes(CHUNK_BYTES * sizes.reduce((sum, chunks) => sum + chunks, 0));
        const whole = new StreamSealer(session, { firstChunk }).seal(plain);
        const sealer = new StreamSealer(session, { firstChunk });
        const opener = new StreamOpener(session, { firstChunk });
        const opened: Uint8Array[] = [];
        const parts: Uint8Array[] = [];
        let at = 0;
        for (const chunks of sizes) {
          const part = sealer.seal(plain.subarray(at, at + chunks * CHUNK_BYTES));
          at += chunks * CHUNK_BYTES;
          parts.push(part);
          opener.open(part, { onPlain: (bytes) => opened.push(Uint8Array.from(bytes)) });
        }
        expect(Buffer.concat(parts).equals(whole)).toBe(true);
        expect(Buffer.concat(opened).equals(plain)).toBe(true);
      }),
    );
  });
});
