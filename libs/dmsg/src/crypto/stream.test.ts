import { randomBytes } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ErrorCode } from '../error-code.ts';
import { chunkKernel, isKernelMemory } from './chunk-kernel.ts';
import { BATCH_CHUNKS, CHUNK_BYTES, OPENED_CHUNKS, SEALED_CHUNK_BYTES, SEALED_CHUNKS } from './chunk-kernel-code.ts';
import { errorOf, expectNoSecrets } from './error.fixture.ts';
import { cutAt, openAll, sealedByNode } from './reference.fixture.ts';
import { StreamOpener } from './stream-opener.ts';
import { StreamSealer } from './stream-sealer.ts';

const SESSION = randomBytes(64);
const LAST = 0xffffffff;
const LARGE = 2 * BATCH_CHUNKS + 88;
const places = fc.array(fc.nat(), { maxLength: 12 });
const flat = (slices: readonly Uint8Array[]) => Buffer.concat(slices);

describe('sealing', () => {
  it('gives the bytes that node:crypto gives, however the plaintext is cut', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: LARGE }), places, fc.boolean(), (chunks, cuts, asSlices) => {
        const plain = randomBytes(chunks * CHUNK_BYTES);
        const wire = sealedByNode(SESSION, plain);
        const pieces = cutAt(
          plain,
          cuts.map((cut) => (cut * CHUNK_BYTES) % (plain.length + CHUNK_BYTES)),
        );
        const sealer = new StreamSealer(SESSION);
        const sealed = asSlices ? flat(sealer.sealSlices(pieces)) : flat(pieces.map((piece) => sealer.seal(piece)));
        expect(sealed.equals(wire)).toBe(true);
        expect(sealer.sealedBytes(plain.length)).toBe(wire.length);
      }),
      { numRuns: 60 },
    );
  });

  it('returns one piece in memory of its own', () => {
    const sealer = new StreamSealer(SESSION);
    const first = sealer.seal(Buffer.alloc(CHUNK_BYTES, 1));
    const copy = Buffer.from(first);
    sealer.seal(Buffer.alloc(CHUNK_BYTES, 2));
    sealer.sealSlices([Buffer.alloc(CHUNK_BYTES, 3)]);
    expect(copy.equals(first)).toBe(true);
    expect(first.buffer.byteLength).toBe(SEALED_CHUNK_BYTES);
  });

  it.each([1, BATCH_CHUNKS - 1, BATCH_CHUNKS, BATCH_CHUNKS + 1, SEALED_CHUNKS - 1, SEALED_CHUNKS])(
    'leaves %d chunks of slices in the kernel’s memory, as one piece',
    (chunks) => {
      const plain = randomBytes(chunks * CHUNK_BYTES);
      const wires = new StreamSealer(SESSION).sealSlices(cutAt(plain, [CHUNK_BYTES]));
      expect(wires.length).toBe(1);
      expect(isKernelMemory(wires[0]!.buffer)).toBe(true);
      expect(flat(wires).equals(sealedByNode(SESSION, plain))).toBe(true);
    },
  );

  it.each([1, BATCH_CHUNKS, BATCH_CHUNKS + 7])(
    'copies the chunks that the kernel has no room for, %d, to memory of their own',
    (more) => {
      const plain = randomBytes((SEALED_CHUNKS + more) * CHUNK_BYTES);
      const sealer = new StreamSealer(SESSION);
      const wires = sealer.sealSlices([plain.subarray(0, CHUNK_BYTES), plain.subarray(CHUNK_BYTES)]);
      expect(wires.map(({ buffer }) => isKernelMemory(buffer))).toEqual([true, ...wires.slice(1).map(() => false)]);
      const wire = flat(wires);
      sealer.sealSlices([plain]);
      expect(wire.equals(sealedByNode(SESSION, plain))).toBe(true);
      // The next call has overwritten the first piece only.
      expect(wire.subarray(wires[0]!.length).equals(flat(wires.slice(1)))).toBe(true);
      expect(wires.slice(1).every(({ length, buffer }) => length === buffer.byteLength)).toBe(true);
    },
  );

  it('returns nothing for nothing', () => {
    expect(new StreamSealer(SESSION).sealSlices([])).toEqual([]);
  });

  it('does not mix the directions of many connections', () => {
    const sessions = [randomBytes(64), randomBytes(64), randomBytes(64)];
    const sealers = sessions.map((session) => new StreamSealer(session));
    const openers = sessions.map((session) => new StreamOpener(session));
    for (let round = 0; round < 4; round++) {
      for (const [i, sealer] of sealers.entries()) {
        const plain = Buffer.alloc(CHUNK_BYTES * (i + 1), round);
        expect(openAll(openers[i]!, [sealer.seal(plain)]).equals(plain)).toBe(true);
      }
    }
  });

  it('refuses plaintext that is not a multiple of 64 bytes, and changes nothing', () => {
    const sealer = new StreamSealer(SESSION);
    errorOf(ErrorCode.FIELD, () => sealer.seal(Buffer.alloc(65)));
    errorOf(ErrorCode.FIELD, () => sealer.sealSlices([Buffer.alloc(64), Buffer.alloc(63)]));
    expect(sealedByNode(SESSION, Buffer.alloc(64)).equals(sealer.seal(Buffer.alloc(64)))).toBe(true);
  });
});

