import type { Socket } from 'node:net';
import type { Sealer } from '@spanmesh/dmsg/crypto/cipher';
import { giveBack } from '@spanmesh/dmsg/give-back';
import type { Clock, Timer } from '@spanmesh/runtime/clock';
import { copyOf, isTransient } from '../socket/read-memory.ts';
import { writeNow } from '../socket/write-now.ts';
import type { Tap } from './tap.ts';
import { type PassNotes, TurnBuffer } from './turn-buffer.ts';

/** Looks at whether bytes drain, in the time in which some must: a peer's kernel makes room in steps of up to some 400 KB. */
const STALL_LOOKS = 4;
/** Bytes that a peer must have taken between two looks: less is as good as nothing. */
const MIN_PROGRESS_BYTES = 16 * 1024;
/** Slices of this many bytes and more that are the whole of their memory are given back by hand. */
const BULK_BYTES = 16 * 1024;
/** Most bytes that the socket is given to wait with: when they have left, a slow peer is seen to read. */
const HANDED_BYTES = 64 * 1024;

export interface SendQueueOptions {
  /** Most bytes that may wait once the socket has taken what it takes. */
  readonly limitBytes: number;
  /** How long nothing may drain while bytes wait, in milliseconds; null: for ever. */
  readonly stallMs: number | null;
}

/** Bytes on the wire, of all queues that share the count. */
export interface SentBytes {
  bytesOut: number;
}

/** The connection of a queue. */
export interface SendQueueOwner {
  /** The buffer is not empty any more: flush at the end of this turn. */
  flushLater(): void;
  /** Bytes have drained. */
  drained(): void;
  /** So many bytes wait, other than before. */
  waits?(bytes: number): void;
  /** More bytes wait than may. */
  overLimit(): void;
  /** Nothing has drained for too long. */
  stalled(): void;
  /** What was queued cannot be encrypted, and is lost. */
  onFailed(thrown: unknown): void;
}

/**
 * What waits for one socket. A turn's messages leave in one writev, on the socket's descriptor where it has one; what the kernel does not
 * take at once stays here, counted, until the socket drains. The socket is given a piece at a time, so that a slow peer that reads at
 * all is seen to do so.
 */
