import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BLK_ERROR, BLK_OPEN, BLK_READ, LNK_CONN_CIRCUIT, LNK_CONN_LINKID, LNK_PING, LNK_VOLCONF } from '../command.ts';
import type { Dialect, DialectRules } from '../dialect.ts';
import { CIRCUIT, LINKID } from '../dialect.ts';
import { ErrorCode } from '../error-code.ts';
import type { Frame } from '../wire/frame.ts';
import { errorOf, shell } from '../wire/frames.fixture.ts';
import { FrameReader } from '../wire/framing.ts';
import { encodeMessage } from '../wire/message.ts';
import type { BlkError, BlkIo, BlkOpen } from './blk.ts';
import {
  BLK_ERROR_BYTES,
  decodeBlkError,
  decodeBlkIo,
  decodeBlkOpen,
  encodeBlkError,
  encodeBlkIo,
  encodeBlkOpen,
} from './blk.ts';
import { decodeShellText, encodeShellText, shellAux, shellAuxBytes } from './dbg-shell.ts';
import { decodeLnkConn, decodeLnkConnPayload, encodeLnkConn, type LnkConn, lnkConnBytes } from './lnk-conn.ts';
import type { Volconf } from './lnk-volconf.ts';
import { decodeVolconf, encodeVolconf, LNK_VOLCONF_BYTES } from './lnk-volconf.ts';

/** The result of `decode` for the first message in `bytes`. */
function decoded<T>(rules: DialectRules, bytes: Uint8Array, decode: (frame: Frame) => T): T {
  const results: T[] = [];
  new FrameReader({ rules }).push(bytes, { onFrame: (frame) => results.push(decode(frame)) });
  return results[0]!;
}

const bytesOf = (size: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: size, maxLength: size });

const NIL = '00000000-0000-0000-0000-000000000000';
const lnkConnCommon = {
  mediaId: '01000001-0a0b-11e4-8a21-01a2b3c4d5e6',
  clusterId: '01000002-0a0b-11e4-8a21-01a2b3c4d5e6',
  peerMaskLo: 0x01020304,
  peerMaskHi: 0x05060708,
  peerType: 63,
  protoVersion: 0x1112,
  status: 0x15121314,
  label: 'abc',
};

