// Limits of what all peers of one gateway may hold together. One principal may hold a share of each (SPANMESH_SHARE). A
// principal is a key where the connection is encrypted, otherwise an address (of IPv6 a /64). With 20,000 connections
// all of them together come to some 1.7 GiB at worst; the manifests for Kubernetes give a gateway 2 GiB.

/**
 * Links that peers may have open: 1200 bytes each with their transaction (measured: `npm run bench -- tables`), 240 MB.
 */
export const DEFAULT_MAX_LINKS = 200_000;
/** LNK_CONNs that peers may have open: 1100 bytes each with their transaction (measured likewise), 45 MB. */
export const DEFAULT_MAX_LNK_CONNS = 40_000;
/**
 * Relays that may be open, counted for the principal that asks for them and for the one that offers their links: 330
 * bytes each (measured), 330 MB.
 */
export const DEFAULT_MAX_RELAYS = 1_000_000;
/** Transactions that peers may have open, their links included: 170 bytes each (measured likewise), 85 MB. */
export const DEFAULT_MAX_OPEN_TRANSACTIONS = 500_000;
/** Bytes of half-received messages. */
export const DEFAULT_RECEIVE_LIMIT_BYTES = 128 * 1024 * 1024;
/** Bytes that wait for peers to read them. */
export const DEFAULT_SEND_TOTAL_BYTES = 256 * 1024 * 1024;
/** Percent of each of these that one principal may hold. */
export const DEFAULT_SHARE_PERCENT = 50;
/**
 * Principals that the gateway can report to topology as withheld (their links at other gateways are not relayed). If
 * there are more, the relays of the others are shown as open although they are not.
 */
export const MAX_WITHHELD_TOLD = 1024;
/**
 * Bytes of state changes that wait for topology at which connections that bring further changes are not read any more.
 */
export const REPORTS_HIGH_BYTES = 128 * 1024;
/** Bytes of these changes at which such connections are read again, in turns by principal. */
export const REPORTS_LOW_BYTES = 64 * 1024;
/** Bytes of one delta: topology takes in a whole delta without a pause. */
export const DELTA_BYTES = 64 * 1024;
/**
 * Deltas sent to topology that it has not applied yet. They hold some 250 spans, so a new span waits behind no more
 * than these.
 */
export const MAX_DELTAS_UNDER_WAY = 2;
/** Connections that are read again in one turn of the event loop. */
export const RESUMED_PER_TURN = 4;
/** Bytes read from one principal's connections in one turn while others are read, too: a few milliseconds at most. */
export const READ_PER_TURN_BYTES = 512 * 1024;
/**
 * Messages for the gateway itself handled in one turn of the event loop, from all peers together: 10 to 20 ms at most.
 */
export const HANDLED_PER_TURN = 512;
/**
 * Such messages in one turn past which ReadTurns asks to be told of the turn's end. Asking for every message would cost
 * too much.
 */
export const HANDLED_UNNOTICED = 64;
/** How long a turn of reading counts at most while no connection waits for the next one, milliseconds. */
export const READ_TURN_MS = 5;
/**
 * Units of endings (a transaction whose connection is lost, a relay whose link or LNK_CONN is gone) that are done at
 * once in one turn of the event loop. In the same turn, as many units that have waited may be done: 1 to 3 µs each,
 * some 10 ms.
 */
export const ENDED_PER_TURN = 2048;
