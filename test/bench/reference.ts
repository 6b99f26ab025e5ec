/**
 * What the reference daemon (C, optimised) reached on a machine of this kind: 2 cores, the load generator on the same two.
 * The ratios of the benchmark are against these figures; they cannot be measured where the daemon is not at hand.
 */
export const REFERENCE = {
  convergence: [
    { spans: 2_000, receivers: 64, loadSeconds: 3.0, relaysPerSecond: 42_000, flapMs: 26 },
    { spans: 10_000, receivers: 32, loadSeconds: 5.8, relaysPerSecond: 55_000, flapMs: 135 },
  ],
  /** Routed round trips of 64- to 128-byte messages, and throughput with 64 KiB of aux data each way. */
  routing: [
    { inflight: 1, aux: 0, roundTripsPerSecond: 8_600, mbPerSecond: null },
    { inflight: 32, aux: 0, roundTripsPerSecond: 145_000, mbPerSecond: null },
    { inflight: 256, aux: 0, roundTripsPerSecond: 272_000, mbPerSecond: null },
    { inflight: 1, aux: 65536, roundTripsPerSecond: null, mbPerSecond: 165 },
    { inflight: 16, aux: 65536, roundTripsPerSecond: null, mbPerSecond: 400 },
  ],
  /** Resident memory of an idle connection. */
  idleConnectionKb: 32,
} as const;
