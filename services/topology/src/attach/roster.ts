import { type GatewayName, gatewayId, gatewayName } from '@spanmesh/proto/gateway-id';
import type { Clock } from '@spanmesh/runtime/clock';
import type { GatewayId } from '@spanmesh/spantree/ids';

/** How long a leader waits for a gateway that it has heard of, ms (architecture.md, "Attach"). */
export const GATHER_MS = 5000;
/** Gateways on the roster: far more than an installation can have, so that invented names do not keep out real ones. */
export const MAX_ROSTER = 16_384;

/** A gateway on the roster. */
interface Entry extends GatewayName {
  readonly heardAt: number;
  /** Since when it has had no stream; undefined: it has one. */
  silentSince: number | undefined;
  /** When a trunk to it was last known to be established. */
  trunkAt: number;
  /** Whether its snapshot has come in this term. */
  hasTold: boolean;
}

/** A gateway without a stream. */
export interface SilentGateway extends GatewayName {
  readonly id: GatewayId;
  /** When its stream ended, or when it was first heard of, by the leader's monotonic clock. */
  readonly silentSince: number;
  /** `silentSince`, or the end of the last trunk to it, if that was later. */
  readonly since: number;
}

/**
 * The gateways that a leader has heard of in its term and that are not dead: those that attach, that are in the
 * registry, that the previous leader had, and that other gateways name. These sources only add gateways; only death
 * removes one.
 */
export class Roster {
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry>();
  /** The ids of each name. A Hello may name thousands, each of which is compared with the ids of its name only. */
  readonly #byName = new Map<string, Set<string>>();
  /** Ids without a stream: usually few. */
  readonly #silent = new Set<string>();

  constructor({ clock }: { clock: Clock }) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Another process names this gateway. An invalid id is ignored. */
  heard(id: GatewayId): void {
    if (this.#entries.size < MAX_ROSTER) this.#add(id);
  }

  /** The gateway has a stream. Streams have a limit of their own, so it is added even if the roster is full. */
  attached(id: GatewayId): void {
    this.#add(id);
    const entry = this.#entries.get(id);
    if (entry !== undefined) entry.silentSince = undefined;
    this.#silent.delete(id);
  }

  /** The gateway's stream has ended. */
  detached(id: GatewayId): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    entry.silentSince ??= this.#clock.now();
    this.#silent.add(id);
  }

  hasStream(id: GatewayId): boolean {
    const entry = this.#entries.get(id);
    return entry !== undefined && entry.silentSince === undefined;
  }

  /** The gateway's snapshot is complete. */
  told(id: GatewayId): void {
    const entry = this.#entries.get(id);
    if (entry !== undefined) entry.hasTold = true;
  }

  /** The gateway has no stream, but another gateway has a trunk to it. */
  hasTrunk(id: GatewayId): void {
    const entry = this.#entries.get(id);
    if (entry !== undefined) entry.trunkAt = this.#clock.now();
  }

  remove(id: GatewayId): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#entries.delete(id);
    this.#silent.delete(id);
    const ids = this.#byName.get(entry.name);
    if (ids?.delete(id) === true && ids.size === 0) this.#byName.delete(entry.name);
  }

  /** Forgets all gateways: another term begins. */
  clear(): void {
    this.#entries.clear();
    this.#byName.clear();
    this.#silent.clear();
  }

  /** Whether the leader need not wait for the gateway: it has reported its objects, is dead, or its time is over. */
  isResolved(id: GatewayId): boolean {
    const entry = this.#entries.get(id);
    return entry === undefined || entry.hasTold || this.#clock.now() - entry.heardAt >= GATHER_MS;
  }

  /** Whether the leader need not wait for any of them. */
  get areResolved(): boolean {
    for (const id of this.#entries.keys()) if (!this.isResolved(id)) return false;
    return true;
  }

  get isAnybodySilent(): boolean {
    return this.#silent.size > 0;
  }

  *silent(): Iterable<SilentGateway> {
    for (const id of this.#silent) {
      const entry = this.#entries.get(id);
      if (entry?.silentSince === undefined) continue;
      const { name, boot, silentSince, trunkAt } = entry;
      yield { id, name, boot, silentSince, since: Math.max(silentSince, trunkAt) };
    }
  }

  /** The ids of other boots of the name. */
  rivals({ name, boot }: GatewayName): string[] {
    const own = gatewayId({ name, boot });
    return [...(this.#byName.get(name) ?? [])].filter((id) => id !== own);
  }

  #add(id: GatewayId): void {
    if (this.#entries.has(id)) return;
    const name = gatewayName(id);
    const now = this.#clock.now();
    if (name === null) return;
    this.#entries.set(id, { ...name, heardAt: now, silentSince: now, trunkAt: now, hasTold: false });
    this.#silent.add(id);
    const ids = this.#byName.get(name.name);
    if (ids === undefined) this.#byName.set(name.name, new Set([id]));
    else ids.add(id);
  }
}
