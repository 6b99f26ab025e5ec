import { DmsgError } from '../dmsg-error.ts';
import { ErrorCode } from '../error-code.ts';
import { ChunkCounter } from './chunk-counter.ts';
import { chunkKernel } from './chunk-kernel.ts';
import { BATCH_CHUNKS, CHUNK_BYTES, OPENED_CHUNKS, SEALED_CHUNK_BYTES } from './chunk-kernel-code.ts';
import { ChunkKey } from './chunk-key.ts';
import type { Opener, PlainSink, StreamOptions } from './cipher.ts';

/** Verifies and decrypts a stream that a StreamSealer has made (protocol.md, "Crypto": Stream). */
export class StreamOpener implements Opener {
  readonly #key: ChunkKey;
  readonly #counter: ChunkCounter;
  #dead = false;
  /** The received part of a chunk that is not complete yet. */
  readonly #partial = new Uint8Array(SEALED_CHUNK_BYTES);
  #partialBytes = 0;

  /** @param session the material that the peer sent in its handshake; not kept. */
  constructor(session: Uint8Array, options: StreamOptions = {}) {
    this.#key = new ChunkKey(session);
    this.#counter = new ChunkCounter(options.firstChunk);
  }

  get pendingBytes(): number {
    return this.#partialBytes;
  }

  open(wire: Uint8Array, sink: PlainSink): void {
    if (this.#dead) throw new DmsgError(ErrorCode.STATE, 'stream opener is dead');
    const chunks = Math.floor((this.#partialBytes + wire.length) / SEALED_CHUNK_BYTES);
    if (chunks === 0) {
      this.#keep(wire);
      return;
    }
    const kernel = chunkKernel();
    // The chunk kernel's memory is in use if a sink has called this method, and is too small for more than one read.
    const own = kernel.isLent || chunks > OPENED_CHUNKS ? Buffer.allocUnsafeSlow(chunks * CHUNK_BYTES) : null;
    const verified = this.#decrypt(wire, chunks, own);
    // The kernel and this object's state are not needed any more when the sink is called: the sink may seal, or call
    // this method.
    if (verified > 0) {
      if (own === null) kernel.lend(verified, sink);
      else sink.onPlain(own.subarray(0, verified * CHUNK_BYTES));
    }
    if (verified < chunks) {
      // protocol.md, "Crypto": a tag that does not verify.
      throw new DmsgError(ErrorCode.MACFAIL, 'tag does not verify', { chunk: verified });
    }
  }

  /**
   * Opens `chunks` chunks, the first of which begins with the partial chunk that was kept, and keeps the rest of
   * `wire`. Returns how many chunks were verified. Their plaintext is in the chunk kernel's memory, or in `own`.
   */
  #decrypt(wire: Uint8Array, chunks: number, own: Uint8Array | null): number {
    this.#checkCounter(chunks);
    const kernel = chunkKernel();
    let done = 0;
    let at = 0;
    while (done < chunks) {
      const batch = Math.min(BATCH_CHUNKS, chunks - done);
      const bytes = batch * SEALED_CHUNK_BYTES - this.#partialBytes;
      if (this.#partialBytes > 0) kernel.toOpen.set(this.#partial.subarray(0, this.#partialBytes));
      kernel.toOpen.set(wire.subarray(at, at + bytes), this.#partialBytes);
      this.#partialBytes = 0;
      at += bytes;
      const place = own === null ? done : OPENED_CHUNKS;
      const verified = kernel.open(this.#key, this.#counter.high, this.#counter.low, batch, place);
      if (own !== null) {
        const opened = kernel.opened.subarray(place * CHUNK_BYTES, (place + verified) * CHUNK_BYTES);
        own.set(opened, done * CHUNK_BYTES);
      }
      done += verified;
      if (verified < batch) {
        this.#dead = true;
        return done;
      }
      this.#counter.advance(batch);
    }
    this.#keep(wire.subarray(at));
    return chunks;
  }

  #checkCounter(chunks: number): void {
    try {
      this.#counter.check(chunks);
    } catch (error) {
      this.#dead = true;
      throw error;
    }
  }

  #keep(bytes: Uint8Array): void {
    this.#partial.set(bytes, this.#partialBytes);
    this.#partialBytes += bytes.length;
  }
}
