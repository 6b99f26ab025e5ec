import { createPrivateKey, createPublicKey } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { credentials, Metadata } from '@grpc/grpc-js';
import type { CryptKeys } from '../peer/crypt.ts';
import { type ConnFields, connBody, connFields, type SpanFields, spanBody, spanFields } from '../peer/payloads.ts';
import {
  CREATE,
  type Dialect,
  encode,
  LNK_CONN,
  LNK_SPAN,
  type Message,
  MessageReader,
  type Outgoing,
} from '../peer/wire.ts';
import { addressesOf, type Target } from './target.ts';

/** Milliseconds between two bursts of an action that is repeated at a rate. */
const TICK_MS = 10;

interface ConnectOptions {
  readonly port: number;
  readonly from?: string;
  /** Does not read from the socket. */
  readonly deaf?: boolean;
}

/** The tools of an attack: connections of the attacker, pacing, and counters. */
export class Attacker {
  readonly target: Target;
  readonly addresses: ReturnType<typeof addressesOf>;
  readonly signal: AbortSignal;
  /** Number of actions that were tried, and of those that the other side has refused or ended. */
  tried = 0;
  stopped = 0;
  readonly #sockets = new Set<Socket>();
  readonly #closers: (() => void)[] = [];

  constructor(target: Target, signal: AbortSignal) {
    this.target = target;
    this.addresses = addressesOf(target);
    this.signal = signal;
  }

  get over(): boolean {
    return this.signal.aborted;
  }

  /** The size of a load: `small` in the short form of the suite, `large` at default limits. */
  load(small: number, large: number): number {
    return this.target.full ? large : small;
  }

  /** Resolves when the turn is over. */
  hold(): Promise<void> {
    return new Promise((resolve) => {
      if (this.over) resolve();
      else this.signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  async pause(ms: number): Promise<void> {
    await pause(ms, undefined, { signal: this.signal }).catch(() => {});
  }

  /**
   * Calls `act` at this rate until the turn is over. Calls missed because something was slow are made up for, but never
   * more than one second's worth.
   */
  async pace(perSecond: number, act: () => unknown): Promise<void> {
    let due = 0;
    let then = performance.now();
    while (!this.over) {
      const now = performance.now();
      due = Math.min(due + ((now - then) * perSecond) / 1000, perSecond);
      then = now;
      for (; due >= 1 && !this.over; due--) {
        this.tried++;
        await act();
      }
      await this.pause(TICK_MS);
    }
  }

  /** Opens a connection; null: it was refused, or the turn is over. */
  connect({ port, from = this.addresses.plain, deaf = false }: ConnectOptions): Promise<Socket | null> {
    return new Promise((resolve) => {
      const socket = connect({ port, host: '127.0.0.1', localAddress: from, allowHalfOpen: true });
      this.#sockets.add(socket);
      socket.once('connect', () => resolve(socket));
      socket.on('error', () => resolve(null));
      socket.once('end', () => socket.end());
      socket.once('close', () => {
        this.#sockets.delete(socket);
        if (!this.over) this.stopped++;
        resolve(null);
      });
      if (!deaf) socket.resume();
    });
  }

  /** A peer of his with an open LNK_CONN; null: it was not let in. */
  async peer(dialect: Dialect, { conn, from, deaf, hear, isThere }: PeerOptions = {}): Promise<HostilePeer | null> {
    const port = (isThere === true ? this.target.there : this.target)[dialect];
    const socket = await this.connect({ port, ...(from && { from }), ...(deaf && { deaf }) });
    if (socket === null) return null;
    const peer = new HostilePeer(socket, dialect, hear);
    if (conn !== null) peer.openConn(conn ?? {});
    return peer;
  }

  /** Registers something to be closed at the end of the turn. */
  onEnd(close: () => void): void {
    this.#closers.push(close);
  }

  /** gRPC metadata of one of the attacker's users; null: without a user. */
  metadata(role: 'read' | 'operate' | null): Metadata {
    const metadata = new Metadata();
    if (role !== null) metadata.set('authorization', `Bearer ${this.target.tokens[role]}`);
    return metadata;
  }

  /** A gRPC client with a TCP connection of its own. */
  client<C extends { close(): void }>(
    Client: new (address: string, security: ReturnType<typeof credentials.createInsecure>, options: object) => C,
  ): C {
    const client = new Client(`127.0.0.1:${this.target.grpc}`, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_http_proxy': 0,
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
    });
    this.onEnd(() => client.close());
    return client;
  }

  get keys(): CryptKeys {
    return { own: createPrivateKey(this.target.key), peer: createPublicKey(this.target.routerKey) };
  }

  /** Closes everything that the attack has opened. */
  end(): void {
    for (const close of this.#closers.splice(0)) close();
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
  }
}

/** How a peer of the attacker connects. */
interface PeerOptions {
  /** Fields of its LNK_CONN; null: it opens none. */
  readonly conn?: Partial<ConnFields> | null;
  readonly from?: string;
  readonly deaf?: boolean;
  /** On the other gateway. */
  readonly isThere?: boolean;
  /** Called for each received message. */
  readonly hear?: (message: Message, peer: HostilePeer) => void;
}

/** A connection on which an attack sends any DMSG messages it wants. */
export class HostilePeer {
  readonly socket: Socket;
  readonly dialect: Dialect;
  #sent = 0;
  #nextId = 0x1000n;

  constructor(socket: Socket, dialect: Dialect, hear?: (message: Message, peer: HostilePeer) => void) {
    this.socket = socket;
    this.dialect = dialect;
    socket.setNoDelay(true);
    if (hear === undefined) return;
    const reader = new MessageReader(dialect, { checkSalt: false, checkZero: 'none' });
    socket.on('data', (chunk) => {
      for (const message of reader.push(chunk)) hear(message, this);
    });
  }

  newId(): bigint {
    this.#nextId += 1n;
    return this.#nextId;
  }

  bytes(message: Outgoing): Buffer {
    return encode(this.dialect, message, (0xabcdef00 | (this.#sent++ & 0xff)) >>> 0);
  }

  /** Sends a message. False: the kernel's buffer is full. */
  send(message: Outgoing): boolean {
    return this.socket.destroyed || this.socket.writableEnded || this.socket.write(this.bytes(message));
  }

  /** Sends messages and waits until there is room for more, or the connection has ended. */
  async sendAll(messages: readonly Outgoing[]): Promise<void> {
    if (this.socket.destroyed || this.socket.writableEnded) return;
    if (this.socket.write(Buffer.concat(messages.map((message) => this.bytes(message))))) return;
    await new Promise<void>((resolve) => {
      this.socket.once('drain', resolve);
      this.socket.once('close', resolve);
    });
  }

  openConn(fields: Partial<ConnFields>): bigint {
    const msgid = this.newId();
    this.send({ cmd: CREATE | LNK_CONN[this.dialect], msgid, body: connBody(this.dialect, connFields(fields)) });
    return msgid;
  }

  /** A LNK_SPAN, to be sent by the caller. */
  span(fields: Partial<SpanFields>): Outgoing & { readonly msgid: bigint } {
    return { cmd: CREATE | LNK_SPAN, msgid: this.newId(), body: spanBody(this.dialect, spanFields(fields)) };
  }
}
