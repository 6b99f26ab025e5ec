/**
 * The results of the reference daemon (C, optimised) on machines of this kind: 2 cores, shared with the load generator.
 * Recorded, because the daemon is not available everywhere.
 */
export const REFERENCE: {
  /** Its rate as a part of the floor's, by row without the dialect. Both were measured in one run. */
  readonly daemonOfFloor: Readonly<Record<string, number>>;
  /** Number of relays that it opens a second, by row without the dialect. */
  readonly daemonRelaysPerSecond: Readonly<Record<string, number>>;
} = {
  daemonOfFloor: {
    '1 × no aux': 8.2 / 15,
    '32 × no aux': 106 / 389,
    '256 × no aux': 159 / 1370,
    '1 × 64 KiB': 92 / 447,
    '16 × 64 KiB': 199 / 1267,
    '16 × 4 KiB': 206 / 710,
  },
  daemonRelaysPerSecond: { '2,000 × 8': 125_000, '2,000 × 64': 78_000, '10,000 × 32': 76_000 },
};
