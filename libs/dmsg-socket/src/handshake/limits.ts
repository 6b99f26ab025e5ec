// Limits of what unfinished and failed handshakes may cost.

/**
 * Handshakes that may be under way at a time: each takes 3 KiB, a file descriptor, and 8 ms of RSA, one after the
 * other.
 */
export const DEFAULT_MAX_HANDSHAKES = 1024;
/**
 * Handshakes of one address that may be under way: a host that opens connections and leaves them unfinished keeps no
 * other out.
 */
export const DEFAULT_MAX_HANDSHAKES_PER_ADDRESS = 512;
/** Milliseconds within which failed handshakes are counted: the allowance is regained evenly within this time. */
export const FAILED_HANDSHAKES_MS = 300_000;
/** Handshakes of one address (IPv6: of one /64) that may fail within that time; more are refused before any RSA. */
export const DEFAULT_FAILED_HANDSHAKES_PER_ADDRESS = 20;
/**
 * Handshakes with the key of one peer that may fail within that time, from all addresses that a prefix allows: ten of
 * them do not use it up.
 */
export const DEFAULT_FAILED_HANDSHAKES_PER_KEY = 200;
/**
 * Addresses, and keys, whose failed handshakes are remembered: some 200 bytes each. Beyond it the one that has failed
 * least is forgotten.
 */
export const MAX_FAILING = 20_000;
