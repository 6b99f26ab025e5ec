import type { Dialect } from '@spanmesh/dmsg/dialect';
import type { Frame } from '@spanmesh/dmsg/frame';
import { CORE_HEADER_BYTES } from '@spanmesh/dmsg/header';
import { LNK_SPAN_BYTES } from '@spanmesh/dmsg/payload/lnk-span';
import { readU8 } from '@spanmesh/dmsg/words';
import { apiDialect, dialectOf } from '@spanmesh/proto/dialect';
import type { LinkId } from '@spanmesh/spantree/ids';
import type { RouteSource } from '../routing/trunks.ts';
import { TRUNK_VERSION } from './limits.ts';

// The trunk's own messages. They use a protocol number that no peer uses. As in all commands, bits 0 to 7 are the
// header size.

/** Opens a route transaction (576 bytes). */
export const ROUTE_OPEN = 0x00e00109;
/** Accepts a route: sent in the route transaction by the gateway of the link (128 bytes). */
export const ROUTE_OPENED = 0x00e00202;
/** One-way: tells how many bytes of a window have been consumed (128 bytes). */
export const CREDIT = 0x00e00302;
/**
 * One-way, the answer to a CREDIT that closes a window: no further message is charged to the window, so its name may be
 * used again (128 bytes).
 */
export const WINDOW_FREED = 0x00e00402;

/** The fields of ROUTE_OPEN. */
export interface RouteOpen {
  readonly link: LinkId;
  readonly dialect: Dialect;
  /** The sender's span (linkid). Its `gateway` is never empty on the wire. */
  readonly source: RouteSource | null;
  /** Window that messages in the other direction are charged to. */
  readonly window: number;
}

/** The fields of CREDIT. */
export interface Credit {
  readonly window: number;
  /** Bytes consumed in this window since it was made. */
  readonly consumed: number;
  /** Bytes that may be on their way in this window from now on. */
  readonly limit: number;
  /** The window is closed: nothing more is counted in it. Its name is not used again before WINDOW_FREED has come. */
  readonly isClosed: boolean;
}

// Offsets in the payloads. Numbers of links are doubles, as in gateway_control.proto.
const VERSION = 0;
/** Numbers of types.proto. */
const DIALECT = 1;
const HAS_SOURCE = 2;
const GATEWAY_LENGTH = 3;
const WINDOW = 4;
const LINK = 8;
const CONSUMED = 8;
/** In CREDIT: 1 if the window is closed. */
const CLOSED = 1;
const LIMIT = 16;
const SOURCE_NUMBER = 16;
const GATEWAY = 24;
const SPAN = 104;
const ROUTE_OPEN_BYTES = SPAN + LNK_SPAN_BYTES;
const GATEWAY_BYTES = SPAN - GATEWAY;

export function encodeRouteOpen({ link, dialect, source, window }: RouteOpen): Uint8Array {
  const payload = Buffer.alloc(ROUTE_OPEN_BYTES);
  payload[VERSION] = TRUNK_VERSION;
  payload[DIALECT] = apiDialect(dialect);
  payload.writeUInt32LE(window, WINDOW);
  payload.writeDoubleLE(link, LINK);
  if (source !== null) {
    payload[HAS_SOURCE] = 1;
    payload[GATEWAY_LENGTH] = payload.write(source.gateway, GATEWAY, GATEWAY_BYTES, 'latin1');
    payload.writeDoubleLE(source.number, SOURCE_NUMBER);
    payload.set(source.payload.subarray(0, LNK_SPAN_BYTES), SPAN);
  }
  return payload;
}

/** Decodes a ROUTE_OPEN; its bytes are copied. null: it is malformed, or of another version. */
export function decodeRouteOpen(frame: Frame): RouteOpen | null {
  const payload = payloadOf(frame);
  if (payload.length < ROUTE_OPEN_BYTES || payload[VERSION] !== TRUNK_VERSION) return null;
  const link = payload.readDoubleLE(LINK);
  const dialect = dialectOf(readU8(payload, DIALECT));
  if (dialect === null || !isNumber(link)) return null;
  const window = payload.readUInt32LE(WINDOW);
  if (payload[HAS_SOURCE] === 0) return { link, dialect, source: null, window };
  const length = readU8(payload, GATEWAY_LENGTH);
  const number = payload.readDoubleLE(SOURCE_NUMBER);
  if (length === 0 || length > GATEWAY_BYTES || !isNumber(number)) return null;
  const gateway = payload.toString('latin1', GATEWAY, GATEWAY + length);
  const span = new Uint8Array(payload.subarray(SPAN, SPAN + LNK_SPAN_BYTES));
  return { link, dialect, source: { gateway, number, payload: span }, window };
}

export function encodeRouteOpened(window: number): Uint8Array {
  const payload = Buffer.alloc(CORE_HEADER_BYTES);
  payload[VERSION] = TRUNK_VERSION;
  payload.writeUInt32LE(window, WINDOW);
  return payload;
}

/** Decodes a ROUTE_OPENED: the window that messages on the route are charged to; null as in `decodeRouteOpen`. */
export function decodeRouteOpened(frame: Frame): number | null {
  const payload = payloadOf(frame);
  return payload[VERSION] === TRUNK_VERSION ? payload.readUInt32LE(WINDOW) : null;
}

export function encodeCredit({ window, consumed, limit, isClosed }: Credit): Uint8Array {
  const payload = Buffer.alloc(CORE_HEADER_BYTES);
  payload[VERSION] = TRUNK_VERSION;
  payload[CLOSED] = isClosed ? 1 : 0;
  payload.writeUInt32LE(window, WINDOW);
  payload.writeDoubleLE(consumed, CONSUMED);
  payload.writeUInt32LE(limit, LIMIT);
  return payload;
}

export function encodeWindowFreed(window: number): Uint8Array {
  return encodeRouteOpened(window);
}

/** Decodes a WINDOW_FREED: the window that was freed; null as in `decodeRouteOpen`. */
export function decodeWindowFreed(frame: Frame): number | null {
  return decodeRouteOpened(frame);
}

/** Decodes a CREDIT; null as in `decodeRouteOpen`. */
export function decodeCredit(frame: Frame): Credit | null {
  const payload = payloadOf(frame);
  if (payload.length < CORE_HEADER_BYTES || payload[VERSION] !== TRUNK_VERSION) return null;
  const consumed = payload.readDoubleLE(CONSUMED);
  if (!isNumber(consumed)) return null;
  const limit = payload.readUInt32LE(LIMIT);
  return { window: payload.readUInt32LE(WINDOW), consumed, limit, isClosed: payload[CLOSED] !== 0 };
}

function payloadOf({ buf, off, headBytes }: Frame): Buffer {
  return Buffer.from(buf.buffer, buf.byteOffset + off + CORE_HEADER_BYTES, headBytes - CORE_HEADER_BYTES);
}

function isNumber(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
