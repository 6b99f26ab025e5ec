import type { Clock } from '@spanmesh/runtime/clock';
import { SILENT_MS } from '@spanmesh/runtime/gateways/signs-of-life';
import type { GatewayId } from '@spanmesh/spantree/ids';
import type { Presence } from './presence.ts';

export interface DeathwatchDeps {
  readonly clock: Clock;
  readonly presence: Pick<Presence, 'lastSign' | 'flowingSince'>;
  /** When the lease became valid for the last time, by the monotonic clock; undefined: it is not valid. */
  readonly leadingSince: () => number | undefined;
  /** Whether an attached gateway has a trunk to this one. */
  readonly hasTrunk: (id: GatewayId) => boolean;
}

/**
 * Decides whether a gateway without a stream is dead: only if all conditions of architecture.md ("Death") hold. So a
 * reset connection, an outage of the bus, or a cut between two processes is no death.
 */
export class Deathwatch {
  readonly #deps: DeathwatchDeps;

  constructor(deps: DeathwatchDeps) {
    this.#deps = deps;
  }

  /** `since`: when its stream or the last trunk to it ended, whichever was later. */
  isDead({ id, since }: { readonly id: GatewayId; readonly since: number }): boolean {
    const { clock, presence, leadingSince, hasTrunk } = this.#deps;
    const leading = leadingSince();
    // While no signs of life arrive at all, not even our own, a gateway's silence says nothing.
    const flowing = presence.flowingSince;
    if (leading === undefined || flowing === null) return false;
    const heard = presence.lastSign(id) ?? Number.NEGATIVE_INFINITY;
    return clock.now() - Math.max(since, leading, flowing, heard) >= SILENT_MS && !hasTrunk(id);
  }

  /**
   * Whether the gateway is known to live now: by a trunk, or by a sign of life that is younger than a dead gateway's
   * may be.
   */
  showsLife(id: GatewayId): boolean {
    const { clock, presence, hasTrunk } = this.#deps;
    const heard = presence.lastSign(id);
    return hasTrunk(id) || (heard !== undefined && clock.now() - heard < SILENT_MS);
  }
}
