// Limits and times of trunks (architecture.md, "Trunk").

/** Version of the trunk's own messages; it belongs to version 1 of the protocol between services. */
export const TRUNK_VERSION = 1;

/** Bytes of a token: too many to be guessed. The first bytes of a connection are compared with it. */
export const TOKEN_BYTES = 32;
/** Milliseconds that a token is good for (trunk.proto). */
export const TOKEN_TTL_MS = 10_000;
/** Tokens that may be issued and unused at once, one for each gateway: as many as a leader accepts gateways. */
export const MAX_TOKENS = 4096;
/** Milliseconds within which a connection must send its token. */
export const UNAUTHENTICATED_MS = 2_000;
/** Connections whose token may be waited for at once; further ones are closed at once. */
export const MAX_UNAUTHENTICATED = 64;

/**
 * Other gateways that one gateway knows, each with at most one trunk: twice as many as a leader accepts, because a
 * gateway that has taken another id is known under both ids until topology says that the former one is gone.
 */
export const MAX_TRUNKS = 8192;
/** Milliseconds that opening a trunk may take: OpenTrunk, connecting and the other side's greeting together. */
export const OPEN_TIMEOUT_MS = 2_000;
/** Milliseconds from losing a trunk until the other gateway's links count as unreachable from here. */
export const UNREACHABLE_AFTER_MS = 2_000;
/** Milliseconds of silence until a trunk is probed, and again until it counts as dead. */
export const KEEP_ALIVE_MS = 2_000;
/** A gateway that is in a long turn of the event loop says this often, in milliseconds, that it lives. */
export const ALIVE_MS = 500;
/**
 * Pause before a lost trunk is opened again, milliseconds: doubled after each attempt; each pause is shortened by up to
 * half at random.
 */
export const FIRST_BACKOFF_MS = 100;
/** The longest such pause, milliseconds: a gateway that is back is found within it. */
export const MAX_BACKOFF_MS = 5_000;
/**
 * The longest such pause while the other gateway does not count as unreachable yet, milliseconds: after a short cut the
 * trunk is back before that.
 */
export const LOST_BACKOFF_MS = 400;
/** Milliseconds that an orderly end may take. */
export const FINISH_MS = 1_000;

/**
 * Smallest window: bytes that may be on their way from one gateway to one connection of another before the sender is
 * paused. Windows begin with it, and return to it when the connection lags.
 */
export const WINDOW_BYTES = 256 * 1024;
/**
 * Largest window, while the connection keeps up: with it one source fills a 10 Gbit/s network link at 3 ms round trip,
 * or 1.6 Gbit/s at 20 ms.
 */
export const LARGEST_WINDOW_BYTES = 4 * 1024 * 1024;
/** Share of a connection's send limit that all windows to it may have together; each has WINDOW_BYTES in any case. */
export const WINDOWS_SHARE = 0.25;
/** The highest name of a window: names have 24 bits. A name is used again once the other side has freed it. */
export const MAX_WINDOW = 2 ** 24 - 1;

/**
 * Windows that the other gateway may have named at once: one for each of its connections. Further routes use the shared
 * window.
 */
export const MAX_OUT_WINDOWS = 1 << 16;

/**
 * Bytes (counted as the memory they keep) that may wait for a trunk that is not established yet; beyond it no new route
 * may use the trunk.
 */
export const WAITING_LIMIT_BYTES = 4 * 1024 * 1024;
/** Bytes in a trunk's own queue at which all connections that send over it are paused. */
export const QUEUE_HIGH_BYTES = 4 * 1024 * 1024;
/** Bytes in a trunk's own queue below which the paused connections go on. */
export const QUEUE_LOW_BYTES = 1024 * 1024;
/**
 * Bytes in a trunk's own queue past which the trunk is given up: connections that are paused do not send that much
 * more.
 */
export const QUEUE_LIMIT_BYTES = 256 * 1024 * 1024;
/** Milliseconds within which the other gateway must read some of the bytes queued for it. Gateways always read. */
export const STALL_MS = 10_000;
/** Transactions that the other gateway may have open on a trunk: those of many peers together. */
export const MAX_TRUNK_TRANSACTIONS = 1 << 22;
/** Milliseconds between two log lines about the same fault. */
export const LOG_INTERVAL_MS = 10_000;
