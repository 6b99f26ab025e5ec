/** The least that a row must reach; compared with the median of several rounds. */
export interface Target {
  /** Part of the floor's rate. */
  readonly ofFloor?: number;
  /** Multiple of the reference daemon's rate. */
  readonly ofDaemon?: number;
  /** Highest latency, microseconds. */
  readonly p99Us?: number;
  /** The value itself: the least, or where less is better the most. */
  readonly value?: number;
}

/**
 * Routing through one gateway, by row without the dialect. The floor and the daemon are measured in circuit; linkid
 * must be as good.
 */
const ROUTING: Readonly<Record<string, Target>> = {
  '1 × no aux': { ofFloor: 0.6, ofDaemon: 1 },
  '32 × no aux': { ofFloor: 0.5, ofDaemon: 2 },
  '256 × no aux': { ofFloor: 0.3, ofDaemon: 4 },
  '1 × 64 KiB': { ofFloor: 0.75 },
  '16 × 64 KiB': { ofFloor: 0.75 },
  '16 × 4 KiB': { ofFloor: 0.75 },
};

/** Routing across two gateways on one host. */
const TRUNK: Readonly<Record<string, Target>> = {
  '1 × no aux': { ofDaemon: 1 },
  '32 × no aux': { ofDaemon: 1 },
  '256 × no aux': { ofDaemon: 1 },
  '16 × 64 KiB': { ofFloor: 0.4, p99Us: 10_000 },
};

const CONVERGENCE: Readonly<Record<string, Target>> = {
  '2,000 × 8': { ofDaemon: 1 },
  '2,000 × 64': { ofDaemon: 5 },
  '10,000 × 32': { ofDaemon: 5 },
  '2,000 × 8, flaps': { value: 500 },
  '2,000 × 64, flaps': { value: 500 },
  '10,000 × 32, flaps': { value: 500 },
};

const CIPHER: Readonly<Record<string, Target>> = {
  'sealed, 64 bytes at once': { value: 100 },
  'opened, 64 bytes at once': { value: 100 },
  'sealed, 4096 bytes at once': { value: 600 },
  'opened, 4096 bytes at once': { value: 600 },
};

/** Encrypted peers compared with plaintext ones: for the rate, and for the rate of each CPU second of the gateway. */
const ENCRYPTED: Target = { ofFloor: 0.7 };

const PROCESS: Readonly<Record<string, Target>> = {
  'start to ready, a clone': { value: 1000 },
  'start to ready, the package': { value: 600 },
  'idle, the package': { value: 120 },
  'an idle connection': { value: 20 },
  'a relay': { value: 0.4 },
};

/** The target of a benchmark's row; undefined: none is set. */
export function targetOf(bench: string, row: string): Target | undefined {
  const withoutDialect = row.replace(/^(circuit|linkid) /, '');
  switch (bench) {
    case 'routing':
      return ROUTING[withoutDialect];
    case 'trunk':
      return TRUNK[withoutDialect];
    case 'convergence':
      return CONVERGENCE[withoutDialect];
    case 'cipher':
      return CIPHER[row];
    case 'encrypted':
      return ENCRYPTED;
    case 'process':
      return PROCESS[row];
    default:
      return undefined;
  }
}

/** A target as short text: `2 × daemon, 0.5 of floor`. */
export function showTarget({ ofFloor, ofDaemon, p99Us, value }: Target, isLessBetter: boolean): string {
  const parts = [
    ofDaemon !== undefined && `${ofDaemon} × daemon`,
    ofFloor !== undefined && `${ofFloor} of floor`,
    value !== undefined && `${isLessBetter ? '≤' : '≥'} ${value}`,
    p99Us !== undefined && `p99 ≤ ${p99Us / 1000} ms`,
  ];
  return parts.filter((part) => part !== false).join(', ');
}

/** The medians of a row. */
export interface Reached {
  readonly value: number;
  readonly ofFloor?: number | undefined;
  readonly ofDaemon?: number | undefined;
  readonly p99Us?: number | undefined;
}

/** Whether all parts of the target were reached; null: one of them was not measured here. */
export function isReached(target: Target, reached: Reached, isLessBetter: boolean): boolean | null {
  const checks: (boolean | null)[] = [];
  const least = (wanted: number | undefined, got: number | undefined) => {
    if (wanted !== undefined) checks.push(got === undefined ? null : got >= wanted);
  };
  least(target.ofFloor, reached.ofFloor);
  least(target.ofDaemon, reached.ofDaemon);
  if (target.value !== undefined)
    checks.push(isLessBetter ? reached.value <= target.value : reached.value >= target.value);
  if (target.p99Us !== undefined) checks.push(reached.p99Us === undefined ? null : reached.p99Us <= target.p99Us);
  if (checks.includes(false)) return false;
  return checks.includes(null) ? null : true;
}
