// A tiny assembler for WebAssembly modules: as much of the binary format (WebAssembly Core Specification 2.0, chapter
// 5) as the chunk kernel needs. Code is written by calling a CodeWriter in the order of the instructions.

export const I32 = 0x7f;
export const I64 = 0x7e;
export const V128 = 0x7b;
export type ValueType = typeof I32 | typeof I64 | typeof V128;

/** Instructions without operands of their own, by their names in the specification. */
const SCALAR = {
  'i32.add': 0x6a,
  'i32.sub': 0x6b,
  'i64.add': 0x7c,
  'i64.or': 0x84,
  'i64.shl': 0x86,
  'i64.extend_i32_u': 0xad,
  return: 0x0f,
} as const;

/** Vector instructions without operands of their own. */
const VECTOR = {
  'i8x16.swizzle': 0x0e,
  'i64x2.splat': 0x12,
  'v128.and': 0x4e,
  'v128.xor': 0x51,
  'v128.any_true': 0x53,
  'i16x8.shr_u': 0x8d,
  'i8x16.relaxed_swizzle': 0x100,
} as const;

/** The code of one function, in the order it is written. Locals are numbered: parameters first. */
export class CodeWriter {
  readonly #params: number;
  readonly #locals: ValueType[] = [];
  readonly #code: number[] = [];

  constructor(params: number) {
    this.#params = params;
  }

  /** A new local variable of the function. */
  local(type: ValueType): number {
    this.#locals.push(type);
    return this.#params + this.#locals.length - 1;
  }

  get(local: number): void {
    this.#code.push(0x20, ...unsigned(local));
  }

  set(local: number): void {
    this.#code.push(0x21, ...unsigned(local));
  }

  /** Sets the local and leaves the value on the stack. */
  tee(local: number): void {
    this.#code.push(0x22, ...unsigned(local));
  }

  i32(value: number): void {
    this.#code.push(0x41, ...signed(value));
  }

  i64(value: number): void {
    this.#code.push(0x42, ...signed(value));
  }

  v128(bytes: readonly number[]): void {
    this.#simd(0x0c);
    this.#code.push(...sixteen(bytes));
  }

  /** Takes an address from the stack and leaves the 16 bytes at address + offset, which is 16-byte aligned. */
  load(offset: number): void {
    this.#simd(0x00);
    this.#code.push(4, ...unsigned(offset));
  }

  /**
   * Takes an address and 16 bytes from the stack and stores the bytes at address + offset, which is 16-byte aligned.
   */
  store(offset: number): void {
    this.#simd(0x0b);
    this.#code.push(4, ...unsigned(offset));
  }

  /**
   * Takes two vectors from the stack and leaves the bytes picked from them: 0..15 from the first, 16..31 from the
   * second.
   */
  shuffle(lanes: readonly number[]): void {
    this.#simd(0x0d);
    this.#code.push(...sixteen(lanes));
  }

  /** Takes a vector and an i32 from the stack and leaves the vector with that lane replaced. */
  replaceLane32(lane: number): void {
    this.#simd(0x1c);
    this.#code.push(lane);
  }

  scalar(name: keyof typeof SCALAR): void {
    this.#code.push(SCALAR[name]);
  }

  vector(name: keyof typeof VECTOR): void {
    this.#simd(VECTOR[name]);
  }

  /** A loop: runs the body, and again as long as the body leaves a number other than 0 on the stack. */
  repeatWhile(body: () => void): void {
    this.#code.push(0x03, 0x40);
    body();
    this.#code.push(0x0d, 0, 0x0b);
  }

  /** Runs the body if the number on the stack is not 0. */
  when(body: () => void): void {
    this.#code.push(0x04, 0x40);
    body();
    this.#code.push(0x0b);
  }

  /** The function as the code section of a module wants it: its locals and its code. */
  bytes(): number[] {
    const body = [...unsigned(this.#locals.length), ...this.#locals.flatMap((type) => [1, type]), ...this.#code, 0x0b];
    return [...unsigned(body.length), ...body];
  }

  #simd(opcode: number): void {
    this.#code.push(0xfd, ...unsigned(opcode));
  }
}

export interface WasmFunction {
  readonly name: string;
  readonly params: readonly ValueType[];
  readonly results: readonly ValueType[];
  readonly code: CodeWriter;
}

/** A module that exports the functions and `memory`, whose size is fixed at `pages` pages of 64 KiB. */
export function assembleModule(pages: number, functions: readonly WasmFunction[]): Uint8Array {
  const types = functions.map((f) => [0x60, ...vector(f.params.map((t) => [t])), ...vector(f.results.map((t) => [t]))]);
  const exports = functions.map((f, index) => [...name(f.name), 0, ...unsigned(index)]);
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, vector(types)),
    ...section(3, vector(functions.map((_, index) => unsigned(index)))),
    ...section(5, vector([[1, ...unsigned(pages), ...unsigned(pages)]])),
    ...section(7, vector([[...name('memory'), 2, 0], ...exports])),
    ...section(10, vector(functions.map((f) => f.code.bytes()))),
  ]);
}

function section(id: number, content: readonly number[]): number[] {
  return [id, ...unsigned(content.length), ...content];
}

function vector(items: readonly (readonly number[])[]): number[] {
  return [...unsigned(items.length), ...items.flat()];
}

function name(text: string): number[] {
  return [...unsigned(text.length), ...Buffer.from(text, 'latin1')];
}

function sixteen(bytes: readonly number[]): readonly number[] {
  if (bytes.length !== 16) throw new RangeError(`a vector has 16 bytes, not ${bytes.length}`);
  return bytes;
}

/** Unsigned LEB128 of an integer from 0 to 2^31 - 1. */
function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return bytes;
}

/** Signed LEB128 of a 32-bit integer. */
function signed(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest < -0x40 || rest > 0x3f; rest >>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest & 0x7f);
  return bytes;
}
