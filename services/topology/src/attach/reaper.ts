import { gatewayId, gatewayName } from '@spanmesh/proto/gateway-id';
import type { Clock } from '@spanmesh/runtime/clock';
import type { Job } from '@spanmesh/runtime/grpc/slices';
import type { Logger } from '@spanmesh/runtime/log/logger';
import type { GatewayId } from '@spanmesh/spantree/ids';
import type { State } from '../trees/state.ts';
import type { Deathwatch } from './deathwatch.ts';
import type { Graves } from './graves.ts';
import type { MemberEvents } from './member-events.ts';
import type { Presence } from './presence.ts';
import type { Roster } from './roster.ts';

/** Dead gateways that are remembered for people to see; the oldest go first. */
export const MAX_DEAD_SHOWN = 256;

/** A gateway that was declared dead and has not come back. */
export interface DeadGateway {
  readonly id: GatewayId;
  /** Since when it has been silent, monotonic. */
  readonly since: number;
}

export interface ReaperDeps {
  readonly roster: Roster;
  readonly graves: Graves;
  readonly deathwatch: Deathwatch;
  readonly state: State;
  readonly presence: Pick<Presence, 'gateways' | 'remove'>;
  readonly members: Pick<MemberEvents, 'gatewayDead'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** All attached gateways are to be told that this one is gone. */
  readonly gone: (id: GatewayId) => void;
}

/** Declares gateways dead, which only a leader may, and removes what they held. */
export class Reaper {
  /** Gateways that were declared dead so far; a goodbye does not count. */
  declared = 0;
  readonly #deps: ReaperDeps;
  /** By name. */
  readonly #dead = new Map<string, DeadGateway>();

  constructor(deps: ReaperDeps) {
    this.#deps = deps;
  }

  /** Somebody without a stream may have died, or will. */
  get isWaiting(): boolean {
    return this.#deps.roster.isAnybodySilent;
  }

  /** Looks at the gateways without a stream. To be done again and again, while the lease holds. */
  *reaping(): Job<void> {
    const { roster, deathwatch, state, members, clock, logger } = this.#deps;
    for (const { id, name, since, silentSince } of [...roster.silent()]) {
      if (state.hasTrunk(id)) roster.hasTrunk(id);
      else if (deathwatch.isDead({ id, since })) {
        this.declared++;
        logger.warn({ gateway: id, silentMs: Math.round(clock.now() - silentSince) }, 'gateway is dead');
        members.gatewayDead(id, clock.now() - silentSince);
        yield* this.declaringDead(id);
        this.#note(name, { id, since: silentSince });
      }
    }
  }

  /** The gateway is gone for good: dead, or it has said goodbye. Its id is not taken on again in this term. */
  *declaringDead(id: GatewayId): Job<void> {
    const { roster, graves, state, presence, gone } = this.#deps;
    graves.add(id);
    roster.remove(id);
    const gateway = state.gateways.get(id);
    if (gateway !== undefined) yield* state.removing(gateway);
    else state.forgetWaiting(id);
    gone(id);
    const name = gatewayName(id);
    if (name !== null) presence.remove(name.name, name.boot);
  }

  /** Somebody names a gateway. One whose name has been taken over by another boot is dead, unless it shows life. */
  *hearing(id: GatewayId): Job<void> {
    const { roster, graves, state, deathwatch } = this.#deps;
    const name = gatewayName(id);
    if (name === null || graves.has(id)) return;
    const isReplaced = roster.rivals(name).some((rival) => state.gateways.has(rival) && roster.hasStream(rival));
    if (isReplaced && !roster.hasStream(id) && !deathwatch.showsLife(id)) yield* this.declaringDead(id);
    else roster.heard(id);
  }

  /** A gateway of the name has come: nobody misses an earlier one. */
  isBack(name: string): void {
    this.#dead.delete(name);
  }

  /** Gateways that were declared dead and have not come back, the oldest first. */
  dead(): Iterable<DeadGateway> {
    return this.#dead.values();
  }

  /** A term is over: another leader judges anew. */
  clear(): void {
    this.#deps.graves.clear();
    this.#deps.roster.clear();
    this.#dead.clear();
  }

  /** Reads the registry: entries of dead gateways are deleted once more, the other gateways have been heard of. */
  *registering(): Job<void> {
    const { graves, presence } = this.#deps;
    for (const { name, boot } of presence.gateways()) {
      const id = gatewayId({ name, boot });
      if (graves.has(id)) presence.remove(name, boot);
      else yield* this.hearing(id);
    }
  }

  #note(name: string, dead: DeadGateway): void {
    this.#dead.delete(name);
    this.#dead.set(name, dead);
    if (this.#dead.size <= MAX_DEAD_SHOWN) return;
    const oldest = this.#dead.keys().next();
    if (oldest.done !== true) this.#dead.delete(oldest.value);
  }
}
