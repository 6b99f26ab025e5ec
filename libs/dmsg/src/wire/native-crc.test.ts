import { describe, expect, it } from 'vitest';
import { crc32cByTables } from './crc.ts';
import { nativeCrc32c } from './native-crc.ts';

describe('nativeCrc32c', () => {
  it('exists on the systems that the project is developed on, and agrees with the tables', () => {
    const bytes = Uint8Array.from({ length: 1000 }, (_, i) => (i * 7) & 0xff);
    expect(nativeCrc32c).not.toBeNull();
    expect((nativeCrc32c?.(bytes.subarray(100), crc32cByTables(bytes, 0, 100)) ?? 0) >>> 0).toBe(
      crc32cByTables(bytes, 0, 1000),
    );
  });
});
