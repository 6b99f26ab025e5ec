/** One figure of one round. */
export interface Figure {
  /** What was measured: rounds of the same are compared by it. */
  readonly row: string;
  readonly value: number;
  readonly unit: string;
  /** Otherwise more is. */
  readonly isLessBetter?: true;
  /** What the floor reached right before or after. */
  readonly floor?: number;
  /** Latency, in microseconds. */
  readonly p99Us?: number;
  /** CPU time of all processes that were measured, for each piece of work, in microseconds. */
  readonly cpuUs?: number;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[sorted.length >> 1] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[(sorted.length >> 1) - 1] ?? Number.NaN)) / 2;
}
