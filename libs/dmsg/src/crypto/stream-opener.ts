import { DmsgError } from '../dmsg-error.ts';
import { ErrorCode } from '../error-code.ts';
import { ChunkCounter } from './chunk-counter.ts';
import { chunkKernel } from './chunk-kernel.ts';
import { BATCH_CHUNKS, CHUNK_BYTES, SEALED_CHUNK_BYTES } from './chunk-kernel-code.ts';
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
    const plain = Buffer.allocUnsafeSlow(chunks * CHUNK_BYTES);
    const bytes = this.#decrypt(wire, chunks, plain);
    // The sink may seal, or call us again, so it is called only now, when the kernel and our state are done with.
    if (bytes > 0) sink.onPlain(bytes === plain.length ? plain : plain.subarray(0, bytes));
    if (bytes < plain.length) {
      // protocol.md, "Crypto": a tag that does not verify.
      throw new DmsgError(ErrorCode.MACFAIL, 'tag does not verify', { chunk: bytes / CHUNK_BYTES });
    }
  }

  /**
   * Opens `chunks` chunks, the first of which begins in `#partial`, and keeps the rest; returns how many bytes were
   * verified.
   */
  #decrypt(wire: Uint8Array, chunks: number, plain: Uint8Array): number {
    this.#checkCounter(chunks);
    const kernel = chunkKernel();
    let done = 0;
    let at = 0;
    while (done < chunks) {
      const batch = Math.min(BATCH_CHUNKS, chunks - done);
      const bytes = batch * SEALED_CHUNK_BYTES - this.#partialBytes;
      if (this.#partialBytes > 0) kernel.sealed.set(this.#partial.subarray(0, this.#partialBytes));
      kernel.sealed.set(wire.subarray(at, at + bytes), this.#partialBytes);
      this.#partialBytes = 0;
      at += bytes;
      const verified = kernel.open(this.#key, this.#counter.high, this.#counter.low, batch);
      plain.set(kernel.plain.subarray(0, verified * CHUNK_BYTES), done * CHUNK_BYTES);
      done += verified;
      if (verified < batch) {
        this.#dead = true;
        return done * CHUNK_BYTES;
      }
      this.#counter.advance(batch);
    }
    this.#keep(wire.subarray(at));
    return plain.length;
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
