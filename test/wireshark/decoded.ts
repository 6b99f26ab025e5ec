import { latin1 } from '@spanmesh/dmsg/byte-string';
import { BASE_MASK, DBG_SHELL } from '@spanmesh/dmsg/command';
import { type Dialect, rulesOf } from '@spanmesh/dmsg/dialect';
import type { Frame } from '@spanmesh/dmsg/frame';
import { FrameReader } from '@spanmesh/dmsg/framing';
import { commandName, describeCommand } from '@spanmesh/dmsg/names';
import { decodeBlkError, decodeBlkIo, decodeBlkOpen } from '@spanmesh/dmsg/payload/blk';
import { decodeLnkConn } from '@spanmesh/dmsg/payload/lnk-conn';
import { decodeLnkSpan } from '@spanmesh/dmsg/payload/lnk-span';
import { decodeVolconf } from '@spanmesh/dmsg/payload/lnk-volconf';

/** The fields of a message by the dissector's names, as texts like those of tshark. */
export type Decoded = Record<string, string>;

/** Decodes the messages of one direction with our own library. */
export class OwnDecoder {
  readonly #dialect: Dialect;
  readonly #reader: FrameReader;

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
    this.#reader = new FrameReader({ rules: rulesOf(dialect) });
  }

  /** Decodes one complete message. */
  decode(message: Uint8Array): Decoded {
    let decoded: Decoded | null = null;
    // The reader may write into the bytes that it is given, so they are copied.
    this.#reader.push(Uint8Array.from(message), {
      onFrame: (frame) => {
        decoded = { ...core(frame, this.#dialect), ...payload(frame, this.#dialect) };
      },
    });
    if (decoded === null) throw new Error('a recorded message is not whole');
    return decoded;
  }
}

const hex = (hi: number, lo: number): string =>
  `0x${hi.toString(16).padStart(8, '0')}${lo.toString(16).padStart(8, '0')}`;
const hex32 = (value: number): string => `0x${value.toString(16).padStart(8, '0')}`;
const long = (hi: number, lo: number): string => String((BigInt(hi) << 32n) | BigInt(lo));
const decimal = (fields: Record<string, number>): Decoded =>
  Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, String(value)]));

function core(frame: Frame, dialect: Dialect): Decoded {
  const { cmd } = frame;
  const flags = describeCommand(cmd).split('|').slice(1).join('|');
  const circuit = hex(frame.circuitHi, frame.circuitLo);
  const target = hex(frame.targetHi, frame.targetLo);
  return {
    'dmsg.dialect': dialect,
    'dmsg.command': commandName(cmd),
    'dmsg.flag_names': flags,
    'dmsg.cmd': hex32(cmd),
    'dmsg.msgid': hex(frame.msgidHi, frame.msgidLo),
    ...(dialect === 'linkid'
      ? { 'dmsg.source': circuit, 'dmsg.target': target }
      : { 'dmsg.circuit': circuit, 'dmsg.link_verifier': target }),
    ...decimal({ 'dmsg.cmd.size': frame.headBytes / 64, 'dmsg.aux_size': frame.auxBytes, 'dmsg.error': frame.error }),
    'dmsg.aux_crc': hex32(frame.auxCrc),
  };
}

function payload(frame: Frame, dialect: Dialect): Decoded {
  switch (commandName(frame.cmd)) {
    case 'LNK_CONN':
      return lnkConn(frame);
    case 'LNK_SPAN':
      return lnkSpan(frame, dialect);
    case 'LNK_VOLCONF':
      return volconf(frame);
    case 'BLK_OPEN':
    case 'BLK_CLOSE':
      return { 'dmsg.blk.modes': hex32(decodeBlkOpen(frame).modes) };
    case 'BLK_READ':
    case 'BLK_WRITE':
    case 'BLK_FLUSH':
    case 'BLK_FREEBLKS': {
      const io = decodeBlkIo(frame);
      return {
        'dmsg.blk.keyid': hex(io.keyidHi, io.keyidLo),
        'dmsg.blk.offset': long(io.offsetHi, io.offsetLo),
        'dmsg.blk.bytes': String(io.bytes),
        'dmsg.blk.flags': hex32(io.flags),
      };
    }
    case 'BLK_ERROR': {
      const error = decodeBlkError(frame);
      return {
        'dmsg.blk.keyid': hex(error.keyidHi, error.keyidLo),
        'dmsg.blk.resid': String(error.resid),
        'dmsg.blk.text': error.text,
      };
    }
    default:
      return (frame.cmd & BASE_MASK) === DBG_SHELL && frame.auxBytes > 0 ? { 'dmsg.shell.text': shellText(frame) } : {};
  }
}

