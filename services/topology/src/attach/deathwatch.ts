import type { Clock } from '@spanmesh/runtime/clock';
import { SILENT_MS } from '@spanmesh/runtime/gateways/signs-of-life';
import type { GatewayId } from '@spanmesh/spantree/ids';
import type { Presence } from './presence.ts';

export interface DeathwatchDeps {
  readonly clock: Clock;
  readonly presence: Pick<Presence, 'lastSign' | 'flowingSince'>;
  /** Since when the lease has been valid without a break, monotonic; undefined: it is not. */
  readonly leadingSince: () => number | undefined;
  /** An attached gateway has a trunk to it. */
  readonly hasTrunk: (id: GatewayId) => boolean;
}

/**
 * When a gateway without a stream is dead (architecture.md, "Death"): all of these, or it lives. So neither a connection that is reset, nor
 * an outage of the bus, nor a cut between two parties is a death.
 */
export class Deathwatch {
  readonly #deps: DeathwatchDeps;

  constructor(deps: DeathwatchDeps) {
    this.#deps = deps;
  }

  /** `since`: since when it has had no stream, and nobody a trunk to it. */
  isDead({ id, since }: { readonly id: GatewayId; readonly since: number }): boolean {
    const { clock, presence, leadingSince, hasTrunk } = this.#deps;
    const leading = leadingSince();
    // Nobody's silence says anything while nobody is heard, ourselves included.
    const flowing = presence.flowingSince;
    if (leading === undefined || flowing === null) return false;
    const heard = presence.lastSign(id) ?? Number.NEGATIVE_INFINITY;
    return clock.now() - Math.max(since, leading, flowing, heard) >= SILENT_MS && !hasTrunk(id);
  }

  /** It is known to live now: by a trunk, or by a sign of life that is not older than a dead one's may be. */
  showsLife(id: GatewayId): boolean {
    const { clock, presence, hasTrunk } = this.#deps;
    const heard = presence.lastSign(id);
    return hasTrunk(id) || (heard !== undefined && clock.now() - heard < SILENT_MS);
  }
}
