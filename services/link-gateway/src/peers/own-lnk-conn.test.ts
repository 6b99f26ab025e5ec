import { describe, expect, it } from 'vitest';
import { MARK_BYTES, OwnLnkConn } from './own-lnk-conn.ts';

describe.each([
  ['linkid', 448],
  ['circuit', 320],
] as const)('our LNK_CONN in %s', (dialect, bytes) => {
  const own = new OwnLnkConn(Buffer.alloc(MARK_BYTES, 0xa5));

  it('has the size of a LNK_CONN, and its mark lies behind every field', () => {
    const payload = own.payload(dialect);
    expect(payload).toHaveLength(bytes);
    // protocol.md, "Payloads": 456 and 328 bytes are used, header included.
    const used = (dialect === 'linkid' ? 456 : 328) - 64;
    expect(bytes - MARK_BYTES).toBeGreaterThanOrEqual(used);
  });

  it('is recognised at any offset, and the LNK_CONN of another process is not', () => {
    const buf = Buffer.concat([Buffer.alloc(7, 1), own.payload(dialect), Buffer.alloc(7, 1)]);
    expect(own.isOwn(buf, 7, 7 + bytes)).toBe(true);
    buf[7 + bytes - 1]! ^= 1;
    expect(own.isOwn(buf, 7, 7 + bytes)).toBe(false);
    const other = new OwnLnkConn(Buffer.alloc(MARK_BYTES, 0x5a)).payload(dialect);
    expect(own.isOwn(other, 0, other.length)).toBe(false);
    expect(own.isOwn(Buffer.alloc(bytes), 0, bytes)).toBe(false);
  });
});
