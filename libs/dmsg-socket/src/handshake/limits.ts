// What unfinished and failed handshakes may cost.

/** Handshakes that are under way at a time: 3 KiB and a file descriptor each, and 8 ms of RSA, one after the other. */
export const DEFAULT_MAX_HANDSHAKES = 1024;
/** The same with one address: a host that opens connections and leaves them so keeps no other out. */
export const DEFAULT_MAX_HANDSHAKES_PER_ADDRESS = 512;
/** Milliseconds for which failed handshakes are counted: all that may fail is regained in this time, evenly. */
export const FAILED_HANDSHAKES_MS = 300_000;
/** Handshakes of one address (IPv6: of one /64) that may fail in that time; then they are refused before any RSA. */
export const DEFAULT_FAILED_HANDSHAKES_PER_ADDRESS = 20;
/** The same for all that are tried with the key of one peer: ten addresses that a prefix allows do not use it up. */
export const DEFAULT_FAILED_HANDSHAKES_PER_KEY = 200;
/** Addresses, and keys, whose failed handshakes are remembered: some 200 bytes each. Past it the one that has failed least is forgotten. */
export const MAX_FAILING = 20_000;
