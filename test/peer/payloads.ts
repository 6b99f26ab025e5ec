import { type Dialect, LNK_CONN } from './wire.ts';

/** Payloads of LNK_CONN and LNK_SPAN in both dialects (protocol.md, "Payloads"), under one set of names. */

export const NIL_UUID = '00000000-0000-0000-0000-000000000000';
export const ALL_TYPES = 0xffffffffffffffffn;
export const PEER = { NONE: 0, ROUTER: 1, BLOCK: 2, HAMMER2: 3, CLIENT: 63 } as const;

/** LNK_CONN. `cluster`: linkid pfs_clid, circuit peer_id. */
export interface ConnFields {
  media: string;
  cluster: string;
  /** linkid only: pfs_fsid. */
  node: string;
  peerMask: bigint;
  peerType: number;
  protoVersion: number;
  label: string;
}

/** LNK_SPAN. `cluster`: linkid pfs_clid, circuit peer_id. `node`: linkid pfs_fsid, circuit pfs_id. */
export interface SpanFields {
  cluster: string;
  node: string;
  pfsType: number;
  peerType: number;
  protoVersion: number;
  status: number;
  /** linkid: signed, circuit: unsigned. */
  dist: number;
  /** circuit only. */
  rnss: number;
  /** circuit only: peer_label. */
  clusterLabel: string;
  /** linkid: label, circuit: pfs_label. */
  nodeLabel: string;
}

export function connFields(fields: Partial<ConnFields>): ConnFields {
  return {
    media: NIL_UUID,
    cluster: NIL_UUID,
    node: NIL_UUID,
    peerMask: ALL_TYPES,
    peerType: PEER.ROUTER,
    protoVersion: 1,
    label: 'peer',
    ...fields,
  };
}

export function spanFields(fields: Partial<SpanFields>): SpanFields {
  return {
    cluster: testUuid(1),
    node: testUuid(2),
    pfsType: 0,
    peerType: PEER.BLOCK,
    protoVersion: 1,
    status: 0,
    dist: 0,
    rnss: 0,
    clusterLabel: '',
    nodeLabel: '',
    ...fields,
  };
}

/**
 * Whether this is the span that a gateway offers nodes on demand, for its own clients and leafs (protocol.md, "Routing,
 * linkid"): a router in no cluster. Its label is the gateway's name.
 */
export function isGatewaySpan({ cluster, peerType }: SpanFields): boolean {
  return cluster === NIL_UUID && peerType === PEER.ROUTER;
}

/** A uuid for tests that begins with this number. */
export function testUuid(number: number): string {
  return `${number.toString(16).padStart(8, '0')}-0a0b-11e4-8a21-01a2b3c4d5e6`;
}

/** Text to the 16 bytes of the DCE layout. */
export function uuidBytes(text: string): Buffer {
  const hex = Buffer.from(text.replaceAll('-', ''), 'hex');
  hex.subarray(0, 4).reverse();
  hex.subarray(4, 6).reverse();
  hex.subarray(6, 8).reverse();
  return hex;
}

/** 16 bytes of the DCE layout to text. */
export function uuidText(bytes: Uint8Array): string {
  const copy = Buffer.from(bytes);
  copy.subarray(0, 4).reverse();
  copy.subarray(4, 6).reverse();
  copy.subarray(6, 8).reverse();
  const hex = copy.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** The extended header of LNK_CONN. Offsets, as in protocol.md, count from the start of the message. */
export function connBody(dialect: Dialect, fields: ConnFields): Buffer {
  const body = Buffer.alloc((LNK_CONN[dialect] & 0xff) * 64 - 64);
  body.set(uuidBytes(fields.media), 64 - 64);
  body.set(uuidBytes(fields.cluster), 80 - 64);
  if (dialect === 'linkid') body.set(uuidBytes(fields.node), 96 - 64);
  body.writeBigUInt64LE(fields.peerMask, 112 - 64);
  body.writeUInt8(fields.peerType, 120 - 64);
  body.writeUInt16LE(fields.protoVersion, 122 - 64);
  body.write(fields.label, 196 - 64, dialect === 'linkid' ? 255 : 127, 'latin1');
  return body;
}

/** The extended header of LNK_SPAN (448 bytes with the core header). */
export function spanBody(dialect: Dialect, fields: SpanFields): Buffer {
  const body = Buffer.alloc(448 - 64);
  body.set(uuidBytes(fields.cluster), 64 - 64);
  body.set(uuidBytes(fields.node), 80 - 64);
  body.writeUInt8(fields.pfsType, 96 - 64);
  body.writeUInt8(fields.peerType, 97 - 64);
  body.writeUInt16LE(fields.protoVersion, 98 - 64);
  body.writeUInt32LE(fields.status, 100 - 64);
  if (dialect === 'linkid') {
    body.writeInt32LE(fields.dist, 112 - 64);
    body.write(fields.nodeLabel, 176 - 64, 255, 'latin1');
  } else {
    body.writeUInt32LE(fields.dist >>> 0, 112 - 64);
    body.writeUInt32LE(fields.rnss >>> 0, 116 - 64);
    body.write(fields.clusterLabel, 176 - 64, 127, 'latin1');
    body.write(fields.nodeLabel, 304 - 64, 127, 'latin1');
  }
  return body;
}

/** The fields of a LNK_SPAN's extended header. */
export function parseSpan(dialect: Dialect, body: Buffer): SpanFields {
  const linkid = dialect === 'linkid';
  return {
    cluster: uuidText(body.subarray(0, 16)),
    node: uuidText(body.subarray(16, 32)),
    pfsType: body.readUInt8(96 - 64),
    peerType: body.readUInt8(97 - 64),
    protoVersion: body.readUInt16LE(98 - 64),
    status: body.readUInt32LE(100 - 64),
    dist: linkid ? body.readInt32LE(112 - 64) : body.readUInt32LE(112 - 64),
    rnss: linkid ? 0 : body.readUInt32LE(116 - 64),
    clusterLabel: linkid ? '' : cString(body, 176 - 64, 128),
    nodeLabel: linkid ? cString(body, 176 - 64, 256) : cString(body, 304 - 64, 128),
  };
}

function cString(body: Buffer, at: number, size: number): string {
  const field = body.subarray(at, at + size);
  const nul = field.indexOf(0);
  if (nul < 0) throw new Error('a string without its NUL');
  return field.toString('latin1', 0, nul);
}
