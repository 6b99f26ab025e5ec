import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ARENA_BYTES, Arenas } from './arenas.ts';
import { OutBuffer } from './out-buffer.ts';

function write(out: OutBuffer, bytes: number, fill: number): void {
  out.reserve(bytes);
  out.buf.fill(fill, out.at, out.at + bytes);
}

describe('OutBuffer', () => {
  it('holds nothing when it is new, and after take', () => {
    const out = new OutBuffer();
    expect([out.bytes, out.heldBytes, out.buf.length, out.take().length]).toEqual([0, 0, 0, 0]);
    write(out, 64, 1);
    out.pass(Buffer.allocUnsafeSlow(100), 0, 100);
    out.take();
    expect([out.bytes, out.heldBytes, out.buf.length, out.take().length]).toEqual([0, 0, 0, 0]);
  });

  it('gives many small messages as one slice', () => {
    const out = new OutBuffer();
    for (let i = 0; i < 16; i++) write(out, 64, i);
    expect(out.bytes).toBe(1024);
    expect(out.take().map((slice) => slice.length)).toEqual([1024]);
  });

  it('grows its arenas within a turn and starts small again after it', () => {
    const out = new OutBuffer(new Arenas());
    write(out, 64, 0);
    expect(out.heldBytes).toBe(1024);
    for (let i = 0; i < 10_000; i++) write(out, 64, 0);
    // 640,064 bytes: arenas of 1, 2, 4 and 8 KiB, and then of ARENA_BYTES.
    expect(out.take().map((slice) => slice.length)).toEqual([
      1024,
      2048,
      4096,
      8192,
      ...Array(38).fill(ARENA_BYTES),
      2112,
    ]);
    write(out, 64, 0);
    expect(out.heldBytes).toBe(1024);
  });

  it('uses the large arenas of what is written again, and no others', () => {
    const pool = new Arenas();
    const [out, other] = [new OutBuffer(pool), new OutBuffer(pool)];
    for (let i = 0; i < 1000; i++) write(out, 64, 1);
    const slices = out.take();
    const large = slices.filter(({ buffer }) => buffer.byteLength === ARENA_BYTES);
    expect([pool.spare, large.length]).toEqual([0, 3]);
    out.reuse();
    expect(pool.spare).toBe(3);
    // What was used last is used first.
    write(other, 64, 2);
    expect([other.buf.buffer, other.heldBytes, pool.spare]).toEqual([large[0]!.buffer, ARENA_BYTES, 2]);
    out.reuse();
    expect(pool.spare).toBe(2);
  });

  it('leaves arenas alone that are queued, or were taken and not reused', () => {
    const pool = new Arenas();
    const out = new OutBuffer(pool);
    write(out, ARENA_BYTES, 1);
    const [first] = out.take();
    write(out, ARENA_BYTES, 2);
    out.reuse();
    const [second] = out.take();
    write(out, ARENA_BYTES, 3);
    const [third] = out.take();
    expect([third!.buffer === first!.buffer, second!.every((byte) => byte === 2)]).toEqual([true, true]);
    out.reuse();
    expect([pool.spare, pool.take(1).buf.buffer === first!.buffer]).toEqual([1, true]);
  });

  it('makes room for a message larger than an arena', () => {
    const out = new OutBuffer();
    write(out, 1_100_000, 7);
    const slices = out.take();
    expect(slices).toHaveLength(1);
    expect(slices[0]!.every((byte) => byte === 7)).toBe(true);
  });

  it('merges passes that are neighbours in one buffer, and does not copy', () => {
    const out = new OutBuffer();
    const chunk = Buffer.allocUnsafeSlow(300);
    out.pass(chunk, 0, 100);
    out.pass(chunk, 100, 200);
    out.pass(chunk, 201, 300);
    out.pass(chunk, 300, 300);
    const slices = out.take();
    expect(slices.map((slice) => slice.length)).toEqual([200, 99]);
    expect(slices[0]!.buffer).toBe(chunk.buffer);
  });

  it('counts the memory that consecutive passed slices keep alive once', () => {
    const out = new OutBuffer();
    const a = Buffer.allocUnsafeSlow(1000);
    const b = Buffer.allocUnsafeSlow(500);
    out.pass(a.subarray(0, 10), 0, 10);
    out.pass(a, 100, 110);
    expect(out.heldBytes).toBe(1000);
    out.pass(b, 0, 1);
    expect(out.heldBytes).toBe(1500);
    out.pass(a, 0, 1);
    expect(out.heldBytes).toBe(2500);
    expect(out.bytes).toBe(22);
  });

  it('does not write to bytes that were taken', () => {
    const out = new OutBuffer();
    write(out, 64, 1);
    const [taken] = out.take();
    write(out, 64, 2);
    expect(taken!.every((byte) => byte === 1)).toBe(true);
  });

  it('gives all bytes in order', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('write' as const), bytes: fc.integer({ min: 1, max: 20_000 }) }),
      fc.record({ kind: fc.constant('pass' as const), bytes: fc.integer({ min: 0, max: 300 }) }),
      fc.record({ kind: fc.constantFrom('take' as const, 'take and reuse' as const), bytes: fc.constant(0) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const out = new OutBuffer();
        const source = Buffer.allocUnsafeSlow(20_000);
        for (let i = 0; i < source.length; i++) source[i] = i * 31;
        let passed = 0;
        const expected: Uint8Array[] = [];
        const got: Uint8Array[] = [];
        let queued = 0;
        for (const [i, { kind, bytes }] of steps.entries()) {
          if (kind === 'write') {
            write(out, bytes, i);
            expected.push(new Uint8Array(bytes).fill(i));
          } else if (kind === 'pass') {
            out.pass(source, passed, passed + bytes);
            expected.push(source.subarray(passed, passed + bytes));
            passed += bytes;
          } else if (kind === 'take') {
            got.push(...out.take());
          } else {
            got.push(...out.take().map((slice) => Uint8Array.from(slice)));
            out.reuse();
          }
          queued = kind.startsWith('take') ? 0 : queued + bytes;
          expect(out.bytes).toBe(queued);
          expect(out.heldBytes).toBeGreaterThanOrEqual(out.bytes);
        }
        got.push(...out.take());
        expect(Buffer.concat(got).equals(Buffer.concat(expected))).toBe(true);
      }),
    );
  });
});
