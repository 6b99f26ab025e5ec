// What unfinished handshakes may cost.

/** Handshakes that are under way at a time: 3 KiB and a file descriptor each, and 3 ms of RSA, one after the other. */
export const DEFAULT_MAX_HANDSHAKES = 1024;
/** The same with one address: a host that opens connections and leaves them so keeps no other out. */
export const DEFAULT_MAX_HANDSHAKES_PER_ADDRESS = 512;
