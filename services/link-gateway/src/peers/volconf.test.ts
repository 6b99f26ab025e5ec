import { describe, expect, it } from 'vitest';
import { volconfCopy, volconfFault, volconfIndex } from './volconf.ts';

/** The payloads start at an unaligned offset, as they do in a read buffer. */
const AT = 3;

function payload(index: number, path: string, lastByte = 0): Buffer {
  const buf = Buffer.alloc(AT + 448);
  buf.write(path, AT + 64, 'latin1');
  buf[AT + 127] = lastByte;
  buf.writeInt32LE(index, AT + 128);
  return buf;
}

describe('LNK_VOLCONF', () => {
  it.each([0, 1, 255])('is good with index %i', (index) => {
    const buf = payload(index, 'span:host');
    expect(volconfFault(buf, AT)).toBeNull();
    expect(volconfIndex(buf, AT)).toBe(index);
    expect(volconfCopy(buf, AT).equals(buf.subarray(AT, AT + 128))).toBe(true);
  });

  // Limits: link-gateway/src/limits.ts VOLCONF_SLOTS
  it.each([-1, 256, 2 ** 31 - 1, -(2 ** 31)])('is bad with index %i', (index) => {
    expect(volconfFault(payload(index, 'span:host'), AT)).toBe('index');
  });

  it('is bad without a path, and with a path that is not terminated', () => {
    expect(volconfFault(payload(0, ''), AT)).toBe('empty-path');
    expect(volconfFault(payload(0, 'x'.repeat(63), 65), AT)).toBe('unterminated-path');
    expect(volconfFault(payload(0, 'x'.repeat(63)), AT)).toBeNull();
  });

  it('is copied, not looked at in place', () => {
    const buf = payload(0, 'span:host');
    const copy = volconfCopy(buf, AT);
    buf.fill(0);
    expect(copy.toString('latin1', 64, 73)).toBe('span:host');
  });
});
