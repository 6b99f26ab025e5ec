// What one gateway takes, and why there is a bound. Those that an operator may want to change are defaults of settings.ts.

/** Connections of one gateway: each costs up to 32 KiB of memory when idle, and a file descriptor. */
export const DEFAULT_MAX_CONNECTIONS = 20_000;
/** Connections from one address: a host that runs wild leaves room for the others. */
export const DEFAULT_MAX_CONNECTIONS_PER_ADDRESS = 10_000;
/** Links that one connection may have open: 1200 bytes each here, 1600 in topology (measured: `npm run bench -- tables`). */
export const DEFAULT_MAX_LINKS_PER_CONNECTION = 100_000;
/** LNK_CONNs that a linkid connection may have open: every span is relayed to each of them. */
export const DEFAULT_MAX_LNK_CONNS_PER_CONNECTION = 64;
/** Transactions that a peer may have open on one connection, its links included; beyond it the connection is closed. */
export const DEFAULT_MAX_TRANSACTIONS = 200_000;
/** Bytes that wait for one peer to read them; beyond it the connection is closed as a whole (DMSG has no flow control). */
export const DEFAULT_SEND_LIMIT_BYTES = 16 * 1024 * 1024;

/**
 * Bytes queued for a connection at which those that send to it are not read any more: several times what a socket takes at once,
 * so that a peer that keeps up is never waited for.
 */
export const HIGH_WATER_BYTES = 1024 * 1024;
/** The same as a share of the send limit, if that is less. */
export const HIGH_WATER_SHARE = 0.25;
/** Share of the high-water mark at which they are read again. */
export const LOW_WATER_SHARE = 0.25;
/** Routes (pairs of spans that have exchanged messages lately) of one linkid connection; what comes on further ones is thrown away. */
export const MAX_ROUTES_PER_CONNECTION = 10_000;

/**
 * Links whose return paths the peer of one LNK_CONN has closed that are remembered: some 500 bytes each. Past it the first is forgotten,
 * so that the peer is offered that one once more when somebody wants to use it.
 */
export const MAX_RETURN_PATHS_REFUSED = 1_000;

/** Share of the send limit at which a connection is not read any more: its own requests must not fill its own queue. */
export const PAUSE_READING_SHARE = 0.5;
/** Share of the send limit at which it is read again. */
export const RESUME_READING_SHARE = 0.25;
/**
 * Bytes queued for a connection at which no further relay is opened on it until they have drained: a peer that asks for
 * 100,000 spans gets 45 MB, and a router that queued them at once would close the peer for its own haste.
 */
export const RELAY_PACE_BYTES = 1024 * 1024;
/** The same for lines of shell output. */
export const SHELL_PACE_BYTES = 256 * 1024;

/** Shell commands of one connection that wait for the one that runs. */
export const SHELL_QUEUE_LENGTH = 32;
/** Longest shell command in bytes; longer ones are refused. */
export const SHELL_TEXT_BYTES = 1024;
/** Milliseconds in which topology must have delivered a tree. */
export const SHELL_TREE_MS = 10_000;

/** Slots of a media (protocol.md, "The link layer" 3). */
export const VOLCONF_SLOTS = 256;

/** Milliseconds that a peer is given to take the last bytes and close its side, once the connection is being closed. */
export const CLOSE_LINGER_MS = 2_000;
/** Milliseconds that a peer is given to answer the end of our LNK_CONN before FIN, when its connection is closed in order. */
export const ANSWER_PATIENCE_MS = 1_000;
/** Connections that a drain closes a second, if it has the time: what other gateways take on at once with ease, crypto included. */
export const DRAIN_CLOSES_PER_SECOND = 500;
/** Milliseconds that a drain has left once it is told to hurry. */
export const HURRIED_DRAIN_MS = 1_000;
/** Drains by order that are known at a time, those that have ended included: a small object each. */
export const MAX_DRAINS = 16;
/** Objects in one answer about traffic: made at once, in a millisecond or two. */
export const MAX_TRAFFIC_PAGE = 500;
/** Captures that run at a time (docs/captures.md). */
export const MAX_CAPTURES = 4;
/** Bytes of one capture that its caller has not read; what comes past that is dropped and counted. */
export const CAPTURE_BYTES = 4 * 1024 * 1024;
/** Longest capture in milliseconds: nobody shall forget one. */
export const MAX_CAPTURE_MS = 3_600_000;
/** Milliseconds that the caller of a capture that has ended is given to read the rest. */
export const CAPTURE_LINGER_MS = 10_000;
/** Milliseconds of silence on a new TCP connection before the kernel probes the peer. */
export const TCP_KEEPALIVE_MS = 60_000;
/** Milliseconds between two log lines about the same trouble. */
export const LOG_INTERVAL_MS = 10_000;
/** Largest part of a snapshot or delta in bytes: less than the 1 MiB that Attach allows, so that framing never matters. */
export const PART_BYTES = 960 * 1024;
/** Topology replicas whose addresses are kept, as a leader names them (gateway_control.proto, Welcome). */
export const MAX_REPLICAS = 16;
/** Addresses of topology that an operator may name. */
export const MAX_TOPOLOGY_ADDRESSES = 16;
/** Ids of gateways that were declared dead in this epoch and are remembered, to refuse their trunks; past it the first is forgotten. */
export const MAX_DEAD_GATEWAYS = 4096;
/**
 * Relays open on demand (return paths, linkid) on one LNK_CONN: as many as there may be routes from one connection. They are closed when
 * unused for a while; until then nobody may grow them by changing spans.
 */
export const MAX_RETURN_PATHS = 10_000;

/** Owners of dialled connections, with those that have none at present: a small object each. */
export const MAX_DIAL_OWNERS = 100_000;
/** Watches of media and dialled connections at a time: one is needed, and a moment of two when volconf's leader changes. */
export const MAX_MEDIA_WATCHES = 8;
/** Changes (LNK_CONNs, slots, connections) that wait for such a watch to read; past this a snapshot is cheaper. */
export const MAX_MEDIA_CHANGES = 50_000;
/** LNK_CONNs, slots and connections in one message of such a watch: at most some 200 KB. */
export const MEDIA_PART_ENTRIES = 500;