describe('LNK_CONN', () => {
  it('decodes any bytes to fields that survive encoding and decoding', () => {
    fc.assert(
      fc.property(fc.constantFrom<Dialect>('linkid', 'circuit'), bytesOf(448), (dialect, payload) => {
        const conn = decodeLnkConnPayload(dialect, payload, 0);
        const out = Buffer.alloc(lnkConnBytes(dialect) + 300, 0xee);
        encodeLnkConn(conn, out, 200);
        expect(decodeLnkConnPayload(dialect, out, 200)).toEqual(conn);
        expect([out[199], out[200 + lnkConnBytes(dialect)]]).toEqual([0xee, 0xee]);
        expect(errorOf(() => decodeLnkConnPayload(dialect, out, -1))?.code).toBe(ErrorCode.FIELD);
        expect(errorOf(() => decodeLnkConnPayload(dialect, out, 301))?.code).toBe(ErrorCode.FIELD);
      }),
    );
  });

  it('tells its dialect by its command word', () => {
    const decode = (cmd: number): string =>
      decoded(CIRCUIT, encodeMessage({ rules: CIRCUIT, cmd, salt: 0 }), decodeLnkConn).dialect;
    expect([decode(LNK_CONN_LINKID), decode(LNK_CONN_CIRCUIT)]).toEqual(['linkid', 'circuit']);
    expect(errorOf(() => decode(LNK_PING))?.code).toBe(ErrorCode.FIELD);
    // Also a message of another command that has enough bytes.
    const other = encodeMessage({ rules: CIRCUIT, cmd: LNK_PING | 8, payload: new Uint8Array(448), salt: 0 });
    expect(errorOf(() => decoded(CIRCUIT, other, decodeLnkConn))).toMatchObject({
      code: ErrorCode.FIELD,
      message: expect.stringContaining('not a LNK_CONN'),
    });
  });

  it.each<Dialect>(['linkid', 'circuit'])('is not written where it has no room (%s)', (dialect) => {
    const out = new Uint8Array(lnkConnBytes(dialect) + 8).fill(0xee);
    const conn = decodeLnkConnPayload(dialect, new Uint8Array(448), 0);
    for (const at of [-1, 9]) expect(errorOf(() => encodeLnkConn(conn, out, at))?.code).toBe(ErrorCode.FIELD);
    expect(new Set(out)).toEqual(new Set([0xee]));
    encodeLnkConn(conn, out, 8);
    expect(new Set(out.subarray(0, 8))).toEqual(new Set([0xee]));
  });

  it.each([
    ['linkid', 255],
    ['circuit', 127],
  ] as const)('has a label that ends before the last byte of its field, whatever that is (%s)', (dialect, chars) => {
    const payload = new Uint8Array(lnkConnBytes(dialect)).fill(0x78, 132);
    expect(decodeLnkConnPayload(dialect, payload, 0).label).toBe('x'.repeat(chars));
  });

  it.each<LnkConn>([
    {
      dialect: 'linkid',
      ...lnkConnCommon,
      pfsFsid: '01000003-0a0b-11e4-8a21-01a2b3c4d5e6',
      pfsType: 0x08,
      dist: -2,
    },
    { dialect: 'circuit', ...lnkConnCommon, pfsType: 0, rnss: 0xfffffffe },
  ])('has its fields where protocol.md says ($dialect)', (conn) => {
    const payload = Buffer.alloc(lnkConnBytes(conn.dialect), 0xee);
    encodeLnkConn(conn, payload, 0);
    // Offsets of protocol.md count from the header's start.
    const at = (offset: number, bytes: number): string => payload.toString('hex', offset - 64, offset - 64 + bytes);
    expect(at(64, 4)).toBe('01000001');
    expect(at(80, 4)).toBe('02000001');
    expect(at(112, 8)).toBe('0403020108070605');
    expect([at(120, 1), at(122, 2), at(124, 4)]).toEqual(['3f', '1211', '14131215']);
    expect(at(196, 4)).toBe('61626300');
    const isLinkid = conn.dialect === 'linkid';
    expect(at(96, 4)).toBe(isLinkid ? '03000001' : '00000000');
    expect(at(121, 1)).toBe(isLinkid ? '08' : '00');
    expect(at(128, 4)).toBe(isLinkid ? '00000000' : 'feffffff');
    expect(at(136, 4)).toBe(isLinkid ? 'feffffff' : '00000000');
    expect(decodeLnkConnPayload(conn.dialect, payload, 0)).toEqual(conn);
  });

  it.each<Dialect>(['linkid', 'circuit'])('has zeros for fields that are not given (%s)', (dialect) => {
    const payload = Buffer.alloc(lnkConnBytes(dialect), 0xee);
    encodeLnkConn({ dialect, ...lnkConnCommon, pfsType: 0 }, payload, 0);
    expect(decodeLnkConnPayload(dialect, payload, 0)).toMatchObject(
      dialect === 'linkid' ? { pfsFsid: NIL, dist: 0 } : { rnss: 0 },
    );
  });

  it('has the peer mask in two halves', () => {
    const payload = new Uint8Array(448);
    payload[48] = 0x02;
    payload[55] = 0x80;
    expect(decodeLnkConnPayload('linkid', payload, 0)).toMatchObject({ peerMaskLo: 2, peerMaskHi: 0x80000000 });
  });
});

describe('LNK_VOLCONF', () => {
  const volconf = (payload: Uint8Array): Volconf =>
    decoded(LINKID, encodeMessage({ rules: LINKID, cmd: LNK_VOLCONF, payload, salt: 0 }), decodeVolconf);

  it('decodes any bytes to fields that survive encoding and decoding, and keeps the copy as received', () => {
    fc.assert(
      fc.property(bytesOf(LNK_VOLCONF_BYTES), (payload) => {
        const first = volconf(payload);
        expect(first.copy.raw).toEqual(payload.subarray(0, 128));
        expect(first.copy.pathTerminated).toBe(payload[127] === 0);
        const out = new Uint8Array(LNK_VOLCONF_BYTES);
        encodeVolconf(first, out, 0);
        const { raw: _, pathTerminated: __, ...fields } = first.copy;
        expect(volconf(out)).toMatchObject({ index: first.index, mediaId: first.mediaId, copy: fields });
        const moved = new Uint8Array(LNK_VOLCONF_BYTES + 300).fill(0xee);
        encodeVolconf(first, moved, 200);
        expect(moved.subarray(200, 200 + LNK_VOLCONF_BYTES)).toEqual(out);
        expect([moved[199], moved[200 + LNK_VOLCONF_BYTES]]).toEqual([0xee, 0xee]);
      }),
    );
  });

  it('has a signed index', () => {
    expect(volconf(new Uint8Array(LNK_VOLCONF_BYTES).fill(0xff, 128, 132)).index).toBe(-1);
  });
});

