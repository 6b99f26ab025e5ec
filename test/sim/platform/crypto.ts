import { theKernel } from './globals.ts';

export * from 'node:crypto';

/** node:crypto's, with random bytes from the process that runs now. */
export function randomBytes(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  theKernel().chance().fill(bytes, 0, size);
  return bytes;
}

/** node:crypto's randomInt, with one or two bounds. */
export function randomInt(min: number, max?: number): number {
  const [from, to] = max === undefined ? [0, min] : [min, max];
  return (
    from +
    theKernel()
      .chance()
      .below(to - from)
  );
}

export function randomUUID(): string {
  const hex = randomBytes(16).toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`;
}

/** Only salts use it. Their pool outlives a simulation, so the bytes are constant. */
export function randomFillSync<T extends ArrayBufferView>(buffer: T): T {
  new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength).fill(0x5a);
  return buffer;
}
