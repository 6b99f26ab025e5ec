import { SIZE_MASK } from '../command.ts';
import type { DialectRules } from '../dialect.ts';
import { DmsgError } from '../dmsg-error.ts';
import { ErrorCode } from '../error-code.ts';
import { crc32c } from './crc.ts';
import type { Frame } from './frame.ts';
import {
  AUX_BYTES_AT,
  auxField,
  CIRCUIT_AT,
  CMD_AT,
  CORE_HEADER_BYTES,
  HDR_CRC_AT,
  MAX_HEADER_BYTES,
  MSGID_AT,
  padded,
  SALT_AT,
  sealHeader,
  TARGET_AT,
  writeCoreHeader,
} from './header.ts';
import { headerCrcChange } from './header-crc.ts';
import type { MessageTemplate } from './message-template.ts';
import type { Outbox } from './outbox.ts';
import type { SaltSequence } from './salt.ts';

/**
 * Writes the messages of one connection into its outbox, each with the next salt. Parameters are plain numbers, so that
 * nothing is allocated.
 */
export class MessageWriter {
  /** Messages written or passed on. */
  messages = 0;

  readonly #rules: DialectRules;
  readonly #out: Outbox;
  readonly #salts: Pick<SaltSequence, 'next'>;

  constructor(rules: DialectRules, out: Outbox, salts: Pick<SaltSequence, 'next'>) {
    this.#rules = rules;
    this.#out = out;
    this.#salts = salts;
  }

  /**
   * Checks that a message can be written.
   * @throws DmsgError FIELD: the header's size, the payload or the aux data is out of bounds.
   */
  check(cmd: number, payload: Uint8Array | null, aux: Uint8Array | null): void {
    const headBytes = (cmd & SIZE_MASK) * CORE_HEADER_BYTES;
    const payloadBytes = payload === null ? 0 : payload.length;
    const auxBytes = aux === null ? 0 : aux.length;
    // protocol.md, "Message": Limits. We keep to them when sending, too.
    if (
      headBytes < CORE_HEADER_BYTES + payloadBytes ||
      headBytes > MAX_HEADER_BYTES ||
      padded(auxBytes) > this.#rules.auxLimit
    ) {
      throw new DmsgError(ErrorCode.FIELD, 'message out of bounds', { headBytes, payloadBytes, auxBytes });
    }
  }

