import { readByteString, writeByteString } from '../byte-string.ts';
import { type Dialect, rulesOf } from '../dialect.ts';
import { formatUuid, parseUuid } from '../uuid.ts';
import type { Frame } from '../wire/frame.ts';
import { readU8, readU16, readU32, writeU16, writeU32 } from '../wire/words.ts';
import { payloadAt, requireBytes } from './bounds.ts';

/**
 * LNK_SPAN: offers a node of a cluster, at a distance (protocol.md, "Payloads"). Uuids are canonical texts, labels byte
 * strings.
 */
export interface LnkSpan {
  readonly dialect: Dialect;
  /** linkid: pfs_clid, circuit: peer_id. */
  readonly clusterId: string;
  /** linkid: pfs_fsid, circuit: pfs_id. */
  readonly nodeId: string;
  readonly pfsType: number;
  readonly peerType: number;
  readonly protoVersion: number;
  readonly status: number;
  /** linkid: signed, circuit: unsigned. */
  readonly dist: number;
  /** circuit only, 0 in linkid. */
  readonly rnss: number;
  /** circuit only: size of a block device in bytes, 64 bits. */
  readonly mediaBytes?: bigint;
  /** circuit only, 0 in linkid: block size of a block device in bytes. */
  readonly mediaBlksize: number;
  /** circuit only, empty in linkid. */
  readonly peerLabel: string;
  /** linkid: label, circuit: pfs_label. */
  readonly label: string;
}

/** Size of the payload after the 64-byte header in bytes, in both dialects. */
export const LNK_SPAN_BYTES = 384;

// Offsets in the payload: those of protocol.md less 64.
const CLUSTER_ID = 0;
const NODE_ID = 16;
const PFS_TYPE = 32;
const PEER_TYPE = 33;
const PROTO_VERSION = 34;
const STATUS = 36;
const DIST = 48;
const RNSS = 52;
const MEDIA = 56;
const MEDIA_BLKSIZE = 64;
const MEDIA_BYTES = 56;
const LINKID_LABEL = 112;
const LINKID_LABEL_BYTES = 256;
const PEER_LABEL = 112;
const PFS_LABEL = 240;
const CIRCUIT_LABEL_BYTES = 128;

/**
 * The payload of a LNK_SPAN of a connection that speaks `dialect` (the command word is the same in both).
 * @throws DmsgError FIELD: too short.
 */
export function decodeLnkSpan(frame: Frame, dialect: Dialect): LnkSpan {
  return decodeLnkSpanPayload(dialect, frame.buf, payloadAt(frame, LNK_SPAN_BYTES));
}

/**
 * As `decodeLnkSpan`, from a payload that starts at `off`.
 * @throws DmsgError FIELD: too short.
 */
export function decodeLnkSpanPayload(dialect: Dialect, buf: Uint8Array, off: number): LnkSpan {
  requireBytes(buf, off, LNK_SPAN_BYTES);
  const { isDistSigned, spanHasMedia } = rulesOf(dialect).payloads;
  const dist = readU32(buf, off + DIST);
  const common = {
    clusterId: formatUuid(buf, off + CLUSTER_ID),
    nodeId: formatUuid(buf, off + NODE_ID),
    pfsType: readU8(buf, off + PFS_TYPE),
    peerType: readU8(buf, off + PEER_TYPE),
    protoVersion: readU16(buf, off + PROTO_VERSION),
    status: readU32(buf, off + STATUS),
    dist: isDistSigned ? dist | 0 : dist,
  };
  if (!spanHasMedia) {
    return {
      dialect,
      ...common,
      rnss: 0,
      mediaBlksize: 0,
      peerLabel: '',
      label: readByteString(buf, off + LINKID_LABEL, LINKID_LABEL_BYTES),
    };
  }
  return {
    dialect,
    ...common,
    rnss: readU32(buf, off + RNSS),
    mediaBytes: (BigInt(readU32(buf, off + MEDIA + 4)) << 32n) | BigInt(readU32(buf, off + MEDIA)),
    mediaBlksize: readU32(buf, off + MEDIA_BLKSIZE),
    peerLabel: readByteString(buf, off + PEER_LABEL, CIRCUIT_LABEL_BYTES),
    label: readByteString(buf, off + PFS_LABEL, CIRCUIT_LABEL_BYTES),
  };
}

