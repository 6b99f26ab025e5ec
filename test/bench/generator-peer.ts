/**
 * The peers of the load generators. They do as little of the protocol as possible, so that the generator is not what is
 * measured: they trust received bytes (no CRC check), and answer only what a router must have answered.
 */
import { connect, type Socket } from 'node:net';
import { crc32c } from '@spanmesh/dmsg/crc';
import type { PlainSink } from '@spanmesh/dmsg/crypto/cipher';
import type { Secured } from '@spanmesh/dmsg-socket/handshake/handshaker';

export type BenchDialect = 'linkid' | 'circuit';

export const CREATE = 0x80000000;
export const DELETE = 0x40000000;
export const REPLY = 0x20000000;
export const REVTRANS = 0x08000000;
export const REVCIRC = 0x04000000;
export const SPAN = 0x1207;
export const ERROR = 0xfff01;
const CONN = { linkid: 0x1108, circuit: 0x1106 };
/** Offset of LNK_CONN's label, in both dialects. */
const CONN_LABEL = 132;
const CONN_BODY = { linkid: 448, circuit: 320 };

/** The spans that a LNK_CONN asks for. */
export interface Asks {
  readonly peerType: number;
  /** linkid: pfs_clid, circuit: peer_id; 16 bytes. */
  readonly cluster: Buffer;
}

/** Called for each received message; `at` is its offset in `buf`, which is not kept. */
export type OnMessage = (peer: GeneratorPeer, buf: Buffer, at: number, cmd: number) => void;

export interface GeneratorPeerOptions {
  /** Default: 127.0.0.1. */
  readonly localAddress?: string;
  /**
   * The spans that the peer asks for: all peer types, none, or those of a cluster for a peer of this type. Default:
   * all.
   */
  readonly takes?: 'all' | 'nothing' | Asks;
  /** Encrypts the connection; default: plaintext. */
  readonly secure?: (socket: Socket) => Promise<Secured>;
}

/** A connection that sends messages in batches and scans what it receives. */
export class GeneratorPeer implements PlainSink {
  readonly dialect: BenchDialect;
  readonly #socket: Socket;
  readonly #onMessage: OnMessage;
  readonly #secured: Secured | null;
  #partial: Buffer | null = null;
  /** Header of a message that has not arrived completely, and the number of its missing bytes. */
  readonly #head = Buffer.alloc(2048);
  #missing = 0;
  #sequence = 0;
  #out = Buffer.allocUnsafe(1 << 16);
  #outBytes = 0;

