import { DmsgError } from '../dmsg-error.ts';
import { ErrorCode } from '../error-code.ts';
import { ChunkCounter } from './chunk-counter.ts';
import { chunkKernel } from './chunk-kernel.ts';
import { BATCH_CHUNKS, CHUNK_BYTES, SEALED_CHUNK_BYTES } from './chunk-kernel-code.ts';
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
    const { plain: input, sealed } = chunkKernel();
    const wire = Buffer.allocUnsafeSlow(chunks * SEALED_CHUNK_BYTES);
    for (let done = 0; done < chunks; ) {
      const batch = Math.min(BATCH_CHUNKS, chunks - done);
      input.set(plain.subarray(done * CHUNK_BYTES, (done + batch) * CHUNK_BYTES));
      this.#sealBatch(batch);
      wire.set(sealed.subarray(0, batch * SEALED_CHUNK_BYTES), done * SEALED_CHUNK_BYTES);
      done += batch;
    }
    return wire;
  }

  sealSlices(slices: readonly Uint8Array[]): Uint8Array[] {
    let bytes = 0;
    for (const slice of slices) bytes += checkWhole(slice);
    this.#counter.check(bytes / CHUNK_BYTES);
    const { plain: input } = chunkKernel();
    const wires: Uint8Array[] = [];
    let filled = 0;
    for (const slice of slices) {
      for (let at = 0; at < slice.length; ) {
        const taken = Math.min(BATCH_BYTES - filled, slice.length - at);
        input.set(slice.subarray(at, at + taken), filled);
        at += taken;
        filled += taken;
        if (filled === BATCH_BYTES) {
          wires.push(this.#sealedCopy(BATCH_CHUNKS));
          filled = 0;
        }
      }
    }
    if (filled > 0) wires.push(this.#sealedCopy(filled / CHUNK_BYTES));
    return wires;
  }

  #sealedCopy(chunks: number): Uint8Array {
    this.#sealBatch(chunks);
    // Memory of its own, not from Buffer's pool: a slice that waits for its socket would keep the whole pool alive,
    // uncounted.
    const wire = Buffer.allocUnsafeSlow(chunks * SEALED_CHUNK_BYTES);
    wire.set(chunkKernel().sealed.subarray(0, wire.length));
    return wire;
  }

  #sealBatch(chunks: number): void {
    chunkKernel().seal(this.#key, this.#counter.high, this.#counter.low, chunks);
    this.#counter.advance(chunks);
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
