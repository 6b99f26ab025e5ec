import { readByteString, writeByteString } from '../byte-string.ts';
import { type Dialect, rulesOf, rulesOfLnkConn } from '../dialect.ts';
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

// Offsets in the payload: those of protocol.md less 64.
const MEDIA_ID = 0;
const CLUSTER_ID = 16;
const PFS_FSID = 32;
const PEER_MASK = 48;
const PEER_TYPE = 56;
const PFS_TYPE = 57;
const PROTO_VERSION = 58;
const STATUS = 60;
const RNSS = 64;
const DIST = 72;
const LABEL = 132;

/** Size of a LNK_CONN's payload in bytes. */
export function lnkConnBytes(dialect: Dialect): number {
  return rulesOf(dialect).payloads.lnkConnBytes;
}

/**
 * The payload of a LNK_CONN; its command word tells the dialect.
 * @throws DmsgError FIELD: not a LNK_CONN.
 */
export function decodeLnkConn(frame: Frame): LnkConn {
  const rules = rulesOfLnkConn(frame.cmd);
  if (rules === null) throw new DmsgError(ErrorCode.FIELD, 'not a LNK_CONN', { cmd: frame.cmd });
  const { dialect, payloads } = rules;
  return decodeLnkConnPayload(dialect, frame.buf, payloadAt(frame, payloads.lnkConnBytes));
}

/**
 * As `decodeLnkConn`, from a payload that starts at `off`.
 * @throws DmsgError FIELD: too short.
 */
export function decodeLnkConnPayload(dialect: Dialect, buf: Uint8Array, off: number): LnkConn {
  const { lnkConnBytes: bytes, lnkConnLabelBytes: labelBytes, isDistSigned } = rulesOf(dialect).payloads;
  requireBytes(buf, off, bytes);
  const common = {
    mediaId: formatUuid(buf, off + MEDIA_ID),
    clusterId: formatUuid(buf, off + CLUSTER_ID),
    peerMaskLo: readU32(buf, off + PEER_MASK),
    peerMaskHi: readU32(buf, off + PEER_MASK + 4),
    peerType: readU8(buf, off + PEER_TYPE),
    protoVersion: readU16(buf, off + PROTO_VERSION),
    status: readU32(buf, off + STATUS),
    label: readByteString(buf, off + LABEL, labelBytes),
  };
  if (isDistSigned) {
    return {
      dialect,
      ...common,
      pfsFsid: formatUuid(buf, off + PFS_FSID),
      pfsType: readU8(buf, off + PFS_TYPE),
      dist: readU32(buf, off + DIST) | 0,
    };
  }
  return { dialect, ...common, pfsType: 0, rnss: readU32(buf, off + RNSS) };
}

/**
 * Writes the whole payload (`lnkConnBytes(conn.dialect)` bytes) at `off`; fields that the dialect does not have are
 * left out.
 * @throws DmsgError FIELD: no room; PARAM: a bad uuid or label.
 */
export function encodeLnkConn(conn: LnkConn, buf: Uint8Array, off: number): void {
  const { lnkConnBytes: bytes, lnkConnLabelBytes: labelBytes, isDistSigned } = rulesOf(conn.dialect).payloads;
  requireBytes(buf, off, bytes);
  buf.fill(0, off, off + bytes);
  parseUuid(conn.mediaId, buf, off + MEDIA_ID);
  parseUuid(conn.clusterId, buf, off + CLUSTER_ID);
  writeU32(buf, off + PEER_MASK, conn.peerMaskLo);
  writeU32(buf, off + PEER_MASK + 4, conn.peerMaskHi);
  buf[off + PEER_TYPE] = conn.peerType;
  writeU16(buf, off + PROTO_VERSION, conn.protoVersion);
  writeU32(buf, off + STATUS, conn.status);
  writeByteString(buf, off + LABEL, labelBytes, conn.label);
  if (isDistSigned) {
    if (conn.pfsFsid !== undefined) parseUuid(conn.pfsFsid, buf, off + PFS_FSID);
    buf[off + PFS_TYPE] = conn.pfsType;
    writeU32(buf, off + DIST, conn.dist ?? 0);
  } else {
    writeU32(buf, off + RNSS, conn.rnss ?? 0);
  }
}
