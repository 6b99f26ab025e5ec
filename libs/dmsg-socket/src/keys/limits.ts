// Limits of what a keys directory may hold. An operator writes it, so they only guard against mistakes.

/** Bytes of a key file: several times the largest PEM of a 2048-bit key. */
export const MAX_KEY_FILE_BYTES = 16 * 1024;
/** Files in remote/: each is read and its key parsed, at start and when it changes. */
export const MAX_PEER_FILES = 20_000;
/**
 * Milliseconds between two looks at the directory, in case the file system tells nobody of changes (NFS, some
 * containers).
 */
export const KEYS_POLL_MS = 5_000;
/**
 * Milliseconds for which the key of a .pub that is gone stays valid: a file that is replaced by removing and copying is
 * away for a moment. To keep a peer out at once, an operator adds a .refused.
 */
export const KEYS_ABSENCE_MS = 1_000;
/**
 * Peers and prefixes whose .pub was taken away that are remembered: some 300 bytes each. Beyond it the first one is
 * forgotten.
 */
export const MAX_WITHDRAWN_KEYS = 20_000;
/** Bytes of the file that remembers which peers have had keys. */
export const MAX_SEEN_KEYS_BYTES = 4 * 1024 * 1024;
/** Milliseconds to wait after a change, so that a copy of many files is complete and is read once. */
export const KEYS_SETTLE_MS = 100;
