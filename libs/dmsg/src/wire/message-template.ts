import { SIZE_MASK } from '../command.ts';
import { CORE_HEADER_BYTES, HDR_CRC_AT, sealHeader, writeCoreHeader } from './header.ts';
import { viewOf } from './words.ts';

/** A message that is sent many times with different msgids: written and with its CRC, but for msgid and salt. */
export interface MessageTemplate {
  readonly cmd: number;
  /** The whole message; msgid and salt are 0. */
  readonly bytes: Uint8Array;
  /** Its hdr_crc. */
  readonly crc: number;
}

/**
 * A template on the link itself: circuit (linkid: source and target) is 0. `cmd`: as it is sent. `payload`: what
 * follows the core header; the rest of the header is zeros.
 */
export function messageTemplate(cmd: number, payload: Uint8Array): MessageTemplate {
  const headBytes = (cmd & SIZE_MASK) * CORE_HEADER_BYTES;
  const bytes = new Uint8Array(headBytes);
  const view = viewOf(bytes);
  bytes.set(payload, CORE_HEADER_BYTES);
  writeCoreHeader(view, 0, cmd, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  sealHeader(bytes, 0, headBytes, 0, view);
  return { cmd, bytes, crc: view.getInt32(HDR_CRC_AT, true) };
}
