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

/** The code that speaks DMSG on a socket: takes its messages (`onFrame`), and is told what happens to the socket. */
export interface DmsgSocketOwner extends FrameSink, SendQueueOwner {
  /** Bytes have come. False: they are thrown away. */
  beforeRead(): boolean;
  /**
   * `bytes` were taken in, and all messages that they complete were delivered. If that failed, `onFailed` was called
   * before.
   */
  afterRead(bytes: number): void;
  /** The bytes that came cannot be read as messages, or handling one threw. Nothing more is read. */
  onFailed(thrown: unknown): void;
  /** The other side has sent FIN. protocol.md, "Transactions": TCP half-close counts as the end of the link. */
  onFin(): void;
  /** The system says that the connection is broken; `onClose` follows. */
  onBroken(error: NodeJS.ErrnoException): void;
  /** The socket has closed. Always the last call, perhaps the only one. */
  onClose(): void;
}

export interface DmsgSocketOptions extends SendQueueOptions, FrameReaderOptions {}

export interface DmsgSocketDependencies {
  /** A connected socket that nobody reads or listens to. */
  readonly socket: Socket;
  /** The cipher that the handshake has made; null: plaintext. */
  readonly cipher: CipherPair | null;
  readonly clock: Clock;
  readonly owner: DmsgSocketOwner;
  /** Counts bytes on the wire; several sockets may share it. */
  readonly counts: SentBytes & { bytesIn: number };
  /** Where messages that are passed on into this socket's queue are noted, for back-pressure on their sources. */
  readonly notes?: PassNotes;
  /**
   * Bytes in the kernel's send buffer that the peer has not acknowledged. Returns null where that cannot be told, as
   * does the default.
   */
  readonly unacknowledged?: (socket: Socket) => number | null;
}

/**
 * DMSG on a socket. Received bytes are decrypted and cut into messages; messages to send wait in a queue and are
 * encrypted. The owner decides what the messages mean, when to read and when to end.
 */
export class DmsgSocket implements PlainSink {
  readonly socket: Socket;
  readonly queue: SendQueue;
  /** Bytes received so far, counted as on the wire. */
  bytesIn = 0;
  readonly #owner: DmsgSocketOwner;
  readonly #counts: { bytesIn: number };
  readonly #reader: FrameReader;
  /** null: plaintext. */
  readonly #opener: Opener | null;
  /** Bytes that the socket had buffered when it was taken over, until `begin`; null: none. */
  #held: Uint8Array | null;
  /** Sees all plaintext of both directions; null: no tap. */
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

  /** Takes in what has come so far: `first`, then what the socket had buffered. Later bytes come after `resume`. */
  begin(first: Uint8Array | null = null): void {
    if (first !== null && first.length > 0) this.#read(first);
    const held = this.#held;
    this.#held = null;
    if (held !== null) this.#read(held);
  }

  /** Whether the connection is encrypted. */
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

  /** As FrameReader.setRules. @throws DmsgError: the messages that were held break a rule */
  setRules(rules: DialectRules): void {
    this.#reader.setRules(rules);
  }

  get tap(): Tap | null {
    return this.#tap;
  }

  /** Shows the tap all plaintext of both directions from now on; null ends that. */
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

  /** Ignores all bytes that still come, also the rest of those that are being read. */
  stopReading(): void {
    this.#reader.stop();
  }

  /**
   * Hands the socket what is queued. False: FIN has been sent already, so the queued bytes (answers to a late message)
   * are discarded.
   */
  flush(): boolean {
    if (this.socket.writableEnded) {
      this.queue.discard();
      return false;
    }
    this.queue.flush();
    return true;
  }

  /** Sends FIN after everything queued, and goes on reading, in order to see the other side's FIN. */
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
    // Only an untagged stream is decrypted into memory that can be given back.
    if (this.#reader.push(plain, this.#owner)) giveBack(plain);
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
