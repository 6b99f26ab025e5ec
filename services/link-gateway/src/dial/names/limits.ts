// Limits of look-ups: host names of targets that are to be dialled.

/** Look-ups that run at a time: a socket or two each, for as long as a name server is silent. */
export const MAX_LOOK_UPS = 64;
/** Look-ups that run at a time for one asker: if its names are not answered, there is room for those of others. */
export const MAX_LOOK_UPS_PER_ASKER = 16;
/**
 * Names that wait for their turn, of all askers together; past it the last name of the asker that has most is refused.
 */
export const MAX_WAITING_LOOK_UPS = 4096;
/** Names whose addresses are remembered, for as long as their records say. */
export const MAX_REMEMBERED_NAMES = 4096;
/** Milliseconds that a name is remembered at most, whatever its record says. */
export const MAX_REMEMBERED_MS = 3_600_000;
/** Milliseconds that a look-up may take once it runs. */
export const LOOK_UP_MS = 5_000;
/** Milliseconds that the first of two tries at a name server may take. */
export const NAME_SERVER_MS = 1_500;
/**
 * Milliseconds that addresses of one family are waited for once there are some of the other (RFC 8305, "Resolution
 * Delay").
 */
export const OTHER_FAMILY_MS = 50;
/** Most suffixes of resolv.conf that are tried, as resolvers of C libraries do. */
export const MAX_SEARCH_SUFFIXES = 6;
