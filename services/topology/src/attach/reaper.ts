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

/** Dead gateways that are remembered, for people; the oldest are forgotten first. */
export const MAX_DEAD_SHOWN = 256;

/** A gateway that was declared dead and has not returned. */
export interface DeadGateway {
  readonly id: GatewayId;
  /** Since when it has been silent, by the monotonic clock. */
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
  /** Reports to all attached gateways that this one is gone. */
  readonly gone: (id: GatewayId) => void;
}

/** Declares gateways dead, which only a leader may do, and removes their objects. */
export class Reaper {
  /** Gateways declared dead so far; goodbyes do not count. */
  declared = 0;
  readonly #deps: ReaperDeps;
  /** The dead gateways by name. */
  readonly #dead = new Map<string, DeadGateway>();

  constructor(deps: ReaperDeps) {
    this.#deps = deps;
  }

  /** Whether a gateway without a stream may be dead, or may die. */
  get isWaiting(): boolean {
    return this.#deps.roster.isAnybodySilent;
  }

  /** Declares the dead ones of the gateways without a stream dead. Call it regularly, while the lease holds. */
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

  /** Removes a gateway that is dead or has said goodbye. Its id may not attach again in this term. */
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

  /** Another gateway names this one. If another boot has its name, it is declared dead, unless it shows life. */
  *hearing(id: GatewayId): Job<void> {
    const { roster, graves, state, deathwatch } = this.#deps;
    const name = gatewayName(id);
    if (name === null || graves.has(id)) return;
    const isReplaced = roster.rivals(name).some((rival) => state.gateways.has(rival) && roster.hasStream(rival));
    if (isReplaced && !roster.hasStream(id) && !deathwatch.showsLife(id)) yield* this.declaringDead(id);
    else roster.heard(id);
  }

  /** A gateway of this name has attached: earlier ones are not shown any more. */
  isBack(name: string): void {
    this.#dead.delete(name);
  }

  /** Gateways that were declared dead and have not returned, the oldest first. */
  dead(): Iterable<DeadGateway> {
    return this.#dead.values();
  }

  /** Forgets everything at the end of a term: the next leader decides anew. */
  clear(): void {
    this.#deps.graves.clear();
    this.#deps.roster.clear();
    this.#dead.clear();
  }

  /** Reads the registry: deletes entries of dead gateways once more, and puts the other gateways on the roster. */
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