  /**
   * Writes a new message. `from` and `to` are the 64 bits at offsets 16 and 24, `payload` what follows the core header
   * (the rest of the header is zeros), `aux` unpadded.
   * @throws DmsgError as `check`; nothing was written.
   */
  write(
    cmd: number,
    msgidLo: number,
    msgidHi: number,
    fromLo: number,
    fromHi: number,
    toLo: number,
    toHi: number,
    error: number,
    payload: Uint8Array | null,
    aux: Uint8Array | null,
  ): void {
    this.check(cmd, payload, aux);
    const headBytes = (cmd & SIZE_MASK) * CORE_HEADER_BYTES;
    const payloadBytes = payload === null ? 0 : payload.length;
    const auxBytes = aux === null ? 0 : aux.length;
    const auxPadded = padded(auxBytes);
    const out = this.#out;
    out.reserve(headBytes + auxPadded);
    const buf = out.buf;
    const at = out.at;
    if (payload !== null) buf.set(payload, at + CORE_HEADER_BYTES);
    buf.fill(0, at + CORE_HEADER_BYTES + payloadBytes, at + headBytes);
    let auxCrc = 0;
    if (aux !== null && auxBytes > 0) {
      const auxAt = at + headBytes;
      buf.set(aux, auxAt);
      buf.fill(0, auxAt + auxBytes, auxAt + auxPadded);
      auxCrc = crc32c(buf, auxAt, auxAt + auxPadded);
    }
    const field = auxField(this.#rules.auxUnit, auxBytes);
    const { view } = out;
    writeCoreHeader(view, at, cmd, msgidLo, msgidHi, fromLo, fromHi, toLo, toHi, error, field, auxCrc);
    sealHeader(buf, at, headBytes, this.#salts.next(), view);
    this.messages++;
  }

  /** Writes the message of a template with this msgid. */
  writeLike({ bytes, crc }: MessageTemplate, msgidLo: number, msgidHi: number): void {
    const out = this.#out;
    out.reserve(bytes.length);
    const { view, at } = out;
    out.buf.set(bytes, at);
    const salt = this.#salts.next();
    view.setInt32(at + SALT_AT, salt, true);
    view.setInt32(at + MSGID_AT, msgidLo, true);
    view.setInt32(at + MSGID_AT + 4, msgidHi, true);
    const change = headerCrcChange(bytes.length, salt, msgidLo, msgidHi, 0, 0, 0, 0, 0);
    view.setInt32(at + HDR_CRC_AT, crc ^ change, true);
    this.messages++;
  }

  /**
   * Passes a received message on without a copy: its core header is rewritten in place, and its bytes belong to the
   * outbox from then on. Everything but cmd, msgid, circuit (linkid: source and target), salt and hdr_crc stays as
   * received (protocol.md, "Routing, circuit"), except that aux_bytes is converted to our unit, for messages that come
   * off a trunk or go onto one.
   */
  pass(
    frame: Frame,
    cmd: number,
    msgidLo: number,
    msgidHi: number,
    fromLo: number,
    fromHi: number,
    toLo: number,
    toHi: number,
  ): void {
    const { buf, view, off, headBytes, auxPadded } = frame;
    const { stacked, auxUnit, auxLimit } = this.#rules;
    let { sealed } = frame;
    if (auxPadded !== 0) {
      // protocol.md, "Message": Limits. A trunk accepts more aux data than linkid does.
      if (auxPadded > auxLimit) throw new DmsgError(ErrorCode.FIELD, 'aux data too large', { auxPadded, auxLimit });
      const field = auxUnit === 1 ? frame.auxBytes : auxPadded / auxUnit;
      if (view.getUint32(off + AUX_BYTES_AT, true) !== field) {
        view.setUint32(off + AUX_BYTES_AT, field, true);
        sealed = false;
      }
    }
    view.setInt32(off + CMD_AT, cmd, true);
    view.setInt32(off + MSGID_AT, msgidLo, true);
    view.setInt32(off + MSGID_AT + 4, msgidHi, true);
    view.setInt32(off + CIRCUIT_AT, fromLo, true);
    view.setInt32(off + CIRCUIT_AT + 4, fromHi, true);
    if (!stacked) {
      view.setInt32(off + TARGET_AT, toLo, true);
      view.setInt32(off + TARGET_AT + 4, toHi, true);
    }
    const salt = this.#salts.next();
    if (sealed) {
      const change = headerCrcChange(
        headBytes,
        view.getInt32(off + SALT_AT, true) ^ salt,
        frame.msgidLo ^ msgidLo,
        frame.msgidHi ^ msgidHi,
        frame.circuitLo ^ fromLo,
        frame.circuitHi ^ fromHi,
        stacked ? 0 : frame.targetLo ^ toLo,
        stacked ? 0 : frame.targetHi ^ toHi,
        frame.cmd ^ cmd,
      );
      view.setInt32(off + SALT_AT, salt, true);
      view.setInt32(off + HDR_CRC_AT, view.getInt32(off + HDR_CRC_AT, true) ^ change, true);
    } else {
      sealHeader(buf, off, headBytes, salt, view);
    }
    this.#out.pass(buf, off, off + headBytes + auxPadded);
    this.messages++;
  }

  /**
   * As `pass`, but passes on a copy: the frame stays as it is and may be sent to others, too. The copied bytes, aux_crc
   * included, are the same that `pass` would send.
   */
  passCopy(
    frame: Frame,
    cmd: number,
    msgidLo: number,
    msgidHi: number,
    fromLo: number,
    fromHi: number,
    toLo: number,
    toHi: number,
  ): void {
    const { buf, off, headBytes, auxPadded } = frame;
    const { stacked, auxUnit, auxLimit } = this.#rules;
    if (auxPadded > auxLimit) throw new DmsgError(ErrorCode.FIELD, 'aux data too large', { auxPadded, auxLimit });
    const out = this.#out;
    out.reserve(headBytes + auxPadded);
    const { buf: to, view, at } = out;
    to.set(buf.subarray(off, off + headBytes + auxPadded), at);
    if (auxPadded !== 0) view.setInt32(at + AUX_BYTES_AT, auxUnit === 1 ? frame.auxBytes : auxPadded / auxUnit, true);
    view.setInt32(at + CMD_AT, cmd, true);
    view.setInt32(at + MSGID_AT, msgidLo, true);
    view.setInt32(at + MSGID_AT + 4, msgidHi, true);
    view.setInt32(at + CIRCUIT_AT, fromLo, true);
    view.setInt32(at + CIRCUIT_AT + 4, fromHi, true);
    if (!stacked) {
      view.setInt32(at + TARGET_AT, toLo, true);
      view.setInt32(at + TARGET_AT + 4, toHi, true);
    }
    sealHeader(to, at, headBytes, this.#salts.next(), view);
    this.messages++;
  }
}
