import { gatewayId } from '@spanmesh/proto/gateway-id';
import type { Clock } from '@spanmesh/runtime/clock';
import type { Presence } from './presence.ts';

/** How long a leader that has stepped down does not contend for the lease, ms. */
export const STEP_DOWN_MS = 30_000;

export interface IsolationDeps {
  readonly clock: Clock;
  readonly presence: Pick<Presence, 'gateways' | 'living'>;
  /** When the lease became valid for the last time; undefined: it is not valid. */
  readonly leadingSince: () => number | undefined;
  /** When a gateway last reached this replica, with a stream or a Hello. */
  readonly reachedAt: () => number;
}

/**
 * Detects that a leader can reach the store but not the gateways: gateways have joined and give signs of life, but for
 * two ttl none has reached this leader. Another replica may do better.
 */
export class Isolation {
  readonly #ttlMs: number;
  readonly #deps: IsolationDeps;
  /** Since when gateways give signs of life without reaching this replica. */
  #since: number | undefined;

  constructor({ ttlMs }: { ttlMs: number }, deps: IsolationDeps) {
    this.#ttlMs = ttlMs;
    this.#deps = deps;
  }

  /** Whether the leader is cut off now. Read it regularly, at least twice a ttl. */
  get isCutOff(): boolean {
    const { clock, presence, leadingSince, reachedAt } = this.#deps;
    const leading = leadingSince();
    const living = new Set(presence.living('link-gateway').map(({ id }) => id));
    const areThere = presence.gateways().some((record) => living.has(gatewayId(record)));
    if (leading === undefined || !areThere) {
      this.#since = undefined;
      return false;
    }
    const now = clock.now();
    this.#since ??= now;
    return now - Math.max(leading, this.#since, reachedAt()) >= 2 * this.#ttlMs;
  }
}
