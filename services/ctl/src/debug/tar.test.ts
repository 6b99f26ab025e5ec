import { expect, it } from 'vitest';
import { MAX_NAME_BYTES, tar } from './tar.ts';

// Limits: debug/tar.ts MAX_NAME_BYTES
it('a file has a name of 100 bytes at most', () => {
  const archive = (name: string) => tar([{ name, data: Buffer.from('x') }], 0);
  // Each character takes two bytes.
  const name = 'ü'.repeat(MAX_NAME_BYTES / 2);
  expect(archive(name).toString('utf8', 0, MAX_NAME_BYTES)).toBe(name);
  expect(() => archive(`${name}x`)).toThrow(RangeError);
});
