/** Looks on at what a connection reads and writes. It is called in the turn of the messages: it must neither throw, wait, nor keep the bytes. */
export interface Tap {
  /** Bytes of the peer, decrypted. `pending`: bytes before them that no message has been made of yet. */
  read(bytes: Uint8Array, pending: number): void;
  /** What was queued in a turn, whole messages, before encryption. */
  wrote(slices: readonly Uint8Array[]): void;
}
