import { expect, it } from 'vitest';
import { interfaceDescription, MAX_OPTION_BYTES } from './pcapng.ts';

/** Sizes of the options in a block whose own fields take `fieldBytes`; the option that ends the list is left out. */
function optionSizes(block: Buffer, fieldBytes: number): number[] {
  const sizes: number[] = [];
  for (let at = 8 + fieldBytes; block.readUInt16LE(at) !== 0; ) {
    const size = block.readUInt16LE(at + 2);
    sizes.push(size);
    at += 4 + size + (-size & 3);
  }
  return sizes;
}

// Limits: capture/pcapng.ts MAX_OPTION_BYTES
it.each([
  [MAX_OPTION_BYTES, MAX_OPTION_BYTES],
  [MAX_OPTION_BYTES + 1, MAX_OPTION_BYTES],
])('an option of %i bytes has %i in the file, and the next one follows in its place', (given, written) => {
  const block = interfaceDescription({ name: 'x'.repeat(given), description: 'abc' });
  expect(optionSizes(block, 8)).toEqual([written, 3]);
  expect(block.readUInt32LE(4)).toBe(block.length);
  expect(block.readUInt32LE(block.length - 4)).toBe(block.length);
});
