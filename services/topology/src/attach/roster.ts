import { type GatewayName, gatewayId, gatewayName } from '@spanmesh/proto/gateway-id';
import type { Clock } from '@spanmesh/runtime/clock';
import type { GatewayId } from '@spanmesh/spantree/ids';

/** How long a gateway that a leader has heard of is waited for (architecture.md, "Attach"). */
export const GATHER_MS = 5000;
/** Gateways on the roster: far more than there can be, so that made-up names do not keep out real ones. */
export const MAX_ROSTER = 16_384;

interface Entry extends GatewayName {
  readonly heardAt: number;
  /** Since when it has had no stream; undefined: it has one. */
  silentSince: number | undefined;
  /** When a trunk to it was last known to be established. */
  trunkAt: number;
  /** Its snapshot has come in this term. */
  hasTold: boolean;
}

/** A gateway without a stream. */
export interface SilentGateway extends GatewayName {
  readonly id: GatewayId;
  /** On the leader's monotonic clock: the end of its stream, or when it was heard of first. */
  readonly silentSince: number;
  /** `silentSince`, or the end of the last trunk to it, if that was later. */
  readonly since: number;
}

/**
 * Every gateway that a leader has heard of in its term and that is not dead: those that attach, that the registry shows, that the leader
 * before had, and that others name. A list only adds; who is dead is taken off.
 */
export class Roster {
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry>();
  /** The ids of each name: a Hello may name thousands, and each is compared with those of its name. */
  readonly #byName = new Map<string, Set<string>>();
  /** Ids without a stream: mostly none. */
  readonly #silent = new Set<string>();

  constructor({ clock }: { clock: Clock }) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Somebody names it. What is no id of a gateway is passed over. */
  heard(id: GatewayId): void {
    if (this.#entries.size < MAX_ROSTER) this.#add(id);
  }

  /** It has a stream. Those are bounded elsewhere, and never missing here. */
  attached(id: GatewayId): void {
    this.#add(id);
    const entry = this.#entries.get(id);
    if (entry !== undefined) entry.silentSince = undefined;
    this.#silent.delete(id);
  }

  /** Its stream has ended. */
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

  /** Its snapshot is complete. */
  told(id: GatewayId): void {
    const entry = this.#entries.get(id);
    if (entry !== undefined) entry.hasTold = true;
  }

  /** It has no stream, but somebody has a trunk to it. */
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

  /** Another term. */
  clear(): void {
    this.#entries.clear();
    this.#byName.clear();
    this.#silent.clear();
  }

  /** Nothing needs to be waited for: it has told what it has, it is dead, or it has had its time. */
  isResolved(id: GatewayId): boolean {
    const entry = this.#entries.get(id);
    return entry === undefined || entry.hasTold || this.#clock.now() - entry.heardAt >= GATHER_MS;
  }

  /** All of them. */
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

  /** Other boots of the name. */
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