export class SendQueue {
  readonly out: TurnBuffer;
  /** Looks on at what is queued; null: nobody does. */
  tap: Tap | null = null;
  /** Bytes taken out of `out` so far, as they go on the wire. */
  bytesOut = 0;
  readonly #options: SendQueueOptions;
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #owner: SendQueueOwner;
  readonly #counts: SentBytes;
  /** null: plaintext. */
  readonly #sealer: Sealer | null;
  #slices: Uint8Array[] = [];
  #next = 0;
  /** Slices before this one hold no more than twice their size. */
  #kept = 0;
  /** Bulk slices that the socket has and the kernel does not, in order. */
  readonly #bulk: Uint8Array[] = [];
  readonly #onWritten = () => {
    const slice = this.#bulk.shift();
    if (slice !== undefined) giveBack(slice);
  };
  #sliceBytes = 0;
  /** What the owner was last told that waits. */
  #told = 0;
  /** What has to come before more is written: the socket's `drain`, or that it has written the piece that it was given. */
  #waitsFor: 'nothing' | 'drain' | 'piece' = 'nothing';
  readonly #onPieceWritten = (error?: Error | null) => {
    if (!error && this.#waitsFor === 'piece') this.#goOn();
  };
  #drainedAt = 0;
  #stallTimer: Timer | null = null;
  readonly #unacknowledged: () => number | null;
  /** What that was at the last look; null: it has drained since, or cannot be told. */
  #lookedAt: number | null = null;

  constructor(
    options: SendQueueOptions,
    deps: {
      socket: Socket;
      clock: Clock;
      owner: SendQueueOwner;
      counts: SentBytes;
      /** Back-pressure on those that pass messages on to it. */
      notes?: PassNotes;
      /** Default: plaintext. */
      sealer?: Sealer | null;
      /** Bytes that the kernel has of it and the peer has not taken; null, and by default: that cannot be told. */
      unacknowledged?: () => number | null;
    },
  ) {
    this.#options = options;
    this.#socket = deps.socket;
    this.#clock = deps.clock;
    this.#owner = deps.owner;
    this.#counts = deps.counts;
    this.#sealer = deps.sealer ?? null;
    this.#unacknowledged = deps.unacknowledged ?? (() => null);
    deps.socket.on('drain', () => {
      if (this.#waitsFor === 'drain') this.#goOn();
    });
    this.out = new TurnBuffer(() => deps.owner.flushLater(), deps.notes ?? null);
  }

  /** Bytes that the kernel has not taken: of this turn, waiting, and in the socket. */
  get bytes(): number {
    return this.out.bytes + this.#sliceBytes + this.#socket.writableLength;
  }

  /** Hands the socket what it takes. */
  flush(): void {
    this.#takeOut();
    this.#write();
    if (this.#tell() > this.#options.limitBytes) this.#owner.overLimit();
  }

  /** Tells the owner if other bytes wait than before, and returns how many do. */
  #tell(): number {
    const { bytes } = this;
    if (bytes !== this.#told) {
      this.#told = bytes;
      this.#owner.waits?.(bytes);
    }
    return bytes;
  }

  #goOn(): void {
    this.#waitsFor = 'nothing';
    this.#lookedAt = null;
    this.#drainedAt = this.#clock.now();
    this.#write();
    this.#tell();
    this.#owner.drained();
  }

  /** Hands the socket everything, however much it has: the connection is ending. */
  flushAll(): void {
    this.#takeOut();
    this.#socket.cork();
    for (const slice of this.#slices.slice(this.#next)) this.#hand(slice);
    this.#socket.uncork();
    this.discard();
  }

  /** Lets go of everything. */
  discard(): void {
    this.out.take();
    this.#slices = [];
    this.#next = 0;
    this.#kept = 0;
    this.#sliceBytes = 0;
    this.#stallTimer?.cancel();
    this.#stallTimer = null;
  }

  get #isBlocked(): boolean {
    return this.#waitsFor !== 'nothing';
  }

  #takeOut(): void {
    const plainBytes = this.out.bytes;
    if (plainBytes === 0) return;
    const plain = this.out.take();
    if (this.tap !== null) this.tap.wrote(plain);
    const taken = this.#sealer === null ? plain : this.#sealed(this.#sealer, plain);
    const bytes = this.#sealer?.sealedBytes(plainBytes) ?? plainBytes;
    if (taken === null) return;
    this.#counts.bytesOut += bytes;
    this.bytesOut += bytes;
    this.#sliceBytes += bytes;
    if (this.#next === this.#slices.length) {
      this.#slices = taken;
      this.#next = 0;
      this.#kept = 0;
    } else {
      for (const slice of taken) this.#slices.push(slice);
    }
  }

  /** What is taken out, encrypted, a turn's messages together; null: it cannot be. */
  #sealed(sealer: Sealer, plain: Uint8Array[]): Uint8Array[] | null {
    try {
      return sealer.sealSlices(plain);
    } catch (error) {
      this.#owner.onFailed(error);
      return null;
    }
  }

  #write(): void {
    if (this.#isBlocked) {
      this.#keepOwn();
      return;
    }
    if (this.#next === this.#slices.length) return;
    const written = writeNow(this.#socket, this.#slices, this.#next);
    if (written < 0) this.#writeBySocket();
    else this.#written(written);
    if (this.#isBlocked) {
      this.#keepOwn();
      this.#drainedAt = this.#clock.now();
      const { stallMs } = this.#options;
      if (stallMs !== null && this.#stallTimer === null) this.#watch(stallMs, stallMs / STALL_LOOKS);
      return;
    }
    this.#slices = [];
    this.#next = 0;
    this.#kept = 0;
    // No `drain` follows, and somebody may wait.
    if (written >= 0) this.#owner.drained();
  }

  /** The kernel has taken so many bytes. The socket is given what comes next, and says when the kernel has that, too. */
  #written(bytes: number): void {
    this.#sliceBytes -= bytes;
    let left = bytes;
    for (let slice = this.#slices[this.#next]; slice !== undefined; slice = this.#slices[this.#next]) {
      if (left < slice.length) {
        this.#handPiece(left === 0 ? slice : slice.subarray(left));
        return;
      }
      left -= slice.length;
      this.#slices[this.#next++] = NOTHING;
      if (isBulk(slice)) giveBack(slice);
    }
  }

  /** `slice`: what is left of the next one. */
  #handPiece(slice: Uint8Array): void {
    const piece = ownOf(slice.subarray(0, HANDED_BYTES));
    if (piece.length < slice.length) this.#slices[this.#next] = slice.subarray(piece.length);
    else this.#slices[this.#next++] = NOTHING;
    this.#sliceBytes -= piece.length;
    this.#waitsFor = 'piece';
    this.#socket.write(piece, this.#onPieceWritten);
  }

  #writeBySocket(): void {
    const socket = this.#socket;
    // Only for several: it costs a third of what writing a small message costs here besides the system call.
    const together = this.#next + 1 < this.#slices.length;
    if (together) socket.cork();
    for (let slice = this.#slices[this.#next]; slice !== undefined; slice = this.#slices[this.#next]) {
      this.#slices[this.#next++] = NOTHING;
      this.#sliceBytes -= slice.length;
      if (this.#hand(slice)) continue;
      this.#waitsFor = 'drain';
      break;
    }
    if (together) socket.uncork();
  }

  /**
   * What has to wait is copied if the next read overwrites it, or if it is less than half of the memory that it keeps alive: a small
   * message would hold the whole read that it came in, and `bytes` would not tell.
   */
  #keepOwn(): void {
    for (let i = Math.max(this.#next, this.#kept); i < this.#slices.length; i++) {
      const slice = this.#slices[i];
      if (slice === undefined) break;
      if (isTransient(slice) || 2 * slice.length < slice.buffer.byteLength) this.#slices[i] = copyOf(slice);
    }
    this.#kept = this.#slices.length;
  }

  /** Memory of bulk data is given back as soon as the kernel has it. */
  #hand(slice: Uint8Array): boolean {
    const own = ownOf(slice);
    if (!isBulk(own)) return this.#socket.write(own);
    this.#bulk.push(own);
    return this.#socket.write(own, this.#onWritten);
  }

  /** One timer while the socket is blocked, not one a drain: busy connections drain thousands of times a second. */
  #watch(stallMs: number, ms: number): void {
    this.#stallTimer = this.#clock.after(ms, () => {
      this.#stallTimer = null;
      if (!this.#isBlocked) return;
      const step = stallMs / STALL_LOOKS;
      const now = this.#clock.now();
      // A kernel with a large buffer has room for more only when a slow peer has taken a third of it.
      if (now - this.#drainedAt >= step && this.#hasProgress()) this.#drainedAt = now;
      const left = this.#drainedAt + stallMs - now;
      if (left <= 0) this.#owner.stalled();
      else this.#watch(stallMs, Math.min(step, left));
    });
  }

  /** Since the last look. More than before is progress, too: the socket could write the rest of what it has. */
  #hasProgress(): boolean {
    const before = this.#lookedAt;
    this.#lookedAt = this.#unacknowledged();
    return before !== null && this.#lookedAt !== null && Math.abs(before - this.#lookedAt) >= MIN_PROGRESS_BYTES;
  }
}

const NOTHING: Uint8Array = Buffer.alloc(0);

/** It is the whole of its memory, and nobody else's. */
function isBulk(slice: Uint8Array): boolean {
  return slice.length >= BULK_BYTES && slice.length === slice.buffer.byteLength;
}

/** The same bytes, in memory that the next read leaves alone. */
function ownOf(slice: Uint8Array): Uint8Array {
  return isTransient(slice) ? copyOf(slice) : slice;
}
