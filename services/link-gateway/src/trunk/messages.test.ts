import { CIRCUIT } from '@spanmesh/dmsg/dialect';
import type { Frame } from '@spanmesh/dmsg/frame';
import { FrameReader } from '@spanmesh/dmsg/framing';
import { encodeMessage } from '@spanmesh/dmsg/message';
import { LNK_SPAN_BYTES } from '@spanmesh/dmsg/payload/lnk-span';
import { describe, expect, it } from 'vitest';
import {
  CREDIT,
  decodeCredit,
  decodeRouteOpen,
  decodeRouteOpened,
  decodeWindowFreed,
  encodeCredit,
  encodeRouteOpen,
  encodeRouteOpened,
  encodeWindowFreed,
  ROUTE_OPEN,
  ROUTE_OPENED,
  WINDOW_FREED,
} from './messages.ts';

/** Decodes a message with this payload, as the other gateway does. */
function read<T>(cmd: number, payload: Uint8Array, decode: (frame: Frame) => T): T {
  const read: T[] = [];
  const onFrame = (frame: Frame) => void read.push(decode(frame));
  new FrameReader({ rules: CIRCUIT }).push(encodeMessage({ rules: CIRCUIT, cmd, payload, salt: 0 }), { onFrame });
  const [first] = read;
  if (first === undefined) throw new Error('no message');
  return first;
}

const hex = (payload: Uint8Array, from: number, to: number) => Buffer.from(payload.subarray(from, to)).toString('hex');
const changed = (payload: Uint8Array, at: number, byte: number) => {
  const copy = Buffer.from(payload);
  copy[at] = byte;
  return copy;
};
/** The double of 7, little-endian; with the exponent of NaN; and negative. */
const SEVEN = '0000000000001c40';
const DOUBLE_END = 7;
const [NOT_A_NUMBER, NEGATIVE] = [0x7f, 0xc0];

describe('ROUTE_OPEN', () => {
  const span = new Uint8Array(LNK_SPAN_BYTES).fill(0xa5);
  const source = { gateway: 'gw-1.0000000a', number: 7, payload: span };
  const open = { link: 7, dialect: 'linkid' as const, source, window: 0x0403_0201 };
  const payload = encodeRouteOpen(open);

  // Gateways of other versions read these bytes.
  it('has its fields where they have always been', () => {
    expect(payload).toHaveLength(104 + LNK_SPAN_BYTES);
    expect(hex(payload, 0, 24)).toBe(`0101010d01020304${SEVEN}${SEVEN}`);
    expect(hex(payload, 24, 104)).toBe(Buffer.from('gw-1.0000000a').toString('hex').padEnd(160, '0'));
    expect(payload.subarray(104)).toEqual(Buffer.from(span));
    expect(hex(encodeRouteOpen({ ...open, dialect: 'circuit', source: null }), 0, 24)).toBe(
      `0102000001020304${SEVEN}0000000000000000`,
    );
  });

  it.each([
    ['of a span', open],
    ['of no span', { ...open, source: null }],
    ['of a gateway whose id is as long as it may be', { ...open, source: { ...source, gateway: 'g'.repeat(80) } }],
    ['of link 0', { ...open, link: 0, source: { ...source, number: 0 } }],
  ])('is read as it was written: %s', (_what, written) => {
    expect(read(ROUTE_OPEN, encodeRouteOpen(written), decodeRouteOpen)).toEqual(written);
  });

  it.each([
    ['another version', 0, 2],
    ['an unknown dialect', 1, 9],
    ['a link that is no number', 8 + DOUBLE_END, NOT_A_NUMBER],
    ['a negative link', 8 + DOUBLE_END, NEGATIVE],
    ['a source that is no number', 16 + DOUBLE_END, NOT_A_NUMBER],
    ['a gateway without an id', 3, 0],
    ['an id that is too long', 3, 81],
  ])('is malformed with %s', (_what, at, byte) => {
    expect(read(ROUTE_OPEN, changed(payload, at, byte), decodeRouteOpen)).toBeNull();
  });

  it('is malformed if it is too short', () => {
    expect(read(ROUTE_OPEN - 1, payload.subarray(0, 448), decodeRouteOpen)).toBeNull();
  });
});

describe.each([
  ['ROUTE_OPENED', ROUTE_OPENED, encodeRouteOpened, decodeRouteOpened],
  ['WINDOW_FREED', WINDOW_FREED, encodeWindowFreed, decodeWindowFreed],
] as const)('%s', (_name, cmd, encode, decode) => {
  it('names a window, and is of no use in another version', () => {
    const payload = encode(0x0403_0201);
    expect(hex(payload, 0, 64)).toBe('0100000001020304'.padEnd(128, '0'));
    expect(read(cmd, payload, decode)).toBe(0x0403_0201);
    expect(read(cmd, changed(payload, 0, 2), decode)).toBeNull();
    expect(read(cmd - 1, new Uint8Array(0), decode)).toBeNull();
  });
});

describe('CREDIT', () => {
  const credit = { window: 0x0403_0201, consumed: 7, limit: 0x0807_0605, isClosed: false };

  it.each([
    [{ ...credit, isClosed: false }, '00'],
    [{ ...credit, isClosed: true }, '01'],
  ])('has its fields where they have always been, and is read as it was written: %j', (written, closed) => {
    const payload = encodeCredit(written);
    expect(hex(payload, 0, 64)).toBe(`01${closed}000001020304${SEVEN}05060708`.padEnd(128, '0'));
    expect(read(CREDIT, payload, decodeCredit)).toEqual(written);
  });

  it.each([
    ['of another version', 0, 2],
    ['whose count is no number', 8 + DOUBLE_END, NOT_A_NUMBER],
    ['whose count is negative', 8 + DOUBLE_END, NEGATIVE],
  ])('means nothing %s', (_what, at, byte) => {
    expect(read(CREDIT, changed(encodeCredit(credit), at, byte), decodeCredit)).toBeNull();
  });

  it('means nothing if it is too short', () => {
    expect(read(CREDIT - 1, new Uint8Array(0), decodeCredit)).toBeNull();
  });
});
