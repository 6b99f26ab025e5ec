import { connect, type Socket } from 'node:net';
import { BASE_MASK, CREATE, DELETE, LNK_ERROR, LNK_SPAN, REPLY, REVTRANS, SIZE_MASK } from '@spanmesh/dmsg/command';
import { type Dialect, type DialectRules, rulesOf } from '@spanmesh/dmsg/dialect';
import { CMD_AT, CORE_HEADER_BYTES, MSGID_AT } from '@spanmesh/dmsg/header';
import { encodeMessage, type Id64 } from '@spanmesh/dmsg/message';
import { encodeLnkConn, lnkConnBytes } from '@spanmesh/dmsg/payload/lnk-conn';
import { encodeLnkSpan, LNK_SPAN_BYTES } from '@spanmesh/dmsg/payload/lnk-span';
import { SaltSequence } from '@spanmesh/dmsg/salt';
import { readU32 } from '@spanmesh/dmsg/words';

const CLUSTER = '00000000-0000-4000-8000-000000000000';
/** peer_type of HAMMER2. */
const HAMMER2 = 3;
const LNK_CONN_MSGID = 1;
const FIRST_SPAN_MSGID = 2;

/** Events of a RehearsalPeer. */
export interface RehearsalPeerHandler {
  /** Messages have been read. */
  onRead(): void;
  /** The connection was lost; not called after `close`. */
  onLost(error: Error): void;
}

export interface RehearsalPeerOptions {
  /** The gateway's port on the loopback. */
  readonly port: number;
  readonly dialect: Dialect;
  /** A number that no other peer has: the media id is made of it. */
  readonly media: number;
}

/**
 * A peer in a rehearsal: has one LNK_CONN, offers nodes and answers what is opened. It reads and writes with a few
 * lines of its own, not with an endpoint: a gateway's endpoints would then have code for two kinds of owners.
 */
export class RehearsalPeer {
  /** Whether the gateway has answered the LNK_CONN. */
  isAnswered = false;
  /** Relays that the gateway has opened, closed ones included. */
  relaysOpened = 0;
  relaysClosed = 0;

  readonly #rules: DialectRules;
  readonly #handler: RehearsalPeerHandler;
  readonly #salts = new SaltSequence();
  readonly #socket: Socket;
  /** The first bytes of a message that has not come whole. */
  #begun: Uint8Array = Buffer.alloc(0);

  constructor({ port, dialect, media }: RehearsalPeerOptions, handler: RehearsalPeerHandler) {
    this.#rules = rulesOf(dialect);
    this.#handler = handler;
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('data', (bytes) => this.#read(bytes));
    this.#socket.on('error', (error) => handler.onLost(error));
    this.#socket.on('end', () => handler.onLost(new Error('the gateway has closed the connection')));
    const payload = new Uint8Array(lnkConnBytes(dialect));
    encodeLnkConn(
      {
        dialect,
        mediaId: uuidOf(media),
        clusterId: CLUSTER,
        pfsFsid: uuidOf(media),
        peerMaskLo: 0xffff_ffff,
        peerMaskHi: 0xffff_ffff,
        peerType: HAMMER2,
        pfsType: 0,
        protoVersion: 1,
        status: 0,
        label: '',
      },
      payload,
      0,
    );
    this.#write(this.#rules.lnkConn | CREATE, { lo: LNK_CONN_MSGID, hi: 0 }, payload);
  }

  /** Offers a node. */
  offer(node: number): void {
    const payload = new Uint8Array(LNK_SPAN_BYTES);
    encodeLnkSpan(
      {
        dialect: this.#rules.dialect,
        clusterId: CLUSTER,
        nodeId: uuidOf(node),
        pfsType: 0,
        peerType: HAMMER2,
        protoVersion: 1,
        status: 0,
        dist: 0,
        rnss: 0,
        mediaBlksize: 0,
        peerLabel: '',
        label: '',
      },
      payload,
      0,
    );
    this.#write(LNK_SPAN | CREATE, { lo: FIRST_SPAN_MSGID + node, hi: 0 }, payload);
  }

  /** Offers a node no longer. */
  withdraw(node: number): void {
    this.#write(LNK_ERROR | DELETE, { lo: FIRST_SPAN_MSGID + node, hi: 0 });
  }

  close(): void {
    this.#socket.removeAllListeners('end').destroy();
  }

  #read(bytes: Uint8Array): void {
    const all = this.#begun.length === 0 ? bytes : Buffer.concat([this.#begun, bytes]);
    let at = 0;
    this.#socket.cork();
    // No message of a gateway to such a peer has aux data.
    while (all.length - at >= CORE_HEADER_BYTES) {
      const cmd = readU32(all, at + CMD_AT);
      const end = at + Math.max(1, cmd & SIZE_MASK) * CORE_HEADER_BYTES;
      if (end > all.length) break;
      this.#take(cmd, { lo: readU32(all, at + MSGID_AT), hi: readU32(all, at + MSGID_AT + 4) });
      at = end;
    }
    this.#socket.uncork();
    this.#begun = all.subarray(at);
    this.#handler.onRead();
  }

  #take(cmd: number, msgid: Id64): void {
    if ((cmd & REPLY) !== 0) {
      if (msgid.lo === LNK_CONN_MSGID && (cmd & CREATE) !== 0) this.isAnswered = true;
    } else if ((cmd & DELETE) !== 0) {
      this.relaysClosed++;
      this.#answer(DELETE, msgid);
    } else if ((cmd & CREATE) !== 0) {
      // It opens relays, and its own LNK_CONN.
      if ((cmd & BASE_MASK) === LNK_SPAN) this.relaysOpened++;
      this.#answer(CREATE, msgid);
    }
  }

  #answer(flag: number, msgid: Id64): void {
    this.#write(LNK_ERROR | flag | REPLY | (this.#rules.stacked ? REVTRANS : 0), msgid);
  }

  #write(cmd: number, msgid: Id64, payload?: Uint8Array): void {
    const salt = this.#salts.next();
    this.#socket.write(encodeMessage({ rules: this.#rules, cmd: cmd >>> 0, msgid, salt, ...(payload && { payload }) }));
  }
}

function uuidOf(number: number): string {
  return `00000000-0000-4000-8000-${number.toString(16).padStart(12, '0')}`;
}