describe('BLK', () => {
  const u32 = fc.integer({ min: 0, max: 0xffffffff });
  const send = (cmd: number, payload: Uint8Array): Uint8Array =>
    encodeMessage({ rules: CIRCUIT, cmd, payload, salt: 0 });

  it('payloads are decoded to the fields that were encoded', () => {
    const io: fc.Arbitrary<BlkIo> = fc.record({
      keyidLo: u32,
      keyidHi: u32,
      offsetLo: u32,
      offsetHi: u32,
      bytes: u32,
      flags: u32,
    });
    fc.assert(
      fc.property(io, u32, bytesOf(BLK_ERROR_BYTES), (fields, modes, random) => {
        const out = new Uint8Array(64).fill(0xee);
        encodeBlkIo(fields, out, 0);
        expect(decoded<BlkIo>(CIRCUIT, send(BLK_READ, out), decodeBlkIo)).toEqual(fields);
        const moved = new Uint8Array(64 + 16).fill(0xee);
        encodeBlkIo(fields, moved, 8);
        expect(moved.subarray(0, 8)).toEqual(new Uint8Array(8).fill(0xee));
        expect(decoded<BlkIo>(CIRCUIT, send(BLK_READ, moved.slice(8, 72)), decodeBlkIo)).toEqual(fields);
        encodeBlkOpen({ modes }, out, 0);
        expect(decoded<BlkOpen>(CIRCUIT, send(BLK_OPEN, out), decodeBlkOpen)).toEqual({ modes });
        const error = decoded<BlkError>(CIRCUIT, send(BLK_ERROR, random), decodeBlkError);
        encodeBlkError(error, random, 0);
        expect(decoded<BlkError>(CIRCUIT, send(BLK_ERROR, random), decodeBlkError)).toEqual(error);
      }),
    );
  });

  it('fields are where the protocol says', () => {
    const words = Uint32Array.from([1, 2, 3, 4, 5, 6, ...Array(10).fill(0)]);
    const io = { keyidLo: 1, keyidHi: 2, offsetLo: 3, offsetHi: 4, bytes: 5, flags: 6 };
    expect(decoded<BlkIo>(CIRCUIT, send(BLK_READ, new Uint8Array(words.buffer)), decodeBlkIo)).toEqual(io);
  });

  it('is refused when the header has no room for it', () => {
    const ping = encodeMessage({ rules: CIRCUIT, cmd: LNK_PING, salt: 0 });
    for (const decode of [decodeBlkOpen, decodeBlkIo, decodeBlkError, decodeVolconf]) {
      expect(errorOf(() => decoded<unknown>(CIRCUIT, ping, decode))?.code).toBe(ErrorCode.FIELD);
    }
  });
});

describe('DBG_SHELL', () => {
  it.each([LINKID, CIRCUIT])('text ends at its NUL ($dialect)', (rules) => {
    expect(decoded(rules, shell(rules, 'tree\0old memory', 0), decodeShellText)).toBe('tree');
    expect(decoded(rules, shell(rules, '', 0), decodeShellText)).toBe('');
    expect(decoded(rules, encodeMessage({ rules, cmd: 0x00100101, salt: 0 }), decodeShellText)).toBe('');
  });

  it('text ends with its aux data if it has no NUL', () => {
    const full = Buffer.alloc(64, 'x');
    expect(
      decoded(LINKID, encodeMessage({ rules: LINKID, cmd: 0x00100101, aux: full, salt: 0 }), decodeShellText),
    ).toBe(full.toString());
    const four = Buffer.from('help');
    expect(
      decoded(CIRCUIT, encodeMessage({ rules: CIRCUIT, cmd: 0x00100101, aux: four, salt: 0 }), decodeShellText),
    ).toBe('help');
  });

  it('text counts its NUL, and its padding is zeros', () => {
    expect(Buffer.from(shellAux('help')).toString('latin1')).toBe('help\0');
    expect(shellAuxBytes('help')).toBe(5);
    const out = Buffer.alloc(70, 0xee);
    encodeShellText('tr\xffee', out, 2, 64);
    expect(out.toString('latin1')).toBe(`\xee\xeetr\xffee${'\0'.repeat(59)}\xee\xee\xee\xee`);
    expect(errorOf(() => shellAux('\u2713'))?.code).toBe(ErrorCode.PARAM);
  });
});
