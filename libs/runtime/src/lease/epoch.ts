// Epochs of leaders (architecture.md, "Lease"): one width everywhere, uint64 on the wire and an integer below 2^53 here.

/** Highest epoch that is ever taken: a double counts on from here for longer than anything runs. */
export const MAX_EPOCH = 2 ** 48;
/**
 * How far an epoch that somebody speaks of may be ahead, in seconds: ten years. A term takes the seconds of the wall clock at least, so
 * an honest one is ahead only by what clocks differ.
 */
export const MOST_AHEAD_S = 10 * 366 * 86_400;

/** What the wall clock (milliseconds since 1970) says that a term which begins now has at least. */
export function epochOfClock(wallMs: number): number {
  // A clock far off must leave room to rise from, too.
  return Math.min(Math.max(1, Math.floor(wallMs / 1000)), MAX_EPOCH / 2);
}

/**
 * Whether a term may have this epoch, by the wall clock and by the highest one (`known`) that is known to have been: anybody can make
 * one up, and a leader that rose above it would leave no room, or end what it is told by everybody else.
 */
export function isBelievableEpoch(epoch: number, { known, wallMs }: { known: number; wallMs: number }): boolean {
  return Number.isInteger(epoch) && epoch >= 0 && epoch <= Math.max(known, epochOfClock(wallMs)) + MOST_AHEAD_S;
}