describe('the counter', () => {
  it.each([
    { high: 0, low: LAST - 1 },
    { high: 41, low: LAST },
    { high: LAST - 1, low: LAST },
    { high: 0x7fffffff, low: LAST },
  ])('carries at $high:$low', (firstChunk) => {
    const plain = randomBytes(4 * CHUNK_BYTES);
    const wire = sealedByNode(SESSION, plain, firstChunk);
    expect(wire.equals(new StreamSealer(SESSION, { firstChunk }).seal(plain))).toBe(true);
    const [one, rest] = [plain.subarray(0, CHUNK_BYTES), plain.subarray(CHUNK_BYTES)];
    const sealer = new StreamSealer(SESSION, { firstChunk });
    expect(wire.equals(flat([sealer.seal(one), sealer.seal(rest)]))).toBe(true);
    expect(openAll(new StreamOpener(SESSION, { firstChunk }), [wire]).equals(plain)).toBe(true);
  });

  it('goes to 2^64 - 1 and no further', () => {
    const firstChunk = { high: LAST, low: LAST - 1 };
    const plain = randomBytes(2 * CHUNK_BYTES);
    const wire = sealedByNode(SESSION, plain, firstChunk);
    const sealer = new StreamSealer(SESSION, { firstChunk });
    errorOf(ErrorCode.IVWRAP, () => sealer.seal(Buffer.alloc(3 * CHUNK_BYTES)));
    errorOf(ErrorCode.IVWRAP, () => sealer.sealSlices([plain, plain.subarray(0, CHUNK_BYTES)]));
    expect(wire.equals(sealer.seal(plain))).toBe(true);
    expectNoSecrets(
      errorOf(ErrorCode.IVWRAP, () => sealer.seal(plain.subarray(CHUNK_BYTES))),
      [SESSION, plain],
    );
    const opener = new StreamOpener(SESSION, { firstChunk });
    expect(openAll(opener, [wire]).equals(plain)).toBe(true);
    errorOf(ErrorCode.IVWRAP, () => openAll(opener, [wire]));
    errorOf(ErrorCode.STATE, () => openAll(opener, [wire]));
  });
});

