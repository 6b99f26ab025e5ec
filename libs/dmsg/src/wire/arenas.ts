import { viewOf } from './words.ts';

/** Memory that messages are written into. */
export interface Arena {
  readonly buf: Uint8Array;
  readonly view: DataView;
}

/** Size of the arenas that are used again, in bytes. Larger messages get memory of their own. */
export const ARENA_BYTES = 16 * 1024;
/** Most arenas that are kept for the next turns: 4 MiB. */
const MOST_SPARE = 256;

/**
 * Arenas whose bytes have been written, for all OutBuffers of the thread. What was used last is used first, while the
 * processor still has it in its cache.
 */
export class Arenas {
  readonly #spare: Arena[] = [];

  /** Arenas that are kept. */
  get spare(): number {
    return this.#spare.length;
  }

  /** An arena of ARENA_BYTES that nobody uses, or a new one of `bytes`, if that is more, or if none is kept. */
  take(bytes: number): Arena {
    const arena = bytes > ARENA_BYTES ? undefined : this.#spare.pop();
    return arena ?? allocate(bytes);
  }

  /** Nobody reads or writes this memory any more. */
  give(arena: Arena): void {
    if (arena.buf.length === ARENA_BYTES && this.#spare.length < MOST_SPARE) this.#spare.push(arena);
  }
}

/** The arenas of this thread. */
export const ARENAS = new Arenas();

function allocate(bytes: number): Arena {
  // Not from Buffer's pool: a slice would keep the whole pool alive, uncounted.
  const buf = Buffer.allocUnsafeSlow(bytes);
  return { buf, view: viewOf(buf) };
}
