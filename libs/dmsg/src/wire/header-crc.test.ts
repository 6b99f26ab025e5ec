import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crc32cByTables } from './crc.ts';
import { CIRCUIT_AT, CMD_AT, HDR_CRC_AT, MSGID_AT, SALT_AT, TARGET_AT } from './header.ts';
import { headerCrcChange, headerCrcIn } from './header-crc.ts';
import { viewOf } from './words.ts';

/** The words of a core header that a hop rewrites, in the order of `headerCrcChange`'s parameters. */
const REWRITTEN = [
  SALT_AT,
  MSGID_AT,
  MSGID_AT + 4,
  CIRCUIT_AT,
  CIRCUIT_AT + 4,
  TARGET_AT,
  TARGET_AT + 4,
  CMD_AT,
] as const;

/** Runs of zeros, whole words and parts of them, are what most headers are made of. */
const run = fc.tuple(fc.nat(511), fc.constantFrom(1, 2, 3, 4, 12, 16, 64));
const header = fc
  .tuple(fc.constantFrom(64, 128, 256, 384, 448, 2048), fc.array(run, { maxLength: 24 }))
  .chain(([bytes, runs]) =>
    fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((filled) => {
      for (const [word, length] of runs) filled.fill(0, 4 * word, 4 * word + 4 * length);
      return filled;
    }),
  );
const word = fc.oneof(fc.nat(0xffff_ffff), fc.constantFrom(0, 0x8000_0000, 0xffff_ffff));
const words = fc.tuple(word, word, word, word, word, word, word, word);

/** The CRC as defined, with the field itself taken as 0. */
function reference(bytes: Uint8Array): number {
  return crc32cByTables(Uint8Array.from(bytes).fill(0, HDR_CRC_AT, HDR_CRC_AT + 4), 0, bytes.length);
}

describe('the CRC of a header', () => {
  it('takes its own field as 0, whatever is there and whatever follows the core header', () => {
    fc.assert(
      fc.property(header, fc.nat(7), (bytes, off) => {
        const buf = Buffer.concat([Buffer.alloc(off, 0xaa), bytes, Buffer.alloc(3, 0xaa)]);
        const before = Buffer.from(buf);
        expect(headerCrcIn(viewOf(buf), buf, off, bytes.length)).toBe(reference(bytes));
        expect(buf).toEqual(before);
      }),
    );
  });

  it('changes by headerCrcChange when a hop rewrites words', () => {
    fc.assert(
      fc.property(header, words, (bytes, changes) => {
        const after = Uint8Array.from(bytes);
        const view = viewOf(after);
        REWRITTEN.forEach((at, i) => {
          view.setUint32(at, view.getUint32(at, true) ^ changes[i]!, true);
        });
        const change = headerCrcChange(bytes.length, ...changes);
        expect((reference(bytes) ^ change) >>> 0).toBe(reference(after));
      }),
    );
  });
});
