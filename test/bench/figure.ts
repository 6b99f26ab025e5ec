/** One figure of one round. */
export interface Figure {
  /** What was measured. Figures with the same `row` are compared. */
  readonly row: string;
  readonly value: number;
  readonly unit: string;
  /** True: less is better. Default: more is better. */
  readonly isLessBetter?: true;
  /** The value that the floor (native/floor.c) reached right before or after. */
  readonly floor?: number;
  /** Latency, in microseconds. */
  readonly p99Us?: number;
  /** CPU time of all measured processes for each piece of work, in microseconds. */
  readonly cpuUs?: number;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[sorted.length >> 1] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[(sorted.length >> 1) - 1] ?? Number.NaN)) / 2;
}
