import { readByteString, writeByteString } from '../byte-string.ts';
import { BASE_MASK, LNK_CONN_CIRCUIT, LNK_CONN_LINKID } from '../command.ts';
import type { Dialect } from '../dialect.ts';
import { DmsgError } from '../dmsg-error.ts';
import { ErrorCode } from '../error-code.ts';
import { formatUuid, parseUuid } from '../uuid.ts';
import type { Frame } from '../wire/frame.ts';
import { readU8, readU16, readU32, writeU16, writeU32 } from '../wire/words.ts';
import { payloadAt, requireBytes } from './bounds.ts';

/**
 * LNK_CONN: a request for spans, with the identity of its sender (protocol.md, "Payloads"). Uuids are canonical texts,
 * labels byte strings.
 */
export interface LnkConn {
  readonly dialect: Dialect;
  readonly mediaId: string;
  /** linkid: pfs_clid, circuit: peer_id. */
  readonly clusterId: string;
  /** linkid only. */
  readonly pfsFsid?: string;
  /** Bit n accepts spans of peer_type n: bits 0..31. */
  readonly peerMaskLo: number;
  /** Bits 32..63. */
  readonly peerMaskHi: number;
  readonly peerType: number;
  /** linkid only, 0 in circuit. */
  readonly pfsType: number;
  readonly protoVersion: number;
  readonly status: number;
  /** linkid only. Signed. */
  readonly dist?: number;
  /** circuit only. */
  readonly rnss?: number;
  /** linkid: label, circuit: peer_label. */
  readonly label: string;
}

/** Size of the payload after the 64-byte header in bytes, as the command word implies. */
export const LNK_CONN_LINKID_BYTES = 448;
export const LNK_CONN_CIRCUIT_BYTES = 320;

// Offsets in the payload: those of protocol.md less 64.
const MEDIA_ID = 0;
const CLUSTER_ID = 16;
const PFS_FSID = 32;
const PEER_MASK = 48;
const PEER_TYPE = 56;
const PFS_TYPE = 57;
const PROTO_VERSION = 58;
const STATUS = 60;
const CIRCUIT_RNSS = 64;
const LINKID_DIST = 72;
const LABEL = 132;
const LINKID_LABEL_BYTES = 256;
const CIRCUIT_LABEL_BYTES = 128;

/** Size of a LNK_CONN's payload in bytes. */
export function lnkConnBytes(dialect: Dialect): number {
  return dialect === 'linkid' ? LNK_CONN_LINKID_BYTES : LNK_CONN_CIRCUIT_BYTES;
}

/**
 * The payload of a LNK_CONN; its command word tells the dialect.
 * @throws DmsgError FIELD: not a LNK_CONN.
 */
export function decodeLnkConn(frame: Frame): LnkConn {
  const base = frame.cmd & BASE_MASK;
  if (base !== LNK_CONN_LINKID && base !== LNK_CONN_CIRCUIT) {
    throw new DmsgError(ErrorCode.FIELD, 'not a LNK_CONN', { cmd: frame.cmd });
  }
  const dialect: Dialect = base === LNK_CONN_LINKID ? 'linkid' : 'circuit';
  return decodeLnkConnPayload(dialect, frame.buf, payloadAt(frame, lnkConnBytes(dialect)));
}

/**
 * As `decodeLnkConn`, from a payload that starts at `off`.
 * @throws DmsgError FIELD: too short.
 */
export function decodeLnkConnPayload(dialect: Dialect, buf: Uint8Array, off: number): LnkConn {
  requireBytes(buf, off, lnkConnBytes(dialect));
  const common = {
    mediaId: formatUuid(buf, off + MEDIA_ID),
    clusterId: formatUuid(buf, off + CLUSTER_ID),
    peerMaskLo: readU32(buf, off + PEER_MASK),
    peerMaskHi: readU32(buf, off + PEER_MASK + 4),
    peerType: readU8(buf, off + PEER_TYPE),
    protoVersion: readU16(buf, off + PROTO_VERSION),
    status: readU32(buf, off + STATUS),
  };
  if (dialect === 'linkid') {
    return {
      dialect,
      ...common,
      pfsFsid: formatUuid(buf, off + PFS_FSID),
      pfsType: readU8(buf, off + PFS_TYPE),
      dist: readU32(buf, off + LINKID_DIST) | 0,
      label: readByteString(buf, off + LABEL, LINKID_LABEL_BYTES),
    };
  }
  return {
    dialect,
    ...common,
    pfsType: 0,
    rnss: readU32(buf, off + CIRCUIT_RNSS),
    label: readByteString(buf, off + LABEL, CIRCUIT_LABEL_BYTES),
  };
}

/**
 * Writes the whole payload (`lnkConnBytes(conn.dialect)` bytes) at `off`; fields that the dialect does not have are
 * left out.
 * @throws DmsgError FIELD: no room; PARAM: a bad uuid or label.
 */
export function encodeLnkConn(conn: LnkConn, buf: Uint8Array, off: number): void {
  const bytes = lnkConnBytes(conn.dialect);
  requireBytes(buf, off, bytes);
  buf.fill(0, off, off + bytes);
  parseUuid(conn.mediaId, buf, off + MEDIA_ID);
  parseUuid(conn.clusterId, buf, off + CLUSTER_ID);
  writeU32(buf, off + PEER_MASK, conn.peerMaskLo);
  writeU32(buf, off + PEER_MASK + 4, conn.peerMaskHi);
  buf[off + PEER_TYPE] = conn.peerType;
  writeU16(buf, off + PROTO_VERSION, conn.protoVersion);
  writeU32(buf, off + STATUS, conn.status);
  if (conn.dialect === 'linkid') {
    if (conn.pfsFsid !== undefined) parseUuid(conn.pfsFsid, buf, off + PFS_FSID);
    buf[off + PFS_TYPE] = conn.pfsType;
    writeU32(buf, off + LINKID_DIST, conn.dist ?? 0);
    writeByteString(buf, off + LABEL, LINKID_LABEL_BYTES, conn.label);
  } else {
    writeU32(buf, off + CIRCUIT_RNSS, conn.rnss ?? 0);
    writeByteString(buf, off + LABEL, CIRCUIT_LABEL_BYTES, conn.label);
  }
}
