import { describe, expect, it } from 'vitest';
import { assembleModule, CodeWriter, I32, I64 } from './wasm-assembler.ts';

interface Engine {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    module: object,
  ) => { readonly exports: Readonly<Record<string, (...args: number[]) => unknown>> };
}
const { Module, Instance } = (globalThis as unknown as { WebAssembly: Engine }).WebAssembly;

describe('assembler', () => {
  it.each([0, 1, -1, 63, 64, -64, -65, 8191, 8192, -8192, -8193, 2 ** 31 - 1, -(2 ** 31)])(
    'writes the constant %d',
    (n) => {
      const [i32, i64] = [new CodeWriter(0), new CodeWriter(0)];
      i32.i32(n);
      i64.i64(n);
      const bytes = assembleModule(1, [
        { name: 'i32', params: [], results: [I32], code: i32 },
        { name: 'i64', params: [], results: [I64], code: i64 },
      ]);
      const { exports } = new Instance(new Module(bytes));
      expect(exports.i32!()).toBe(n);
      expect(exports.i64!()).toBe(BigInt(n));
    },
  );

  it('loops, decides and returns', () => {
    // f(n) = n + (n - 1) + … + 1, or -1 if that sum is 15.
    const code = new CodeWriter(1);
    const sum = code.local(I32);
    code.repeatWhile(() => {
      code.get(sum);
      code.get(0);
      code.scalar('i32.add');
      code.set(sum);
      code.get(0);
      code.i32(1);
      code.scalar('i32.sub');
      code.tee(0);
    });
    code.get(sum);
    code.i32(15);
    code.scalar('i32.sub');
    code.when(() => {
      code.get(sum);
      code.scalar('return');
    });
    code.i32(-1);
    const { exports } = new Instance(
      new Module(assembleModule(1, [{ name: 'f', params: [I32], results: [I32], code }])),
    );
    expect(exports.f!(4)).toBe(10);
    expect(exports.f!(5)).toBe(-1);
    expect(exports.f!(300)).toBe(45150);
  });

  it('refuses a vector that does not have 16 bytes', () => {
    expect(() => new CodeWriter(0).v128([1, 2, 3])).toThrow(RangeError);
  });
});
