import type { ChunkCount } from './chunk-counter.ts';

/** Takes what an Opener has decrypted. */
export interface PlainSink {
  /**
   * The sink may write to the bytes. They may be in memory that all openers share (isKernelMemory in chunk-kernel.ts):
   * after this has returned, the next call of an opener overwrites them, so a sink that keeps them must copy them.
   */
  onPlain(plain: Uint8Array): void;
}

/** The sending direction of an encrypted connection. */
export interface Sealer {
  /**
   * Encrypts the next bytes of the stream, a multiple of 64, into memory of their own.
   * @throws DmsgError IVWRAP: the key is used up; FIELD: not a multiple of 64. Nothing has been encrypted.
   */
  seal(plain: Uint8Array): Uint8Array;
  /**
   * The same for the slices that OutBuffer.take() returns, each a multiple of 64 bytes, in order. The output is cut at
   * other places. It may be in memory that all sealers share (isKernelMemory in chunk-kernel.ts), where the next call
   * of a sealer overwrites it: the caller writes it to its socket at once, or copies it.
   */
  sealSlices(slices: readonly Uint8Array[]): Uint8Array[];
  /** Bytes on the wire for `plainBytes` bytes of plaintext. */
  sealedBytes(plainBytes: number): number;
}

/** The receiving direction of an encrypted connection. */
export interface Opener {
  /**
   * Takes the next bytes from the wire, cut anywhere; the opener neither keeps nor changes them. The sink gets the
   * bytes of all chunks that they complete, in one piece, before `open` returns; it is not called if they complete
   * none.
   * @throws DmsgError MACFAIL: a tag does not verify (the sink has got the chunks before it, and gets no more); IVWRAP:
   * the key is used up; STATE: an earlier call threw.
   */
  open(wire: Uint8Array, sink: PlainSink): void;
  /** Bytes received that do not make a whole chunk yet. */
  readonly pendingBytes: number;
}

/** For tests: where a stream's count of chunks starts. */
export interface StreamOptions {
  readonly firstChunk?: ChunkCount;
}
