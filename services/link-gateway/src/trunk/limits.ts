// What trunks take, and why there is a bound (architecture.md, "Trunk").

/** Version of the trunk's own messages: that of version 1 of the protocol between services. */
export const TRUNK_VERSION = 1;

/** Bytes of a token: out of reach of guessing, and what the first bytes of a connection are compared with. */
export const TOKEN_BYTES = 32;
/** Milliseconds that a token is good for (trunk.proto). */
export const TOKEN_TTL_MS = 10_000;
/** Tokens that may be out at once, one a gateway: as many as a leader takes gateways. */
export const MAX_TOKENS = 4096;
/** Milliseconds that a connection has to send its token. */
export const UNAUTHENTICATED_MS = 2_000;
/** Connections that may be waited for in that time; others are closed at once. */
export const MAX_UNAUTHENTICATED = 64;

/**
 * Other gateways that one gateway knows, each with at most one trunk: twice as many as a leader takes, since one that has taken another id
 * is known by both until the former one is told to be gone.
 */
export const MAX_TRUNKS = 8192;
/** Milliseconds that opening a trunk may take: OpenTrunk, connecting and the other side's greeting together. */
export const OPEN_TIMEOUT_MS = 2_000;
/** Milliseconds from losing a trunk until the other gateway's links count as unreachable from here. */
export const UNREACHABLE_AFTER_MS = 2_000;
/** Milliseconds of silence until a trunk is probed, and again until it counts as dead. */
export const KEEP_ALIVE_MS = 2_000;
/** Milliseconds before a lost trunk is opened again: doubled each time, each shortened by up to half at random. */
export const FIRST_BACKOFF_MS = 100;
/** The longest of these pauses, milliseconds: a gateway that is back is found within it. */
export const MAX_BACKOFF_MS = 5_000;
/** The longest of them while the other gateway does not count as unreachable yet, milliseconds: a short cut is over before it does. */
export const LOST_BACKOFF_MS = 400;
/** Milliseconds that an orderly end may take. */
export const FINISH_MS = 1_000;

/**
 * Bytes that may be on their way from one gateway to one connection of another before the sender is slowed, at first and whenever the
 * connection lags.
 */
export const WINDOW_BYTES = 256 * 1024;
/** The same while the connection keeps up, at most: one source fills a 10 Gbit/s link over 3 ms with it, or 1.6 Gbit/s over 20 ms. */
export const LARGEST_WINDOW_BYTES = 4 * 1024 * 1024;
/** Share of a connection's send limit that all windows that lead to it may come to together, where that is more than WINDOW_BYTES each. */
export const WINDOWS_SHARE = 0.25;
/** Windows are named by 24 bits. A name is used again once the other side has let go of it. */
export const MAX_WINDOW = 2 ** 24 - 1;

/** Windows that the other gateway may have named at once: connections of one gateway; for what is beyond, the shared one. */
export const MAX_OUT_WINDOWS = 1 << 16;

/** Bytes that wait (counted as the memory they keep) for a trunk that does not stand yet; beyond it nothing new may use it. */
export const WAITING_LIMIT_BYTES = 4 * 1024 * 1024;
/** Bytes in a trunk's own queue at which everybody who sends over it is paused. */
export const QUEUE_HIGH_BYTES = 4 * 1024 * 1024;
/** They go on once fewer bytes than this are in the trunk's own queue. */
export const QUEUE_LOW_BYTES = 1024 * 1024;
/** Bytes in a trunk's own queue past which the trunk is given up: nobody who is paused sends so much more. */
export const QUEUE_LIMIT_BYTES = 256 * 1024 * 1024;
/** Milliseconds in which the other gateway must take some of what waits for it. Gateways always read. */
export const STALL_MS = 10_000;
/** Transactions that the other gateway may have open on a trunk: what many peers have on theirs, together. */
export const MAX_TRUNK_TRANSACTIONS = 1 << 22;
/** Milliseconds between two log lines about the same trouble. */
export const LOG_INTERVAL_MS = 10_000;
