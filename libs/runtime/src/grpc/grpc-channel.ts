/** Largest message in either direction, bytes: a chunk of a snapshot is 1 MiB, a tree in one answer may be several. */
export const MAX_GRPC_MESSAGE_BYTES = 16 * 1024 * 1024;
/**
 * Largest request of a user of the API, bytes: a DMSG message with 1 MiB of aux data fits. A larger one is refused when
 * its length is read, so that it is neither kept nor decoded.
 */
export const MAX_API_REQUEST_BYTES = 2 * 1024 * 1024;
/** How long a connection is quiet before it is pinged, ms; and, below, how long the answer to that may take. */
export const GRPC_KEEPALIVE_MS = 5000;
export const GRPC_KEEPALIVE_TIMEOUT_MS = 5000;
/** Longest pause between two attempts to connect, ms: so a leader that returns is found within it. */
export const GRPC_MAX_BACKOFF_MS = 2000;
