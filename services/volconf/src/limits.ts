// Limits of volconf, and why they exist. Those that an operator may want to change are defaults in settings.ts.

/** Slots of a media (protocol.md, "The link layer" 3). */
export const SLOTS_PER_MEDIA = 256;
/** Slots of all media together: about 2 KiB each. */
export const DEFAULT_MAX_SLOTS = 65_536;
/** Attempts under way at a time: each is a call to a gateway, and a socket there. */
export const DEFAULT_MAX_DIALS = 256;
/** Targets that operators may set: each is a line of a file, or a message in the store. */
export const MAX_OPERATOR_TARGETS = 10_000;
/** Hosts in the autoconn file: each is a permanent connection. */
export const MAX_AUTOCONN_HOSTS = 4096;
/** Largest autoconn file, bytes: it is read as a whole. */
export const MAX_AUTOCONN_BYTES = 1_048_576;
/** How often the autoconn file is checked, ms. */
export const AUTOCONN_LOOK_MS = 5000;
/** Watches of targets at a time: each remembers the names whose changes it has not sent yet. */
export const MAX_WATCHES = 1000;
/** Watches of one user, or of one address if users are not authenticated. */
export const MAX_WATCHES_PER_USER = 500;

/** Due times are rounded up to a multiple of this, ms, so that many targets share a timer. */
export const TIMER_QUANTUM_MS = 20;
/** The largest part of a pause by which it is shortened at random, so that targets do not stay in step. */
export const JITTER_PART = 0.25;
/** Pause before a hang-up of unknown outcome is ordered again, ms. */
export const HANGUP_RETRY_MS = 1000;
/** How long a call to dial may take beyond the time of the attempt, ms. */
export const CALL_MARGIN_MS = 3000;
/** How long a call to hang up may take, ms: the gateway gives a peer that does not read 2 s. */
export const HANGUP_CALL_MS = 5000;
/**
 * How long a new leader waits for gateways in the registry before it orders, ms (architecture.md, "Attach": the same).
 */
export const GATHER_MS = 5000;
/**
 * How long a leader must have led without a break before it trusts the registry that a gateway is missing, ms. A store
 * that was wiped has lost the leases, too; within this time gateways write their entries again.
 */
export const TRUST_ABSENCE_MS = 5000;
/** Pauses between attempts to watch a gateway, ms: doubled each time, shortened at random. */
export const FIRST_WATCH_RETRY_MS = 100;
export const MAX_WATCH_RETRY_MS = 2000;
/** Pause before the store is asked again when it is away, ms. */
export const STORE_RETRY_MS = 1000;
/** The same problem is logged at most once in this time, ms. */
export const LOG_INTERVAL_MS = 10_000;
