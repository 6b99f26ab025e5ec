/**
 * What the reference daemon (C, optimised) reached on a machine of this kind: 2 cores, the load generator on the same two.
 * The ratios of the benchmark are against these figures; they cannot be measured where the daemon is not at hand.
 */
export const REFERENCE = {
  convergence: [
    { spans: 2_000, receivers: 64, loadSeconds: 3.0, relaysPerSecond: 42_000, flapMs: 26 },
    { spans: 10_000, receivers: 32, loadSeconds: 5.8, relaysPerSecond: 55_000, flapMs: 135 },
  ],
  /** Resident memory of an idle connection. */
  idleConnectionKb: 32,
} as const;