/**
 * Writes the whole payload (384 bytes) at `off`; fields that the dialect does not have are left out.
 * @throws DmsgError FIELD: no room; PARAM: a bad uuid or label.
 */
export function encodeLnkSpan(span: LnkSpan, buf: Uint8Array, off: number): void {
  requireBytes(buf, off, LNK_SPAN_BYTES);
  buf.fill(0, off, off + LNK_SPAN_BYTES);
  parseUuid(span.clusterId, buf, off + CLUSTER_ID);
  parseUuid(span.nodeId, buf, off + NODE_ID);
  buf[off + PFS_TYPE] = span.pfsType;
  buf[off + PEER_TYPE] = span.peerType;
  writeU16(buf, off + PROTO_VERSION, span.protoVersion);
  writeU32(buf, off + STATUS, span.status);
  writeU32(buf, off + DIST, span.dist);
  if (!rulesOf(span.dialect).payloads.spanHasMedia) {
    writeByteString(buf, off + LINKID_LABEL, LINKID_LABEL_BYTES, span.label);
    return;
  }
  writeU32(buf, off + RNSS, span.rnss);
  const mediaBytes = BigInt.asUintN(64, span.mediaBytes ?? 0n);
  writeU32(buf, off + MEDIA, Number(mediaBytes & 0xffffffffn));
  writeU32(buf, off + MEDIA + 4, Number(mediaBytes >> 32n));
  writeU32(buf, off + MEDIA_BLKSIZE, span.mediaBlksize);
  writeByteString(buf, off + PEER_LABEL, CIRCUIT_LABEL_BYTES, span.peerLabel);
  writeByteString(buf, off + PFS_LABEL, CIRCUIT_LABEL_BYTES, span.label);
}

/**
 * The payload of the relay of a LNK_SPAN, made from the span's 384 bytes: dist + 1 (linkid: 1 if dist is negative) and,
 * in circuit, rnss + `rnssAdd` mod 2^32 (protocol.md, "The link layer" 2). Only the fields of protocol.md are copied,
 * labels up to their NUL; the rest is zero, so that old memory that a peer left there goes no further. Media (circuit)
 * are copied as 56 bytes, because their meaning depends on the peer type.
 * @throws DmsgError FIELD: too short.
 */
export function relaySpanPayload(dialect: Dialect, payload: Uint8Array, rnssAdd: number): Uint8Array {
  requireBytes(payload, 0, LNK_SPAN_BYTES);
  const out = new Uint8Array(LNK_SPAN_BYTES);
  // The fields from identities to status follow each other without a gap.
  out.set(payload.subarray(CLUSTER_ID, STATUS + 4), CLUSTER_ID);
  // protocol.md, "The link layer" 2: dist grows at each hop, so that no span goes round a loop for ever.
  const { isDistSigned, spanHasMedia } = rulesOf(dialect).payloads;
  const dist = readU32(payload, DIST);
  writeU32(out, DIST, isDistSigned && isNegative(dist) ? 1 : dist + 1);
  if (!spanHasMedia) {
    copyLabel(payload, out, LINKID_LABEL, LINKID_LABEL_BYTES);
    return out;
  }
  writeU32(out, RNSS, readU32(payload, RNSS) + rnssAdd);
  out.set(payload.subarray(MEDIA, MEDIA + MEDIA_BYTES), MEDIA);
  copyLabel(payload, out, PEER_LABEL, CIRCUIT_LABEL_BYTES);
  copyLabel(payload, out, PFS_LABEL, CIRCUIT_LABEL_BYTES);
  return out;
}

/**
 * Whether a span of a dialect where dist is signed (linkid) has a negative dist: it claims to be nearer than its
 * origin. Such a dist is taken as 0.
 */
export function hasNegativeDist(dialect: Dialect, payload: Uint8Array): boolean {
  return rulesOf(dialect).payloads.isDistSigned && isNegative(readU32(payload, DIST));
}

function isNegative(dist: number): boolean {
  return (dist | 0) < 0;
}

/** Copies a label up to its NUL into a field of zeros, whose last byte stays 0. */
function copyLabel(from: Uint8Array, to: Uint8Array, at: number, size: number): void {
  const last = at + size - 1;
  for (let i = at; i < last && from[i] !== 0; i++) to[i] = readU8(from, i);
}
