import { SIZE_MASK } from '../command.ts';
import type { DialectRules } from '../dialect.ts';
import { DmsgError } from '../dmsg-error.ts';
import { ErrorCode } from '../error-code.ts';
import { crc32c } from './crc.ts';
import { auxField, CORE_HEADER_BYTES, MAX_HEADER_BYTES, padded, sealHeader, writeCoreHeader } from './header.ts';
import { viewOf } from './words.ts';

/** A 64-bit id as two unsigned halves. */
export interface Id64 {
  readonly lo: number;
  readonly hi: number;
}

/** The fields of one message, by name. Fields left out are 0 or empty. */
export interface MessageFields {
  readonly rules: DialectRules;
  /** Command word with its flags; its low 8 bits are the header's size. */
  readonly cmd: number;
  readonly msgid?: Id64;
  /** linkid: source, circuit: circuit. */
  readonly circuit?: Id64;
  /** linkid: target, circuit: link_verifier. */
  readonly target?: Id64;
  readonly error?: number;
  /** The bytes after the core header, at most the header's size - 64; the rest is zeros. */
  readonly payload?: Uint8Array;
  /** Aux data without padding. */
  readonly aux?: Uint8Array;
  readonly salt: number;
}

const ZERO: Id64 = { lo: 0, hi: 0 };
const NOTHING: Uint8Array = Buffer.alloc(0);

/**
 * A whole message with its CRCs, in memory of its own: for tests, simulations and tools; the hot path writes into an
 * Outbox.
 * @throws DmsgError FIELD: the header's size, the payload or the aux data is out of bounds.
 */
export function encodeMessage(fields: MessageFields): Uint8Array {
  const {
    rules,
    cmd,
    msgid = ZERO,
    circuit = ZERO,
    target = ZERO,
    error = 0,
    payload = NOTHING,
    aux = NOTHING,
  } = fields;
  const headBytes = (cmd & SIZE_MASK) * CORE_HEADER_BYTES;
  if (headBytes === 0 || headBytes > MAX_HEADER_BYTES)
    throw new DmsgError(ErrorCode.FIELD, 'bad header size', { headBytes });
  if (payload.length > headBytes - CORE_HEADER_BYTES) {
    throw new DmsgError(ErrorCode.FIELD, 'payload larger than the header', { headBytes, payloadBytes: payload.length });
  }
  const auxPadded = padded(aux.length);
  if (auxPadded > rules.auxLimit) {
    throw new DmsgError(ErrorCode.FIELD, 'aux data too large', { auxBytes: aux.length, limit: rules.auxLimit });
  }
  const buf = new Uint8Array(headBytes + auxPadded);
  buf.set(payload, CORE_HEADER_BYTES);
  buf.set(aux, headBytes);
  const auxCrc = auxPadded === 0 ? 0 : crc32c(buf, headBytes, buf.length);
  const view = viewOf(buf);
  writeCoreHeader(
    view,
    0,
    cmd,
    msgid.lo,
    msgid.hi,
    circuit.lo,
    circuit.hi,
    target.lo,
    target.hi,
    error,
    auxField(rules.auxUnit, aux.length),
    auxCrc,
  );
  sealHeader(buf, 0, headBytes, fields.salt, view);
  return buf;
}