describe('opening', () => {
  it('takes a stream cut at any place', () => {
    const plain = randomBytes(4 * CHUNK_BYTES);
    const wire = sealedByNode(SESSION, plain);
    for (let cut = 0; cut <= wire.length; cut++) {
      const opener = new StreamOpener(SESSION);
      const first = openAll(opener, [wire.subarray(0, cut)]);
      expect(first.equals(plain.subarray(0, Math.floor(cut / SEALED_CHUNK_BYTES) * CHUNK_BYTES))).toBe(true);
      expect(opener.pendingBytes).toBe(cut % SEALED_CHUNK_BYTES);
      expect(flat([first, openAll(opener, [wire.subarray(cut)])]).equals(plain)).toBe(true);
    }
    const bytes = cutAt(wire, [...wire.keys()]);
    expect(openAll(new StreamOpener(SESSION), bytes).equals(plain)).toBe(true);
  });

  it('takes a stream cut in large reads', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: LARGE }), places, (chunks, cuts) => {
        const plain = randomBytes(chunks * CHUNK_BYTES);
        const wire = new StreamSealer(SESSION).seal(plain);
        const before = Buffer.from(wire);
        expect(openAll(new StreamOpener(SESSION), cutAt(wire, cuts)).equals(plain)).toBe(true);
        expect(before.equals(wire)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('refuses a chunk with any bit flipped, and gives out the chunks before it', () => {
    const plain = randomBytes(3 * CHUNK_BYTES);
    const wire = sealedByNode(SESSION, plain);
    for (let bit = 0; bit < SEALED_CHUNK_BYTES * 8; bit++) {
      const bad = Buffer.from(wire);
      bad[SEALED_CHUNK_BYTES + (bit >> 3)]! ^= 1 << (bit & 7);
      const opener = new StreamOpener(SESSION);
      const got: Uint8Array[] = [];
      const error = errorOf(ErrorCode.MACFAIL, () =>
        opener.open(bad, { onPlain: (bytes) => got.push(Buffer.from(bytes)) }),
      );
      expect(error.data).toEqual({ chunk: 1 });
      expect(flat(got).equals(plain.subarray(0, CHUNK_BYTES))).toBe(true);
      errorOf(ErrorCode.STATE, () => openAll(opener, [wire]));
    }
  });

  it('gives out the same plaintext however a damaged stream is cut', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: LARGE }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        places,
        (n, at, flip, cuts) => {
          const plain = randomBytes(n * CHUNK_BYTES);
          const wire = Buffer.from(new StreamSealer(SESSION).seal(plain));
          const damaged = at % wire.length;
          wire[damaged]! ^= flip;
          const opener = new StreamOpener(SESSION);
          const got: Uint8Array[] = [];
          errorOf(ErrorCode.MACFAIL, () => {
            for (const piece of cutAt(wire, cuts))
              opener.open(piece, { onPlain: (bytes) => got.push(Buffer.from(bytes)) });
          });
          expect(flat(got).equals(plain.subarray(0, Math.floor(damaged / SEALED_CHUNK_BYTES) * CHUNK_BYTES))).toBe(
            true,
          );
        },
      ),
      { numRuns: 60 },
    );
  });

  it('refuses chunks left out, repeated or exchanged, and another key', () => {
    const wire = sealedByNode(SESSION, randomBytes(3 * CHUNK_BYTES));
    const [a, b, c] = [0, 1, 2].map((i) => wire.subarray(i * SEALED_CHUNK_BYTES, (i + 1) * SEALED_CHUNK_BYTES));
    for (const order of [[b!], [a!, c!], [a!, a!], [b!, a!]]) {
      errorOf(ErrorCode.MACFAIL, () => openAll(new StreamOpener(SESSION), order));
    }
    const error = errorOf(ErrorCode.MACFAIL, () => openAll(new StreamOpener(randomBytes(64)), [wire]));
    expectNoSecrets(error, [SESSION, wire]);
  });

  it('does not overwrite what its sink looks at while the sink seals, and opens more', () => {
    const plain = randomBytes(3 * CHUNK_BYTES);
    const wire = sealedByNode(SESSION, plain);
    const [first, second] = [wire.subarray(0, 100), wire.subarray(100)];
    const opener = new StreamOpener(SESSION);
    const other = randomBytes(64);
    const got: Buffer[] = [];
    opener.open(first, {
      onPlain(bytes) {
        new StreamSealer(other).sealSlices([Buffer.alloc(20 * CHUNK_BYTES, 0xee)]);
        const more = openAll(new StreamOpener(other), [sealedByNode(other, Buffer.alloc(20 * CHUNK_BYTES, 0xee))]);
        expect(more.equals(Buffer.alloc(20 * CHUNK_BYTES, 0xee))).toBe(true);
        opener.open(second, { onPlain: (rest) => got.push(Buffer.from(rest)) });
        got.unshift(Buffer.from(bytes));
      },
    });
    expect(flat(got).equals(plain)).toBe(true);
  });

  it('opens in the kernel’s memory, also after a sink has thrown; more than fits there in memory of its own', () => {
    const opener = new StreamOpener(SESSION);
    const sealer = new StreamSealer(SESSION);
    const places: boolean[] = [];
    const open = (chunks: number) =>
      opener.open(sealer.seal(Buffer.alloc(chunks * CHUNK_BYTES)), {
        onPlain: ({ buffer, length }) => {
          expect(length).toBe(chunks * CHUNK_BYTES);
          places.push(isKernelMemory(buffer));
          throw new Error('thrown');
        },
      });
    for (const chunks of [1, OPENED_CHUNKS, OPENED_CHUNKS + 1, 2]) expect(() => open(chunks)).toThrow('thrown');
    expect(places).toEqual([true, true, false, true]);
  });
});

describe('the memory of sealing and opening', () => {
  it('does not grow with what passes: nothing is left to the garbage collector', () => {
    const sealer = new StreamSealer(SESSION);
    const opener = new StreamOpener(SESSION);
    const plains = [1, 40, 65, BATCH_CHUNKS, OPENED_CHUNKS].map((chunks) => Buffer.alloc(chunks * CHUNK_BYTES, chunks));
    let opened = 0;
    const sink = {
      onPlain({ length }: Uint8Array) {
        opened += length;
      },
    };
    const pass = () => {
      for (const plain of plains) for (const wire of sealer.sealSlices([plain])) opener.open(wire, sink);
    };
    pass();
    const before = process.memoryUsage().arrayBuffers;
    for (let n = 0; n < 100; n++) pass();
    expect(opened).toBe(101 * plains.reduce((sum, { length }) => sum + length, 0));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024);
    expect(chunkKernel().isLent).toBe(false);
  });
});
