import { readByteString, writeByteString } from '../byte-string.ts';
import { formatUuid, parseUuid } from '../uuid.ts';
import type { Frame } from '../wire/frame.ts';
import { readU8, readU16, readU32, writeU16, writeU32 } from '../wire/words.ts';
import { payloadAt, requireBytes } from './bounds.ts';

/** The fields of a slot (protocol.md, "Payloads", LNK_VOLCONF: copy). */
export interface VolconfCopyFields {
  readonly copyId: number;
  readonly inprog: number;
  readonly chainTo: number;
  readonly chainFrom: number;
  /** 1 ENABLED, 2 INPROG. */
  readonly flags: number;
  readonly error: number;
  /** 0x80 round-robin, 0x40 media error, 0x0f priority (15 best). */
  readonly priority: number;
  readonly remotePfsType: number;
  readonly pfsClid: string;
  readonly label: string;
  readonly path: string;
}

/** The copy field of a LNK_VOLCONF as it was received. */
export interface VolconfCopy extends VolconfCopyFields {
  /** The 128 bytes, in memory of their own: a copy whose bytes equal those of the running one changes nothing. */
  readonly raw: Uint8Array;
  /**
   * False if the path's last byte was not 0: such a message is reported and ignored (protocol.md, "The link layer" 3).
   */
  readonly pathTerminated: boolean;
}

/** LNK_VOLCONF: the target that a mount wants for one of its slots. */
export interface Volconf {
  /** Number of the slot. Signed, and perhaps out of range: the caller checks it. */
  readonly index: number;
  readonly mediaId: string;
  readonly copy: VolconfCopy;
}

/** The fields that are needed to write a LNK_VOLCONF. */
export interface VolconfFields {
  readonly index: number;
  readonly mediaId: string;
  readonly copy: VolconfCopyFields;
}

/** Size of the payload after the 64-byte header in bytes, in both dialects. */
export const LNK_VOLCONF_BYTES = 448;
/** Size of the copy in bytes. */
export const VOLCONF_COPY_BYTES = 128;

// Offsets in the payload, which starts with the copy: those of protocol.md less 64.
const COPY_ID = 0;
const INPROG = 1;
const CHAIN_TO = 2;
const CHAIN_FROM = 3;
const FLAGS = 4;
const ERROR = 6;
const PRIORITY = 7;
const REMOTE_PFS_TYPE = 8;
const PFS_CLID = 32;
const LABEL = 48;
const LABEL_BYTES = 16;
const PATH = 64;
const PATH_BYTES = 64;
const INDEX = 128;
const MEDIA_ID = 136;

/**
 * The payload of a LNK_VOLCONF. The caller checks whether index and path are acceptable.
 * @throws DmsgError FIELD: too short.
 */
export function decodeVolconf(frame: Frame): Volconf {
  const { buf } = frame;
  const off = payloadAt(frame, LNK_VOLCONF_BYTES);
  return {
    index: readU32(buf, off + INDEX) | 0,
    mediaId: formatUuid(buf, off + MEDIA_ID),
    copy: decodeVolconfCopy(buf, off),
  };
}

/**
 * The copy field from its 128 bytes at `off`.
 * @throws DmsgError FIELD: too short.
 */
export function decodeVolconfCopy(buf: Uint8Array, off: number): VolconfCopy {
  requireBytes(buf, off, VOLCONF_COPY_BYTES);
  return {
    raw: Uint8Array.prototype.slice.call(buf, off, off + VOLCONF_COPY_BYTES),
    copyId: readU8(buf, off + COPY_ID),
    inprog: readU8(buf, off + INPROG),
    chainTo: readU8(buf, off + CHAIN_TO),
    chainFrom: readU8(buf, off + CHAIN_FROM),
    flags: readU16(buf, off + FLAGS),
    error: readU8(buf, off + ERROR),
    priority: readU8(buf, off + PRIORITY),
    remotePfsType: readU8(buf, off + REMOTE_PFS_TYPE),
    pfsClid: formatUuid(buf, off + PFS_CLID),
    label: readByteString(buf, off + LABEL, LABEL_BYTES),
    path: readByteString(buf, off + PATH, PATH_BYTES),
    pathTerminated: buf[off + PATH + PATH_BYTES - 1] === 0,
  };
}

/**
 * Writes the whole payload (448 bytes) at `off`, from the single fields; `raw` and `pathTerminated` of a decoded copy
 * are not used.
 * @throws DmsgError FIELD: no room; PARAM: a bad uuid or text.
 */
export function encodeVolconf(volconf: VolconfFields, buf: Uint8Array, off: number): void {
  requireBytes(buf, off, LNK_VOLCONF_BYTES);
  buf.fill(0, off, off + LNK_VOLCONF_BYTES);
  const { copy } = volconf;
  buf[off + COPY_ID] = copy.copyId;
  buf[off + INPROG] = copy.inprog;
  buf[off + CHAIN_TO] = copy.chainTo;
  buf[off + CHAIN_FROM] = copy.chainFrom;
  writeU16(buf, off + FLAGS, copy.flags);
  buf[off + ERROR] = copy.error;
  buf[off + PRIORITY] = copy.priority;
  buf[off + REMOTE_PFS_TYPE] = copy.remotePfsType;
  parseUuid(copy.pfsClid, buf, off + PFS_CLID);
  writeByteString(buf, off + LABEL, LABEL_BYTES, copy.label);
  writeByteString(buf, off + PATH, PATH_BYTES, copy.path);
  writeU32(buf, off + INDEX, volconf.index);
  parseUuid(volconf.mediaId, buf, off + MEDIA_ID);
}
