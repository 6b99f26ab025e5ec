import type { Socket } from 'node:net';
import type { Opener, PlainSink } from '@spanmesh/dmsg/crypto/cipher';
import type { DialectRules } from '@spanmesh/dmsg/dialect';
import { FrameReader, type FrameReaderOptions, type FrameSink } from '@spanmesh/dmsg/framing';
import { giveBack } from '@spanmesh/dmsg/give-back';
import type { Clock } from '@spanmesh/runtime/clock';
import type { CipherPair } from '../handshake/cipher-pair.ts';
import { readWith } from '../socket/read-memory.ts';
import { SendQueue, type SendQueueOptions, type SendQueueOwner, type SentBytes } from './send-queue.ts';
import type { Tap } from './tap.ts';
import type { PassNotes } from './turn-buffer.ts';

/** Whoever speaks DMSG on a socket: takes its messages (`onFrame`), and is told what becomes of it. */
export interface DmsgSocketOwner extends FrameSink, SendQueueOwner {
  /** Bytes have come. False: they are thrown away. */
  beforeRead(): boolean;
  /** So many were taken in, and all messages that they complete; unless `onFailed` was called, which then came before. */
  afterRead(bytes: number): void;
  /** Besides: what came cannot be read, or acting upon it failed. Nothing more is read. */
  onFailed(thrown: unknown): void;
  /** The other side has sent FIN. protocol.md, "Transactions": TCP half-close counts as the end of the link. */
  onFin(): void;
  /** The system says that the connection is broken; `onClose` follows. */
  onBroken(error: NodeJS.ErrnoException): void;
  /** The socket has closed, perhaps without any of the others: the last call. */
  onClose(): void;
}

export interface DmsgSocketOptions extends SendQueueOptions, FrameReaderOptions {}

export interface DmsgSocketDependencies {
  /** Connected; nobody reads it or listens to it. */
  readonly socket: Socket;
  /** As a handshake has left them; null: plaintext. */
  readonly cipher: CipherPair | null;
  readonly clock: Clock;
  readonly owner: DmsgSocketOwner;
  /** Bytes on the wire, of all sockets that share the counts. */
  readonly counts: SentBytes & { bytesIn: number };
  /** Back-pressure on those that pass messages on to it. */
  readonly notes?: PassNotes;
  /** Bytes that the kernel has of a socket and the peer has not taken; null, and by default: that cannot be told. */
  readonly unacknowledged?: (socket: Socket) => number | null;
}

/**
 * DMSG on a socket, for whoever speaks it: what comes is decrypted and cut into messages, what is sent waits in a queue and is
 * encrypted. What the messages mean, and when to read and to end, is up to the owner.
 */
export class DmsgSocket implements PlainSink {
  readonly socket: Socket;
  readonly queue: SendQueue;
  /** Bytes that have come, as they were on the wire. */
  bytesIn = 0;
  readonly #owner: DmsgSocketOwner;
  readonly #counts: { bytesIn: number };
  readonly #reader: FrameReader;
  /** null: plaintext. */
  readonly #opener: Opener | null;
  /** What had come before it was taken over; null: nothing. */
  #held: Uint8Array | null;
  /** Looks on; null: nobody does. */
  #tap: Tap | null = null;

  /** Takes over a connected socket. Reads nothing until `begin`. */
  constructor(options: DmsgSocketOptions, deps: DmsgSocketDependencies) {
    const { cipher, clock, owner, counts, notes, unacknowledged } = deps;
    this.#owner = owner;
    this.#counts = counts;
    const { socket, held } = readWith(deps.socket, (chunk) => this.#read(chunk));
    this.socket = socket;
    this.#held = held;
    this.#reader = new FrameReader(options);
    this.#opener = cipher?.opener ?? null;
    this.queue = new SendQueue(options, {
      socket,
      clock,
      owner,
      counts,
      ...(notes !== undefined && { notes }),
      sealer: cipher?.sealer ?? null,
      ...(unacknowledged !== undefined && { unacknowledged: () => unacknowledged(socket) }),
    });
    socket.on('end', () => owner.onFin());
    socket.on('error', (error) => owner.onBroken(error));
    socket.on('close', () => owner.onClose());
  }

  /** Reads what has come so far, `first` before what the socket holds. More comes after `resume`. */
  begin(first: Uint8Array | null = null): void {
    if (first !== null && first.length > 0) this.#read(first);
    const held = this.#held;
    this.#held = null;
    if (held !== null) this.#read(held);
  }

  /** Its bytes are encrypted. */
  get isEncrypted(): boolean {
    return this.#opener !== null;
  }

  /** Bytes received that no message has been made of yet. */
  get pendingBytes(): number {
    return this.#reader.pendingBytes + (this.#opener?.pendingBytes ?? 0);
  }

  /** The other side's dialect, null while it is unknown. */
  get rules(): DialectRules | null {
    return this.#reader.rules;
  }

  /** As FrameReader.setRules. @throws DmsgError for what was held */
  setRules(rules: DialectRules): void {
    this.#reader.setRules(rules);
  }

  get tap(): Tap | null {
    return this.#tap;
  }

  /** Shows what is read and written from now on; null: to nobody any more. */
  set tap(tap: Tap | null) {
    this.#tap = tap;
    this.queue.tap = tap;
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  /** Makes nothing of what still comes, also of what is being read. */
  stopReading(): void {
    this.#reader.stop();
  }

  /** Hands the socket what is queued. False: FIN was sent before, and what a late message has led to can only be thrown away. */
  flush(): boolean {
    if (this.socket.writableEnded) {
      this.queue.discard();
      return false;
    }
    this.queue.flush();
    return true;
  }

  /** Sends FIN once everything queued is sent. It is read on: the other side's FIN must be seen. */
  finish(): void {
    this.queue.flushAll();
    this.socket.end();
    this.socket.resume();
  }

  /** Closes it once everything queued is sent. */
  closeSoon(): void {
    this.queue.flushAll();
    this.socket.destroySoon();
  }

  /** Closes it at once; what is queued is lost. */
  cut(): void {
    this.queue.discard();
    this.socket.destroy();
  }

  onPlain(plain: Uint8Array): void {
    if (this.#tap !== null) this.#tap.read(plain, this.#reader.pendingBytes);
    this.#reader.push(plain, this.#owner);
  }

  #read(chunk: Uint8Array): void {
    const owner = this.#owner;
    this.#counts.bytesIn += chunk.length;
    this.bytesIn += chunk.length;
    if (!owner.beforeRead()) return;
    try {
      if (this.#opener === null) {
        if (this.#tap !== null) this.#tap.read(chunk, this.#reader.pendingBytes);
        if (this.#reader.push(chunk, owner)) giveBack(chunk);
      } else {
        this.#opener.open(chunk, this);
        giveBack(chunk);
      }
    } catch (error) {
      owner.onFailed(error);
    }
    owner.afterRead(chunk.length);
  }
}