  private constructor(socket: Socket, dialect: BenchDialect, onMessage: OnMessage, secured: Secured | null) {
    this.#socket = socket;
    this.dialect = dialect;
    this.#onMessage = onMessage;
    this.#secured = secured;
    if (secured === null) socket.on('data', (chunk: Buffer) => this.#scan(chunk));
    else socket.on('data', (chunk: Buffer) => secured.opener.open(chunk, this));
  }

  /**
   * Connects and opens a LNK_CONN that asks for all peer types, for none, or for the spans of a cluster that are meant
   * for a peer of this type.
   */
  static open(
    port: number,
    dialect: BenchDialect,
    label: string,
    onMessage: OnMessage,
    { localAddress = '127.0.0.1', takes = 'all', secure }: GeneratorPeerOptions = {},
  ): Promise<GeneratorPeer> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', localAddress, noDelay: true });
      socket.once('error', reject);
      socket.once('connect', async () => {
        const secured = (await secure?.(socket)) ?? null;
        socket.off('error', reject);
        socket.on('error', (error) => {
          throw error;
        });
        const peer = new GeneratorPeer(socket, dialect, onMessage, secured);
        const body = Buffer.alloc(CONN_BODY[dialect]);
        body.write(label, 0, 16, 'latin1');
        body.write(label, CONN_LABEL, 16, 'latin1');
        body.fill(takes === 'nothing' ? 0 : 0xff, 48, 56);
        body[56] = dialect === 'linkid' ? 1 : 3;
        if (typeof takes === 'object') {
          body[56] = takes.peerType;
          takes.cluster.copy(body, 16);
        }
        peer.send(CONN[dialect] | CREATE, 0x1000, 0, 0, 0, 0, body, 0);
        peer.flush();
        // The router may have spoken right behind its handshake.
        if (secured !== null) secured.opener.open(secured.rest, peer);
        socket.resume();
        resolve(peer);
      });
    });
  }

  /** Appends a message to the batch. Ids are in two halves (lo, hi); `aux` zero bytes follow the header. */
  send(
    cmd: number,
    idLo: number,
    idHi: number,
    aLo: number,
    aHi: number,
    b: number,
    body: Buffer | null,
    aux: number,
    bHi = 0,
  ) {
    const head = (cmd & 0xff) * 64;
    const padded = (aux + 63) & ~63;
    if (this.#outBytes + head + padded > this.#out.length) {
      this.flush();
      if (head + padded > this.#out.length) this.#out = Buffer.allocUnsafe(head + padded);
    }
    const out = this.#out;
    const at = this.#outBytes;
    out.fill(0, at, at + head + padded);
    out[at] = 0x32;
    out[at + 1] = 0x48;
    out[at + 4] = this.#sequence++ & 0xff;
    out.writeUInt32LE(idLo, at + 8);
    out.writeUInt32LE(idHi, at + 12);
    out.writeUInt32LE(aLo, at + 16);
    out.writeUInt32LE(aHi, at + 20);
    out.writeUInt32LE(b, at + 24);
    out.writeUInt32LE(bHi, at + 28);
    out.writeUInt32LE(cmd >>> 0, at + 32);
    if (aux > 0) {
      out.writeUInt32LE(zeroCrc(padded), at + 36);
      out.writeUInt32LE(this.dialect === 'linkid' ? padded / 64 : aux, at + 40);
    }
    body?.copy(out, at + 64);
    out.writeUInt32LE(crc32c(out, at, at + head), at + 60);
    this.#outBytes = at + head + padded;
  }

  /** Sends the batch. */
  flush() {
    if (this.#outBytes === 0) return;
    const plain = this.#out.subarray(0, this.#outBytes);
    this.#socket.write(this.#secured === null ? plain : this.#secured.sealer.seal(plain));
    this.#out = Buffer.allocUnsafe(1 << 16);
    this.#outBytes = 0;
  }

  /** Closes the connection. */
  close() {
    this.#socket.destroy();
  }

  /** Stops reading. */
  pause() {
    this.#socket.pause();
  }

  /** Resumes reading. */
  resume() {
    this.#socket.resume();
  }

  /** Answers the LNK_CONN or LNK_SPAN at `at` and leaves it open. */
  acknowledge(buf: Buffer, at: number) {
    const reply = this.dialect === 'circuit' ? REPLY | REVTRANS : REPLY;
    this.send(ERROR | CREATE | reply, buf.readUInt32LE(at + 8), buf.readUInt32LE(at + 12), 0, 0, 0, null, 0);
  }

  /** Answers the DELETE at `at`. */
  closed(buf: Buffer, at: number) {
    const reply = this.dialect === 'circuit' ? REPLY | REVTRANS : REPLY;
    this.send(ERROR | DELETE | reply, buf.readUInt32LE(at + 8), buf.readUInt32LE(at + 12), 0, 0, 0, null, 0);
  }

  onPlain(plain: Uint8Array) {
    // A copy, because the cipher will overwrite these bytes, and #scan keeps the beginning of an unfinished message.
    this.#scan(Buffer.from(plain));
  }

  #scan(chunk: Buffer) {
    let buf = chunk;
    let at = 0;
    if (this.#missing > 0) {
      // The rest of a message whose header is known: its aux data is skipped.
      at = Math.min(this.#missing, chunk.length);
      this.#missing -= at;
      if (this.#missing > 0) return;
      this.#take(this.#head, 0);
    } else if (this.#partial !== null) {
      buf = Buffer.concat([this.#partial, chunk]);
      this.#partial = null;
    }
    const unit = this.dialect === 'linkid' ? 64 : 1;
    while (buf.length - at >= 64) {
      const head = (buf.readUInt32LE(at + 32) & 0xff) * 64;
      const size = head + ((buf.readUInt32LE(at + 40) * unit + 63) & ~63);
      if (buf[at] !== 0x32 || buf[at + 1] !== 0x48) throw new Error('bad magic from the router');
      if (buf.length - at < size) {
        if (buf.length - at >= head) {
          buf.copy(this.#head, 0, at, at + head);
          this.#missing = size - (buf.length - at);
          at = buf.length;
        }
        break;
      }
      this.#take(buf, at);
      at += size;
    }
    if (at < buf.length) this.#partial = buf.subarray(at);
    this.flush();
  }

  #take(buf: Buffer, at: number) {
    const cmd = buf.readUInt32LE(at + 32);
    const base = cmd & 0xffffff;
    // Everything that the router opens is a LNK_CONN or a LNK_SPAN, and is acknowledged.
    if ((cmd & (CREATE | REPLY)) >> 0 === CREATE >> 0 && (base === SPAN || base === CONN[this.dialect])) {
      this.acknowledge(buf, at);
    }
    this.#onMessage(this, buf, at, cmd);
  }
}

const crcOfZeros = new Map<number, number>();

function zeroCrc(bytes: number): number {
  let crc = crcOfZeros.get(bytes);
  if (crc === undefined) {
    crc = crc32c(Buffer.alloc(bytes), 0, bytes);
    crcOfZeros.set(bytes, crc);
  }
  return crc;
}

/** First byte of the id of the nodes' cluster. */
export const CLUSTER = 0xc1;

/** The payload of a LNK_SPAN for node number `n` of one cluster. */
export function spanBody(dialect: BenchDialect, n: number, cluster = CLUSTER): Buffer {
  const body = Buffer.alloc(384);
  body[0] = cluster;
  body.writeUInt32LE(n, 16);
  body[20] = 0x77;
  body[33] = 3;
  body.write(`node${n}`, dialect === 'linkid' ? 112 : 240, 16, 'latin1');
  return body;
}
