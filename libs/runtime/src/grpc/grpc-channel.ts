/** Largest message either way, bytes: a snapshot chunk is 1 MiB, a tree answered in one go may be several. */
export const MAX_GRPC_MESSAGE_BYTES = 16 * 1024 * 1024;
/** How long a connection is quiet before it is probed, ms, and how long the answer may take. */
export const GRPC_KEEPALIVE_MS = 5000;
export const GRPC_KEEPALIVE_TIMEOUT_MS = 5000;
/** The longest pause between two attempts to connect, ms: a leader that came back is found within it. */
export const GRPC_MAX_BACKOFF_MS = 2000;
