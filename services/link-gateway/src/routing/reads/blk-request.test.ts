import {
  ABORT,
  BLK_CLOSE,
  BLK_ERROR,
  BLK_FLUSH,
  BLK_FREEBLKS,
  BLK_OPEN,
  BLK_READ,
  BLK_WRITE,
  CREATE,
  DBG_SHELL,
  DELETE,
  LNK_ERROR,
  LNK_PING,
} from '@spanmesh/dmsg/command';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import { BLK_IO_BYTES } from '@spanmesh/dmsg/payload/blk';
import { describe, expect, it } from 'vitest';
import { mayWrite, requestOf, requestOfFrame } from './blk-request.ts';
import { EVERYTHING } from './block-range.ts';
import { ioPayload, openPayload } from './blocks-world.fixture.ts';

const PAYLOAD = ioPayload({ offset: 3 * 2 ** 32 + 512, bytes: 100 });
const RANGE = { offsetLo: 512, offsetHi: 3, bytes: 100 };

describe('a request to a node', () => {
  it('is a read of a range, unless it has more beside its payload', () => {
    const read = requestOf(BLK_READ | CREATE, 0, PAYLOAD, 0);
    expect(read).toEqual({ kind: 'read', range: RANGE, payload: Buffer.from(PAYLOAD) });
    const other = { kind: 'other' };
    expect(requestOf(BLK_READ | ABORT, 0, PAYLOAD, 0)).toEqual(other);
    expect(requestOf(BLK_READ, ErrorCode.IO, PAYLOAD, 0)).toEqual(other);
    expect(requestOf(BLK_READ, 0, PAYLOAD, 1)).toEqual(other);
    expect(requestOf(BLK_READ, 0, PAYLOAD.subarray(0, BLK_IO_BYTES - 1), 0)).toEqual(other);
  });

  it('is read from a message, without its core header, and copied', () => {
    const buf = Buffer.concat([Buffer.alloc(3 + 64), PAYLOAD]);
    const frame = { cmd: BLK_READ, error: 0, buf, off: 3, headBytes: 64 + BLK_IO_BYTES, auxPadded: 0 } as never;
    const request = requestOfFrame(frame);
    buf.fill(0);
    expect(request).toEqual({ kind: 'read', range: RANGE, payload: Buffer.from(PAYLOAD) });
  });

  it('is an open that is like others with the same payload, unless it has more beside it', () => {
    const payload = openPayload(1);
    expect(requestOf(BLK_OPEN | CREATE, 0, payload, 0)).toEqual({
      kind: 'open',
      payload: Buffer.from(payload).toString('latin1'),
    });
    const alone = { kind: 'open', payload: null };
    expect(requestOf(BLK_OPEN | DELETE, 0, payload, 0)).toEqual(alone);
    expect(requestOf(BLK_OPEN | ABORT, 0, payload, 0)).toEqual(alone);
    expect(requestOf(BLK_OPEN, 1, payload, 0)).toEqual(alone);
    expect(requestOf(BLK_OPEN, 0, payload, 64)).toEqual(alone);
  });

  it.each([
    ['BLK_WRITE', BLK_WRITE],
    ['BLK_FREEBLKS', BLK_FREEBLKS],
  ])('is a write of its range if it is whole (%s), otherwise of everything', (_name, cmd) => {
    expect(requestOf(cmd | DELETE, 0, PAYLOAD, 0)).toEqual({ kind: 'write', range: RANGE });
    // More data than the range says.
    expect(requestOf(cmd | DELETE, 0, PAYLOAD, 101)).toEqual({ kind: 'write', range: { ...RANGE, bytes: 101 } });
    expect(requestOf(cmd | DELETE, 0, PAYLOAD, 99)).toEqual({ kind: 'write', range: RANGE });
    const everything = { kind: 'write', range: EVERYTHING };
    expect(requestOf(cmd, 0, PAYLOAD, 0)).toEqual(everything);
    expect(requestOf(cmd | DELETE, 0, PAYLOAD.subarray(0, BLK_IO_BYTES - 1), 0)).toEqual(everything);
    expect(requestOf(cmd | DELETE, 0, Buffer.concat([PAYLOAD, PAYLOAD]), 0)).toEqual({ kind: 'write', range: RANGE });
  });

  it('that is unknown may change everything, and some leave all as it is', () => {
    expect(requestOf(DBG_SHELL | DELETE, 0, PAYLOAD, 0)).toEqual({ kind: 'write', range: EVERYTHING });
    for (const cmd of [LNK_ERROR, LNK_PING, BLK_CLOSE, BLK_FLUSH, BLK_ERROR]) {
      expect([requestOf(cmd, 0, PAYLOAD, 0), mayWrite(cmd | DELETE)]).toEqual([{ kind: 'other' }, false]);
    }
    expect([BLK_OPEN, BLK_READ, BLK_WRITE, BLK_FREEBLKS, DBG_SHELL].map(mayWrite)).toEqual([
      false,
      false,
      true,
      true,
      true,
    ]);
  });
});
