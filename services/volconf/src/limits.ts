// Limits of volconf, and why there is a bound. The ones that an operator may want to change are defaults of settings.ts.

/** Slots of a media (protocol.md, "The link layer" 3). */
export const SLOTS_PER_MEDIA = 256;
/** Slots of all media together: about 2 KiB each. */
export const DEFAULT_MAX_SLOTS = 65_536;
/** Attempts at a time: each is a call to a gateway, and a socket there. */
export const DEFAULT_MAX_DIALS = 256;
/** Targets that operators may set: each is a line of a file, or a message of the store. */
export const MAX_OPERATOR_TARGETS = 10_000;
/** Hosts that the autoconn file may name: each is a connection for ever. */
export const MAX_AUTOCONN_HOSTS = 4096;
/** Largest autoconn file, bytes: read as a whole. */
export const MAX_AUTOCONN_BYTES = 1_048_576;
/** How often the autoconn file is looked at, ms. */
export const AUTOCONN_LOOK_MS = 5000;
/** Watches of targets at a time: each remembers the names that it has not read yet. */
export const MAX_WATCHES = 1000;
/** Watches of one user, or of one address if nobody is known by a name. */
export const MAX_WATCHES_PER_USER = 500;

/** Due times are rounded up to this, ms, so that many targets share a timer. */
export const TIMER_QUANTUM_MS = 20;
/** Part of a pause by which it is shortened at most, at random, so that targets do not stay in step. */
export const JITTER_PART = 0.25;
/** How soon a hang-up of unknown outcome is ordered again, ms. */
export const HANGUP_RETRY_MS = 1000;
/** How long a gateway may take to answer beyond what an attempt may take, ms. */
export const CALL_MARGIN_MS = 3000;
/** How long a gateway may take to hang up, ms: a peer that does not read is given 2 s there. */
export const HANGUP_CALL_MS = 5000;
/** How long a new leader waits for gateways that it knows to exist before it orders (architecture.md, "Attach": the same). */
export const GATHER_MS = 5000;
/**
 * How long a leader must have led without a break before it believes the registry about a missing gateway: a store that was wiped has lost
 * the leases, too, and gateways write their entries again.
 */
export const TRUST_ABSENCE_MS = 5000;
/** Pauses between attempts to watch a gateway: doubled each time, shortened at random, ms. */
export const FIRST_WATCH_RETRY_MS = 100;
export const MAX_WATCH_RETRY_MS = 2000;
/** How soon the store is asked again when it is away, ms. */
export const STORE_RETRY_MS = 1000;
/** The same trouble is logged once in this time, ms. */
export const LOG_INTERVAL_MS = 10_000;
