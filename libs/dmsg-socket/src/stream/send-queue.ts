import type { Socket } from 'node:net';
import { ARENA_BYTES } from '@spanmesh/dmsg/arenas';
import type { Sealer } from '@spanmesh/dmsg/crypto/cipher';
import { giveBack } from '@spanmesh/dmsg/give-back';
import type { Clock, Timer } from '@spanmesh/runtime/clock';
import { copyOf, isTransient } from '../socket/read-memory.ts';
import { writeNow } from '../socket/write-now.ts';
import type { Tap } from './tap.ts';
import { type PassNotes, TurnBuffer } from './turn-buffer.ts';

/**
 * How often, within `stallMs`, the queue looks whether bytes drain. Seldom enough for some to be seen: a peer's kernel
 * makes room in steps of up to some 400 KB.
 */
const STALL_LOOKS = 4;
/** Bytes that a peer must have taken between two looks to count as progress. */
const MIN_PROGRESS_BYTES = 16 * 1024;
/**
 * Most bytes that the socket is given at once while the kernel is full. When they have been written, the peer has read
 * something: small pieces make a slow peer's progress visible.
 */
const HANDED_BYTES = 64 * 1024;

export interface SendQueueOptions {
  /** Most bytes that may wait after a flush. */
  readonly limitBytes: number;
  /** How long bytes may wait without any of them draining, in milliseconds; null: for ever. */
  readonly stallMs: number | null;
}

/** Counts bytes on the wire; several queues may share it. */
export interface SentBytes {
  bytesOut: number;
}

/** The connection of a queue. */
export interface SendQueueOwner {
  /** The buffer is not empty any more: flush at the end of this turn. */
  flushLater(): void;
  /** Bytes have drained. */
  drained(): void;
  /** The number of waiting bytes has changed to `bytes`. */
  waits?(bytes: number): void;
  /** More bytes wait than `limitBytes`. */
  overLimit(): void;
  /** Nothing has drained for `stallMs`. */
  stalled(): void;
  /** The queued bytes cannot be encrypted, and are lost. */
  onFailed(thrown: unknown): void;
}

/**
 * The bytes that wait for one socket. A turn's messages leave in one writev, directly on the socket's descriptor where
 * it has one. Bytes that the kernel does not take at once stay here, counted, until the socket drains. The socket gets
 * them a piece at a time, so that the progress of a slow peer is seen.
 */
