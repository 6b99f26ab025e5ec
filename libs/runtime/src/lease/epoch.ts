// Epochs of leaders (architecture.md, "Lease"): one width everywhere, uint64 on the wire and an integer below 2^53
// here.

/** Highest epoch ever accepted: above it, a double still counts exactly for longer than anything runs. */
export const MAX_EPOCH = 2 ** 48;
/**
 * How far ahead a claimed epoch may be, in seconds: ten years. A new term's epoch is at least the seconds of the wall
 * clock, so an honest one is ahead only as far as clocks differ.
 */
export const MOST_AHEAD_S = 10 * 366 * 86_400;

/** The lowest epoch for a term that begins at this time of the wall clock (milliseconds since 1970). */
export function epochOfClock(wallMs: number): number {
  // Even by a wrong clock, room for higher epochs must be left.
  return Math.min(Math.max(1, Math.floor(wallMs / 1000)), MAX_EPOCH / 2);
}

/**
 * Whether a term may have this epoch, judged by the wall clock and by the highest epoch known to have existed
 * (`known`). Anybody can make up an epoch. A leader that rose above it would leave no room for later ones, or would no
 * longer believe others.
 */
export function isBelievableEpoch(epoch: number, { known, wallMs }: { known: number; wallMs: number }): boolean {
  return Number.isInteger(epoch) && epoch >= 0 && epoch <= Math.max(known, epochOfClock(wallMs)) + MOST_AHEAD_S;
}
