import { createCipheriv, randomBytes } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ErrorCode } from '../error-code.ts';
import { errorOf } from './error.fixture.ts';
import { cutAt, openAll } from './reference.fixture.ts';
import { UNTAGGED_LIMIT_BYTES, UntaggedOpener, UntaggedSealer } from './untagged.ts';

const SESSION = randomBytes(64);

describe('a stream without tags', () => {
  it('is one message of AES-256-GCM that never ends', () => {
    const iv = Buffer.concat([SESSION.subarray(32, 36), Buffer.alloc(8)]);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 300 }), fc.array(fc.nat()), fc.array(fc.nat()), (n, cuts, otherCuts) => {
        const plain = randomBytes(n * 64);
        const wire = createCipheriv('aes-256-gcm', SESSION.subarray(0, 32), iv).update(plain);
        const pieces = cutAt(
          plain,
          cuts.map((cut) => (cut % (n + 1)) * 64),
        );
        const sealer = new UntaggedSealer(SESSION);
        const half = pieces.length >> 1;
        const sealed = [...pieces.slice(0, half).map((p) => sealer.seal(p)), ...sealer.sealSlices(pieces.slice(half))];
        expect(Buffer.concat(sealed).equals(wire)).toBe(true);
        expect(sealer.sealedBytes(plain.length)).toBe(wire.length);
        expect(openAll(new UntaggedOpener(SESSION), cutAt(wire, otherCuts)).equals(plain)).toBe(true);
      }),
    );
  });

  it('ends before its block counter wraps', () => {
    const sealer = new UntaggedSealer(SESSION, { limitBytes: 128 });
    errorOf(ErrorCode.IVWRAP, () => sealer.sealSlices([Buffer.alloc(128), Buffer.alloc(64)]));
    // The failed call encrypted nothing: the whole allowance is still there.
    const wire = Buffer.concat(sealer.sealSlices([Buffer.alloc(64), Buffer.alloc(64)]));
    errorOf(ErrorCode.IVWRAP, () => sealer.seal(Buffer.alloc(64)));
    const opener = new UntaggedOpener(SESSION, { limitBytes: 128 });
    expect(openAll(opener, [wire]).equals(Buffer.alloc(128))).toBe(true);
    errorOf(ErrorCode.IVWRAP, () => openAll(opener, [Buffer.alloc(1)]));
    errorOf(ErrorCode.STATE, () => openAll(opener, [Buffer.alloc(1)]));
  });

  it('gives the sink nothing when no bytes have come', () => {
    const opener = new UntaggedOpener(SESSION);
    const plain: number[] = [];
    for (const bytes of [0, 1, 0, 64])
      opener.open(Buffer.alloc(bytes), { onPlain: ({ length }) => plain.push(length) });
    expect(plain).toEqual([1, 64]);
    expect(opener.pendingBytes).toBe(0);
  });

  it('has a limit that cannot be raised', () => {
    expect(UNTAGGED_LIMIT_BYTES).toBe(64 * 2 ** 30 - 32);
    const huge = Object.defineProperty(new Uint8Array(0), 'length', { value: UNTAGGED_LIMIT_BYTES + 1 });
    const sink = { onPlain: () => {} };
    errorOf(ErrorCode.IVWRAP, () => new UntaggedOpener(SESSION, { limitBytes: 2 ** 50 }).open(huge, sink));
    errorOf(ErrorCode.IVWRAP, () => new UntaggedOpener(SESSION).open(huge, sink));
  });

  it('refuses to seal what is not a multiple of 64 bytes', () => {
    errorOf(ErrorCode.FIELD, () => new UntaggedSealer(SESSION).seal(Buffer.alloc(1)));
  });
});