/** A shell text ends at its first NUL or at the end of the aux data (protocol.md). */
function shellText({ buf, off, headBytes, auxBytes }: Frame): string {
  const text = latin1(buf, off + headBytes, off + headBytes + auxBytes);
  return (text.split('\0')[0] ?? '').replaceAll('\n', '\\n').replaceAll('\t', '\\t');
}

function lnkConn(frame: Frame): Decoded {
  const conn = decodeLnkConn(frame);
  const common = {
    'dmsg.media_id': conn.mediaId,
    'dmsg.peer_mask': hex(conn.peerMaskHi, conn.peerMaskLo),
    'dmsg.status': hex32(conn.status),
    ...decimal({ 'dmsg.peer_type': conn.peerType, 'dmsg.proto_version': conn.protoVersion }),
  };
  if (conn.dialect === 'circuit') {
    const rnss = String(conn.rnss);
    return { ...common, 'dmsg.peer_id': conn.clusterId, 'dmsg.rnss': rnss, 'dmsg.peer_label': conn.label };
  }
  return {
    ...common,
    'dmsg.pfs_clid': conn.clusterId,
    'dmsg.pfs_fsid': conn.pfsFsid ?? '',
    'dmsg.label': conn.label,
    ...decimal({ 'dmsg.pfs_type': conn.pfsType, 'dmsg.dist': conn.dist ?? 0 }),
  };
}

function lnkSpan(frame: Frame, dialect: Dialect): Decoded {
  const span = decodeLnkSpan(frame, dialect);
  const common = {
    'dmsg.status': hex32(span.status),
    ...decimal({
      'dmsg.pfs_type': span.pfsType,
      'dmsg.peer_type': span.peerType,
      'dmsg.proto_version': span.protoVersion,
    }),
  };
  if (dialect === 'linkid') {
    return {
      ...common,
      'dmsg.pfs_clid': span.clusterId,
      'dmsg.pfs_fsid': span.nodeId,
      'dmsg.dist': String(span.dist),
      'dmsg.label': span.label,
    };
  }
  return {
    ...common,
    'dmsg.peer_id': span.clusterId,
    'dmsg.pfs_id': span.nodeId,
    'dmsg.media.bytes': String(span.mediaBytes),
    'dmsg.peer_label': span.peerLabel,
    'dmsg.pfs_label': span.label,
    ...decimal({ 'dmsg.dist_unsigned': span.dist, 'dmsg.rnss': span.rnss, 'dmsg.media.blksize': span.mediaBlksize }),
  };
}

function volconf(frame: Frame): Decoded {
  const { index, mediaId, copy } = decodeVolconf(frame);
  const short = (value: number, digits: number): string => `0x${value.toString(16).padStart(digits, '0')}`;
  return {
    'dmsg.media_id': mediaId,
    'dmsg.volconf.flags': short(copy.flags, 4),
    'dmsg.volconf.priority': short(copy.priority, 2),
    'dmsg.volconf.pfs_clid': copy.pfsClid,
    'dmsg.volconf.label': copy.label,
    'dmsg.volconf.path': copy.path,
    ...decimal({
      'dmsg.volconf.index': index,
      'dmsg.volconf.copyid': copy.copyId,
      'dmsg.volconf.inprog': copy.inprog,
      'dmsg.volconf.chain_to': copy.chainTo,
      'dmsg.volconf.chain_from': copy.chainFrom,
      'dmsg.volconf.error': copy.error,
      'dmsg.volconf.remote_pfs_type': copy.remotePfsType,
    }),
  };
}
