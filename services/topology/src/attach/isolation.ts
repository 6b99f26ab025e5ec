import { gatewayId } from '@spanmesh/proto/gateway-id';
import type { Clock } from '@spanmesh/runtime/clock';
import type { Presence } from './presence.ts';

/** How long a leader that has stepped down does not contend for the lease, ms. */
export const STEP_DOWN_MS = 30_000;

export interface IsolationDeps {
  readonly clock: Clock;
  readonly presence: Pick<Presence, 'gateways' | 'living'>;
  /** Since when the lease has held without a break; undefined: it does not. */
  readonly leadingSince: () => number | undefined;
  /** When a gateway was last known to reach this replica: it has a stream, or has said Hello. */
  readonly reachedAt: () => number;
}

/**
 * Whether a leader is cut off from the gateways, but not from the store: gateways have joined and give signs of life, and for two ttl none
 * has reached it. Another replica may do better.
 */
export class Isolation {
  readonly #ttlMs: number;
  readonly #deps: IsolationDeps;
  /** Since when gateways have been there without reaching this replica. */
  #since: number | undefined;

  constructor({ ttlMs }: { ttlMs: number }, deps: IsolationDeps) {
    this.#ttlMs = ttlMs;
    this.#deps = deps;
  }

  /** Looks once. To be called again and again, at least twice a ttl. */
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
