import { ARENA_BYTES, ARENAS, type Arena, type Arenas } from './arenas.ts';
import type { Outbox } from './outbox.ts';
import { viewOf } from './words.ts';

/**
 * Size of the first arena of a turn in bytes, if none is kept from turns before: enough for a few small messages, which
 * is all that most connections send in a turn. Further ones double up to ARENA_BYTES.
 */
const FIRST_ARENA_BYTES = 1024;

const NOTHING: Uint8Array = Buffer.alloc(0);
const NO_VIEW = viewOf(NOTHING);

/**
 * Messages waiting for a socket, in order: written ones in arenas that this buffer allocates, passed ones where they
 * are. Messages that are neighbours in memory leave as one slice. The bytes that `take` returned are not written to
 * again before `reuse`, and an empty OutBuffer keeps no memory.
 */
export class OutBuffer implements Outbox {
  /** The arena of the last `reserve`. */
  buf: Uint8Array = NOTHING;
  view: DataView = NO_VIEW;
  at = 0;
  /** Bytes that wait elsewhere to be written here: not among `bytes`. */
  waitingBytes = 0;

  #arenaUsed = 0;
  #nextArena = FIRST_ARENA_BYTES;
  #bytes = 0;
  #heldBytes = 0;
  /** The memory of the last `pass`, so that a run of slices of it is counted once. */
  #passedMemory: ArrayBufferLike | null = null;
  /**
   * The buffer of the last `pass`. Reading `buffer` of a Uint8Array is a call into the engine, so it is read once for a
   * run of messages out of one read.
   */
  #passed: Uint8Array | null = null;

  readonly #pool: Arenas;
  /** Arenas that hold what is queued, and those that hold what the last `take` returned. */
  #arenas: Arena[] = [];
  #taken: Arena[] = [];

  #slices: Uint8Array[] = [];
  // The last slice, not in #slices yet because it may still grow.
  #open: Uint8Array = NOTHING;
  #openStart = 0;
  #openEnd = 0;

  /** `pool`: where arenas come from; default: the thread's. */
  constructor(pool: Arenas = ARENAS) {
    this.#pool = pool;
  }

  /** Bytes queued. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Bytes of memory that the queue keeps alive: each arena whole, and the whole ArrayBuffer of each passed slice,
   * counted once for consecutive passes out of the same one. A buffer that alternates with another is counted each
   * time: the number is never too small.
   */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  reserve(bytes: number): void {
    if (bytes > this.buf.length - this.#arenaUsed) this.#newArena(bytes);
    this.at = this.#arenaUsed;
    this.#arenaUsed += bytes;
    this.#add(this.buf, this.at, this.#arenaUsed);
  }

  pass(buf: Uint8Array, start: number, end: number): void {
    if (start >= end) return;
    if (buf !== this.#passed) {
      this.#passed = buf;
      const memory = buf.buffer;
      if (memory !== this.#passedMemory) {
        this.#passedMemory = memory;
        this.#heldBytes += memory.byteLength;
      }
    }
    this.#add(buf, start, end);
  }

  hold(bytes: number): void {
    this.waitingBytes += bytes;
  }

  /** Returns everything queued, in order, and starts anew. */
  take(): Uint8Array[] {
    this.#closeSlice();
    const slices = this.#slices;
    this.#slices = [];
    this.buf = NOTHING;
    this.view = NO_VIEW;
    this.at = 0;
    this.#arenaUsed = 0;
    this.#nextArena = FIRST_ARENA_BYTES;
    this.#bytes = 0;
    this.#heldBytes = 0;
    this.#passedMemory = null;
    this.#passed = null;
    const arenas = this.#taken;
    // Not reused: somebody may still read them.
    arenas.length = 0;
    this.#taken = this.#arenas;
    this.#arenas = arenas;
    return slices;
  }

  /** Everything that the last `take` returned is written, or copied: its arenas are free for other messages. */
  reuse(): void {
    for (let arena = this.#taken.pop(); arena !== undefined; arena = this.#taken.pop()) this.#pool.give(arena);
  }

  #newArena(bytes: number): void {
    const arena = this.#pool.take(Math.max(bytes, this.#nextArena));
    this.buf = arena.buf;
    this.view = arena.view;
    this.#arenas.push(arena);
    this.#arenaUsed = 0;
    this.#heldBytes += arena.buf.length;
    this.#nextArena = Math.min(this.#nextArena * 2, ARENA_BYTES);
  }

  #add(buf: Uint8Array, start: number, end: number): void {
    this.#bytes += end - start;
    if (this.#open === buf && this.#openEnd === start) {
      this.#openEnd = end;
      return;
    }
    this.#closeSlice();
    this.#open = buf;
    this.#openStart = start;
    this.#openEnd = end;
  }

  #closeSlice(): void {
    if (this.#openEnd > this.#openStart) this.#slices.push(this.#open.subarray(this.#openStart, this.#openEnd));
    this.#open = NOTHING;
    this.#openStart = 0;
    this.#openEnd = 0;
  }
}
