// Limits and times of one gateway. Those that an operator may want to change are defaults of settings.ts.

/** Connections of one gateway: each costs up to 32 KiB of memory when idle, and a file descriptor. */
export const DEFAULT_MAX_CONNECTIONS = 20_000;
/** Connections from one address: a host that opens ever more connections leaves room for others. */
export const DEFAULT_MAX_CONNECTIONS_PER_ADDRESS = 10_000;
/**
 * Links that one connection may have open: 1200 bytes each here, 1600 in topology (measured: `npm run bench --
 * tables`).
 */
export const DEFAULT_MAX_LINKS_PER_CONNECTION = 100_000;
/** LNK_CONNs that a linkid connection may have open: every span is relayed to each of them. */
export const DEFAULT_MAX_LNK_CONNS_PER_CONNECTION = 64;
/** Transactions that a peer may have open on one connection, its links included; beyond it the connection is closed. */
export const DEFAULT_MAX_TRANSACTIONS = 200_000;
/** Bytes queued for one peer; beyond it the connection is closed (DMSG has no flow control). */
export const DEFAULT_SEND_LIMIT_BYTES = 16 * 1024 * 1024;

/**
 * High-water mark: bytes queued for a connection at which the connections that send to it are not read any more. It is
 * several times what a socket takes at once, so that nobody is paused for a peer that keeps up.
 */
export const HIGH_WATER_BYTES = 1024 * 1024;
/** The high-water mark as a share of the send limit, if that is less. */
export const HIGH_WATER_SHARE = 0.25;
/** Share of the high-water mark at which the paused connections are read again. */
export const LOW_WATER_SHARE = 0.25;
/**
 * Routes (pairs of spans that have exchanged messages lately) of one linkid connection; messages that need a further
 * one are thrown away.
 */
export const MAX_ROUTES_PER_CONNECTION = 10_000;

/**
 * Refused return paths (closed by the peer) that are remembered for one LNK_CONN: some 500 bytes each. Past it the
 * oldest is forgotten, so that the peer is offered that link once more when a route needs it.
 */
export const MAX_RETURN_PATHS_REFUSED = 1_000;

/** Share of the send limit at which a connection is not read any more: its own requests must not fill its own queue. */
export const PAUSE_READING_SHARE = 0.5;
/** Share of the send limit at which such a connection is read again. */
export const RESUME_READING_SHARE = 0.25;
/**
 * Bytes queued for a connection at which no further relay is opened on it until they have drained. A peer that asks for
 * 100,000 spans gets 45 MB: a router that queued them at once would itself reach the peer's send limit and close it.
 */
export const RELAY_PACE_BYTES = 1024 * 1024;
/** Bytes queued for a connection at which no further shell output is written until they have drained. */
export const SHELL_PACE_BYTES = 256 * 1024;

/** Shell commands of one connection that wait for the one that runs. */
export const SHELL_QUEUE_LENGTH = 32;
/** Longest shell command in bytes; longer ones are refused. */
export const SHELL_TEXT_BYTES = 1024;
/** Milliseconds within which topology must deliver the next part of a tree. */
export const SHELL_TREE_MS = 10_000;

/** Slots of a media (protocol.md, "The link layer" 3). */
export const VOLCONF_SLOTS = 256;

/** Milliseconds that a peer has to read the last bytes and close its side, once the connection is being closed. */
export const CLOSE_LINGER_MS = 2_000;
/**
 * Milliseconds that a peer has to answer the end of our LNK_CONN before we send FIN, when its connection is closed in
 * order.
 */
export const ANSWER_PATIENCE_MS = 1_000;
/**
 * Connections that a drain closes a second, if it has the time: as many as other gateways can accept easily, crypto
 * handshakes included.
 */
export const DRAIN_CLOSES_PER_SECOND = 500;
/** Milliseconds that a drain has left once it is told to hurry. */
export const HURRIED_DRAIN_MS = 1_000;
/** Drains by order that are remembered, ended ones included: a small object each. */
export const MAX_DRAINS = 16;
/** Counters in one answer about traffic: made at once, in a millisecond or two. */
export const MAX_TRAFFIC_PAGE = 500;
/** Captures that run at a time (docs/captures.md). */
export const MAX_CAPTURES = 4;
/** Bytes of one capture that wait for its caller; messages past that are dropped and counted. */
export const CAPTURE_BYTES = 4 * 1024 * 1024;
/** Longest capture in milliseconds, so that a forgotten one ends. */
export const MAX_CAPTURE_MS = 3_600_000;
/** Milliseconds that the caller of an ended capture has to read the rest. */
export const CAPTURE_LINGER_MS = 10_000;
/** Milliseconds of silence on a new TCP connection before the kernel probes the peer. */
export const TCP_KEEPALIVE_MS = 60_000;
/** Milliseconds between two log lines about the same fault. */
export const LOG_INTERVAL_MS = 10_000;
/**
 * Largest part of a snapshot or delta in bytes: less than the 1 MiB that Attach allows, to leave room for gRPC's
 * framing.
 */
export const PART_BYTES = 960 * 1024;
/** Topology replicas whose addresses are kept, of those that a leader names (gateway_control.proto, Welcome). */
export const MAX_REPLICAS = 16;
/** Addresses of topology that an operator may name. */
export const MAX_TOPOLOGY_ADDRESSES = 16;
/**
 * Ids of gateways declared dead in this epoch that are remembered, to refuse their trunks; past it the oldest is
 * forgotten.
 */
export const MAX_DEAD_GATEWAYS = 4096;
/**
 * Relays open on demand (return paths, linkid) on one LNK_CONN: as many as one connection may have routes. They are
 * closed when unused for a while; until then their number must not grow with each new span that a peer opens.
 */
export const MAX_RETURN_PATHS = 10_000;

/** Owners of dialled connections, including owners without one at present: a small object each. */
export const MAX_DIAL_OWNERS = 100_000;
/**
 * Watches of media and dialled connections at a time: one is needed, two for a moment when volconf's leader changes.
 */
export const MAX_MEDIA_WATCHES = 8;
/** Changes (LNK_CONNs, slots, connections) that may wait for such a watch; past it a snapshot is cheaper. */
export const MAX_MEDIA_CHANGES = 50_000;
/** LNK_CONNs, slots and connections in one message of such a watch: at most some 200 KB. */
export const MEDIA_PART_ENTRIES = 500;
