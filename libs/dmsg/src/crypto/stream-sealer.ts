import { DmsgError } from '../dmsg-error.ts';
import { ErrorCode } from '../error-code.ts';
import { ChunkCounter } from './chunk-counter.ts';
import { chunkKernel } from './chunk-kernel.ts';
import { BATCH_CHUNKS, CHUNK_BYTES, SEALED_CHUNK_BYTES, SEALED_CHUNKS } from './chunk-kernel-code.ts';
import { ChunkKey } from './chunk-key.ts';
import type { Sealer, StreamOptions } from './cipher.ts';

const BATCH_BYTES = BATCH_CHUNKS * CHUNK_BYTES;

/** AES-256-GCM, a tag for every 64 bytes (protocol.md, "Crypto": Stream). */
export class StreamSealer implements Sealer {
  readonly #key: ChunkKey;
  readonly #counter: ChunkCounter;

  /** @param session the material that this side sent in its handshake; not kept. */
  constructor(session: Uint8Array, options: StreamOptions = {}) {
    this.#key = new ChunkKey(session);
    this.#counter = new ChunkCounter(options.firstChunk);
  }

  sealedBytes(plainBytes: number): number {
    return (plainBytes / CHUNK_BYTES) * SEALED_CHUNK_BYTES;
  }

  seal(plain: Uint8Array): Uint8Array {
    const chunks = checkWhole(plain) / CHUNK_BYTES;
    this.#counter.check(chunks);
    const { toSeal } = chunkKernel();
    const wire = Buffer.allocUnsafeSlow(chunks * SEALED_CHUNK_BYTES);
    for (let done = 0; done < chunks; ) {
      const batch = Math.min(BATCH_CHUNKS, chunks - done);
      toSeal.set(plain.subarray(done * CHUNK_BYTES, (done + batch) * CHUNK_BYTES));
      wire.set(this.#sealBatch(batch, SEALED_CHUNKS), done * SEALED_CHUNK_BYTES);
      done += batch;
    }
    return wire;
  }

  sealSlices(slices: readonly Uint8Array[]): Uint8Array[] {
    let bytes = 0;
    for (const slice of slices) bytes += checkWhole(slice);
    this.#counter.check(bytes / CHUNK_BYTES);
    const { toSeal, sealed } = chunkKernel();
    const copies: Uint8Array[] = [];
    let kept = 0;
    let filled = 0;
    for (const slice of slices) {
      for (let at = 0; at < slice.length; ) {
        const taken = Math.min(BATCH_BYTES - filled, slice.length - at);
        toSeal.set(taken === slice.length ? slice : slice.subarray(at, at + taken), filled);
        at += taken;
        filled += taken;
        if (filled === BATCH_BYTES) {
          kept = this.#sealNext(BATCH_CHUNKS, kept, copies);
          filled = 0;
        }
      }
    }
    if (filled > 0) kept = this.#sealNext(filled / CHUNK_BYTES, kept, copies);
    return kept > 0 ? [sealed.subarray(0, kept * SEALED_CHUNK_BYTES), ...copies] : copies;
  }

  /**
   * Seals the batch in the kernel, behind the `kept` chunks that stay there. Once the kernel is full, a copy is added
   * to `copies` instead. Returns how many chunks stay in the kernel now.
   */
  #sealNext(chunks: number, kept: number, copies: Uint8Array[]): number {
    const isFull = kept + chunks > SEALED_CHUNKS;
    const wire = this.#sealBatch(chunks, isFull ? SEALED_CHUNKS : kept);
    if (!isFull) return kept + chunks;
    // Not from Buffer's pool: a slice that waits for its socket would keep the pool alive, uncounted.
    const copy = Buffer.allocUnsafeSlow(wire.length);
    copy.set(wire);
    copies.push(copy);
    return kept;
  }

  /** Seals the batch in the kernel and returns its chunks there, from chunk `at` on. */
  #sealBatch(chunks: number, at: number): Uint8Array {
    const kernel = chunkKernel();
    kernel.seal(this.#key, this.#counter.high, this.#counter.low, chunks, at);
    this.#counter.advance(chunks);
    return kernel.sealed.subarray(at * SEALED_CHUNK_BYTES, (at + chunks) * SEALED_CHUNK_BYTES);
  }
}

/**
 * Checks that the plaintext is a multiple of 64 bytes and returns its size. Messages are (protocol.md, "Message"), so a
 * stream never ends inside a chunk.
 */
export function checkWhole(plain: Uint8Array): number {
  if (plain.length % CHUNK_BYTES !== 0) {
    throw new DmsgError(ErrorCode.FIELD, 'not a multiple of 64 bytes', { bytes: plain.length });
  }
  return plain.length;
}