export class SendQueue {
  readonly out: TurnBuffer;
  /** Sees all plaintext that is queued; null: no tap. */
  tap: Tap | null = null;
  /** Bytes taken out of `out` so far, counted as on the wire. */
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
  /** Slices before this index have been through `#keepOwn`: each keeps alive at most twice its own size. */
  #kept = 0;
  /** Bulk slices that were handed to the socket and that the kernel has not taken yet, in order. */
  readonly #bulk: Uint8Array[] = [];
  readonly #onWritten = () => {
    const slice = this.#bulk.shift();
    if (slice !== undefined) giveBack(slice);
  };
  #sliceBytes = 0;
  /** The number of waiting bytes that the owner was last told. */
  #told = 0;
  /** What waited elsewhere at the last flush. */
  #outside = 0;
  /**
   * What must happen before more is written: the socket's `drain` event, or the end of the write of a piece
   * (`#handPiece`).
   */
  #waitsFor: 'nothing' | 'drain' | 'piece' = 'nothing';
  readonly #onPieceWritten = (error?: Error | null) => {
    if (!error && this.#waitsFor === 'piece') this.#goOn();
  };
  #drainedAt = 0;
  #stallTimer: Timer | null = null;
  readonly #unacknowledged: () => number | null;
  /** Unacknowledged bytes at the last look; null: some have drained since, or the number cannot be told. */
  #lookedAt: number | null = null;

  constructor(
    options: SendQueueOptions,
    deps: {
      socket: Socket;
      clock: Clock;
      owner: SendQueueOwner;
      counts: SentBytes;
      /** Where messages that are passed on into this queue are noted, for back-pressure on their sources. */
      notes?: PassNotes;
      /** Default: plaintext. */
      sealer?: Sealer | null;
      /**
       * Bytes in the kernel's send buffer that the peer has not acknowledged. Returns null where that cannot be told,
       * as does the default.
       */
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

  /**
   * Bytes that the kernel has not taken yet: queued in this turn, waiting (for their turn, or here for the socket), and
   * in the socket.
   */
  get bytes(): number {
    return this.out.bytes + this.out.waitingBytes + this.#sliceBytes + this.#socket.writableLength;
  }

  /** Takes this turn's messages out of `out` and writes as much as the socket takes. */
  flush(): void {
    this.#takeOut();
    this.#write();
    const { waitingBytes } = this.out;
    const isLess = waitingBytes < this.#outside;
    this.#outside = waitingBytes;
    if (this.#tell() > this.#options.limitBytes) this.#owner.overLimit();
    // A `drain` event need not follow, and a caller may be waiting for this queue.
    else if (isLess && !this.#isBlocked) this.#owner.drained();
  }

  /** Tells the owner if the number of waiting bytes has changed, and returns that number. */
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

  /** Hands the socket everything, even more than it wants: the connection is ending. */
  flushAll(): void {
    this.#takeOut();
    this.#socket.cork();
    for (const slice of this.#slices.slice(this.#next)) this.#hand(slice);
    this.#socket.uncork();
    this.discard();
  }

  /** Drops everything that waits. */
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
    if (taken !== plain) this.out.reuse();
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

  /**
   * Encrypts a turn's messages together; null: the sealer threw, and the owner was told. The result is in the chunk
   * kernel's memory, which all queues share: it must be written or copied before another queue can flush.
   */
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
    // There will be no `drain` event, so the callers that wait for this queue are called here.
    if (written < 0) return;
    this.out.reuse();
    this.#owner.drained();
  }

  /**
   * The kernel has taken `bytes` bytes. If a rest is left, the socket is given a piece of it and says when the kernel
   * has taken that, too.
   */
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

  /** Gives the socket the beginning of `slice`, which is the rest of the next slice. */
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
    // cork() only for several slices: it costs a third of what writing a small message costs here apart from the system
    // call.
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
   * Copies slices that have to wait if the next read would overwrite them, or if they are less than half of the memory
   * that they keep alive: a small message would hold the whole read that it came in, and `bytes` would not show that.
   */
  #keepOwn(): void {
    for (let i = Math.max(this.#next, this.#kept); i < this.#slices.length; i++) {
      const slice = this.#slices[i];
      if (slice === undefined) break;
      if (isTransient(slice) || 2 * slice.length < slice.buffer.byteLength) this.#slices[i] = copyOf(slice);
    }
    this.#kept = this.#slices.length;
  }

  /** Writes a slice to the socket. Bulk memory is given back as soon as the kernel has the bytes. */
  #hand(slice: Uint8Array): boolean {
    const own = ownOf(slice);
    if (!isBulk(own)) return this.#socket.write(own);
    this.#bulk.push(own);
    return this.#socket.write(own, this.#onWritten);
  }

  /**
   * Starts the timer of the next look. There is one timer while the socket is blocked, not one for each drain: busy
   * connections drain thousands of times a second.
   */
  #watch(stallMs: number, ms: number): void {
    this.#stallTimer = this.#clock.after(ms, () => {
      this.#stallTimer = null;
      if (!this.#isBlocked) return;
      const step = stallMs / STALL_LOOKS;
      const now = this.#clock.now();
      // `drain` may be rare: a kernel with a large send buffer has room for more only when a slow peer has taken a
      // third of it.
      if (now - this.#drainedAt >= step && this.#hasProgress()) this.#drainedAt = now;
      const left = this.#drainedAt + stallMs - now;
      if (left <= 0) this.#owner.stalled();
      else this.#watch(stallMs, Math.min(step, left));
    });
  }

  /**
   * Whether the peer has taken bytes since the last look. A larger number than before is progress, too: then the socket
   * could write more of its bytes to the kernel.
   */
  #hasProgress(): boolean {
    const before = this.#lookedAt;
    this.#lookedAt = this.#unacknowledged();
    return before !== null && this.#lookedAt !== null && Math.abs(before - this.#lookedAt) >= MIN_PROGRESS_BYTES;
  }
}

const NOTHING: Uint8Array = Buffer.alloc(0);

/**
 * The slice is no arena, being larger, and the whole of its ArrayBuffer, so nobody else uses that memory: it is given
 * back (giveBack) instead of left to the garbage collector.
 */
function isBulk(slice: Uint8Array): boolean {
  return slice.length > ARENA_BYTES && slice.length === slice.buffer.byteLength;
}

/** The same bytes, in memory that the next read does not overwrite. */
function ownOf(slice: Uint8Array): Uint8Array {
  return isTransient(slice) ? copyOf(slice) : slice;
}
