import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ChunkKernel, fastestSwizzle } from './chunk-kernel.ts';
import { BATCH_CHUNKS, CHUNK_BYTES, OPENED_CHUNKS, SEALED_CHUNK_BYTES, SEALED_CHUNKS } from './chunk-kernel-code.ts';
import { ChunkKey } from './chunk-key.ts';
import { sealedByNode } from './reference.fixture.ts';

const sessions = fc.uint8Array({ minLength: 64, maxLength: 64 });
const words = fc.integer({ min: 0, max: 0xffffffff });

// Both swizzles are tested (if this engine has both), not only the one that it would choose.
describe.each([...new Set(['i8x16.swizzle', fastestSwizzle()] as const)])('chunk kernel with %s', (swizzle) => {
  const kernel = new ChunkKernel(swizzle);

  it('seals as test case 15 of the GCM specification (McGrew and Viega, appendix B)', () => {
    const session = Buffer.alloc(64);
    session.set(Buffer.from('feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308', 'hex'));
    session.set(Buffer.from('cafebabe', 'hex'), 32);
    kernel.toSeal.set(
      Buffer.from(
        'd9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72' +
          '1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255',
        'hex',
      ),
    );
    kernel.seal(new ChunkKey(session), 0xfacedbad, 0xdecaf888, 1, 0);
    expect(Buffer.from(kernel.sealed.subarray(0, SEALED_CHUNK_BYTES)).toString('hex')).toBe(
      '522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa' +
        '8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad' +
        'b094dac5d93471bdec1a502270e3cc6c',
    );
  });

  it('seals what node:crypto seals, and opens it', () => {
    const plains = fc.uint8Array({ minLength: 0, maxLength: 8 * CHUNK_BYTES, size: 'max' });
    const highs = fc.integer({ min: 0, max: 0xfffffffe });
    const places = fc.integer({ min: 0, max: OPENED_CHUNKS });
    fc.assert(
      fc.property(sessions, plains, words, highs, places, (session, bytes, low, high, at) => {
        const plain = bytes.subarray(0, bytes.length - (bytes.length % CHUNK_BYTES));
        const chunks = plain.length / CHUNK_BYTES;
        fc.pre(chunks > 0);
        const key = new ChunkKey(session);
        const wire = sealedByNode(session, plain, { high, low });
        kernel.toSeal.set(plain);
        kernel.sealed.fill(0);
        kernel.seal(key, high, low, chunks, at);
        const sealedAt = at * SEALED_CHUNK_BYTES;
        expect(wire.equals(kernel.sealed.subarray(sealedAt, sealedAt + wire.length))).toBe(true);
        expect(isZero(kernel.sealed.subarray(0, sealedAt))).toBe(true);
        expect(isZero(kernel.sealed.subarray(sealedAt + wire.length))).toBe(true);
        kernel.opened.fill(0);
        kernel.toOpen.set(wire);
        expect(kernel.open(key, high, low, chunks, at)).toBe(chunks);
        const openedAt = at * CHUNK_BYTES;
        expect(Buffer.from(plain).equals(kernel.opened.subarray(openedAt, openedAt + plain.length))).toBe(true);
        expect(isZero(kernel.opened.subarray(0, openedAt))).toBe(true);
        expect(isZero(kernel.opened.subarray(openedAt + plain.length))).toBe(true);
      }),
    );
  });

  it('hashes each bit of the ciphertext by itself', () => {
    // The hash is linear: its value for each block with a single bit set, without the key's masks, shows its whole
    // matrix.
    const session = new Uint8Array(64).map((_, i) => 7 * i + 3);
    const key = new ChunkKey(session);
    const zeros = sealedByNode(session, new Uint8Array(CHUNK_BYTES));
    for (let bit = 0; bit < CHUNK_BYTES * 8; bit++) {
      const plain = new Uint8Array(CHUNK_BYTES);
      for (let i = 0; i < CHUNK_BYTES; i++) plain[i] = zeros[i]!;
      plain[bit >> 3]! ^= 0x80 >> (bit & 7);
      kernel.toSeal.set(plain);
      kernel.seal(key, 0, 0, 1, 0);
      expect(sealedByNode(session, plain).equals(kernel.sealed.subarray(0, SEALED_CHUNK_BYTES))).toBe(true);
    }
  });

  it('fills its memory, and says where a batch goes wrong without decrypting what follows', () => {
    const session = new Uint8Array(64).fill(0xab);
    const key = new ChunkKey(session);
    const plain = Buffer.alloc(BATCH_CHUNKS * CHUNK_BYTES, 'all of it ');
    const wire = sealedByNode(session, plain);
    kernel.toSeal.set(plain);
    kernel.seal(key, 0, 0, BATCH_CHUNKS, SEALED_CHUNKS);
    expect(wire.equals(kernel.sealed.subarray(SEALED_CHUNKS * SEALED_CHUNK_BYTES))).toBe(true);
    for (const bad of [0, 1, 100, BATCH_CHUNKS - 1]) {
      kernel.opened.fill(0);
      kernel.toOpen.set(wire);
      kernel.toOpen[bad * SEALED_CHUNK_BYTES + 70]! ^= 4;
      expect(kernel.open(key, 0, 0, BATCH_CHUNKS, OPENED_CHUNKS)).toBe(bad);
      const opened = kernel.opened.subarray(OPENED_CHUNKS * CHUNK_BYTES);
      const good = bad * CHUNK_BYTES;
      expect(plain.subarray(0, good).equals(opened.subarray(0, good))).toBe(true);
      expect(isZero(opened.subarray(good))).toBe(true);
    }
  });
});

function isZero(bytes: Uint8Array): boolean {
  return Buffer.alloc(bytes.length).equals(bytes);
}
