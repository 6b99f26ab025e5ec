const BLOCK_BYTES = 512;
/** Longest name of a file, bytes: the size of the header's field. */
export const MAX_NAME_BYTES = 100;

/** A file of an archive. */
export interface TarFile {
  /** At most 100 bytes, with `/` between folders. */
  readonly name: string;
  readonly data: Uint8Array;
}

/** An archive in POSIX's format ustar, its files readable for their owner. `seconds`: time of all files, since 1970. */
export function tar(files: readonly TarFile[], seconds: number): Buffer {
  const parts = files.flatMap(({ name, data }) => [
    header({ name, size: data.length, seconds }),
    data,
    Buffer.alloc(-data.length & (BLOCK_BYTES - 1)),
  ]);
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK_BYTES)]);
}

function header({ name, size, seconds }: { name: string; size: number; seconds: number }): Buffer {
  if (Buffer.byteLength(name) > MAX_NAME_BYTES) throw new RangeError(`too long for a name in an archive: ${name}`);
  const block = Buffer.alloc(BLOCK_BYTES);
  const octal = (value: number, at: number, digits: number) => block.write(value.toString(8).padStart(digits, '0'), at);
  block.write(name, 0);
  octal(0o600, 100, 7);
  octal(0, 108, 7);
  octal(0, 116, 7);
  octal(size, 124, 11);
  octal(seconds, 136, 11);
  // The checksum counts its own field as spaces.
  block.fill(' ', 148, 156);
  block.write('0', 156);
  block.write('ustar\0', 257);
  block.write('00', 263);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}
