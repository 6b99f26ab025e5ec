// Limits of what users of the API Messaging may take of one gateway.

/** Lease of a handle whose client names none, and the longest lease, milliseconds (messaging.proto). */
export const DEFAULT_LEASE_MS = 30_000;
export const MAX_LEASE_MS = 3_600_000;
/**
 * Handles of all clients together: 1.7 KB each if each holds a cluster of its own (measured: `npm run bench --
 * tables`).
 */
export const MAX_HANDLES = 100_000;
/** Handles of one user, or of one address where users are not authenticated. */
export const MAX_HANDLES_PER_USER = 50_000;
/** Handles renewed by one call (messaging.proto). */
export const MAX_RENEWALS = 1000;
/** Calls that wait for a node or a cluster, of all clients together. */
export const MAX_WAITING = 20_000;
/** Such calls of one user, or of one address where users are not authenticated. */
export const MAX_WAITING_PER_USER = 10_000;
/**
 * Different nodes and clusters that topology is asked about at a time: each takes a stream of the one connection to it.
 */
export const MAX_QUESTIONS = 1000;
/**
 * Such questions that count for one user. A question counts for the user that asked it first, or, once that one has
 * given up, for another one that waits for its answer.
 */
export const MAX_QUESTIONS_PER_USER = 500;
/** Milliseconds before topology is asked again when it is away. */
export const ASK_AGAIN_MS = 250;

/**
 * Milliseconds within which the first message of an OpenRoute call must come; the call counts as a route from its
 * start.
 */
export const GREETING_MS = 10_000;
/**
 * Milliseconds that a route waits for a link if the client names no time (messaging.proto), and the longest such time.
 */
export const DEFAULT_ROUTE_WAIT_MS = 5000;
export const MAX_ROUTE_WAIT_MS = 3_600_000;
/** Routes of all clients together: about 10 KB each without traffic. */
export const MAX_ROUTES = 20_000;
/** Routes of one user, or of one address where users are not authenticated. */
export const MAX_ROUTES_PER_USER = 10_000;
/** Transactions open on one route, opened by either side. */
export const MAX_ROUTE_TRANSACTIONS = 1024;
/**
 * Bytes waiting for one client at which its node is not read any more (DMSG has no flow control of its own), until half
 * of them are gone.
 */
export const CLIENT_HIGH_BYTES = 256 * 1024;
/** Bytes waiting for one client at which its route ends: data read before the pause above still comes. */
export const CLIENT_LIMIT_BYTES = 8 * 1024 * 1024;
/** Milliseconds for which a client may take nothing while bytes wait for it. */
export const CLIENT_STALL_MS = 10_000;
/** Bytes given to gRPC at a time: they cannot be taken back. */
export const CLIENT_IN_FLIGHT_BYTES = 64 * 1024;
