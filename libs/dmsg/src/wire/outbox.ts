/**
 * Where encoded messages go, in order. It is only memory: the owner of the socket takes the bytes once a turn of the
 * event loop.
 */
export interface Outbox {
  /**
   * Makes room for `bytes` contiguous bytes at the end. The caller fills `buf[at .. at + bytes)` completely before
   * anything else is called (the room is not zeroed).
   */
  reserve(bytes: number): void;
  /** The buffer of the last `reserve`. */
  readonly buf: Uint8Array;
  /** A view of the same bytes, for words. */
  readonly view: DataView;
  /** Where the room of the last `reserve` starts in `buf`. */
  readonly at: number;
  /** Appends `buf[start .. end)` without a copy: the caller gives the range away and never writes to it again. */
  pass(buf: Uint8Array, start: number, end: number): void;
  /** So many bytes more (negative: fewer) wait elsewhere to be written here: who bounds what waits counts them. */
  hold(bytes: number): void;
}
