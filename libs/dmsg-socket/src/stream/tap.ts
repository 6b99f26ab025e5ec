/**
 * Sees the plaintext that a connection reads and writes. It is called in the turn of the messages: it must not throw,
 * wait or keep the bytes.
 */
export interface Tap {
  /** Received bytes, decrypted. `pending`: how many bytes of an unfinished message came before them. */
  read(bytes: Uint8Array, pending: number): void;
  /** The messages queued in a turn, whole, before encryption. */
  wrote(slices: readonly Uint8Array[]): void;
}
