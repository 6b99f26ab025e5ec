import { gatewayId } from '@spanmesh/proto/gateway-id';
import type { Clock, Timer } from '@spanmesh/runtime/clock';
import type { GatewayRecord } from '@spanmesh/runtime/gateways/registry';
import type { Random } from '@spanmesh/runtime/random';
import type { GatewayId } from '@spanmesh/spantree/ids';
import { GATHER_MS, TRUST_ABSENCE_MS } from '../limits.ts';
import { GatewayLink, type LinkSink } from './gateway-link.ts';
import type { GatewayPort } from './gateway-port.ts';
import type { GatewayView, LiveGateway } from './gateway-view.ts';

export interface FleetDependencies {
  readonly clock: Clock;
  readonly random: Random;
  /**
   * The gateways in the registry. An entry is deleted by its gateway, or by topology's leader when the gateway is dead.
   */
  readonly present: () => Iterable<GatewayRecord>;
  /** Opens a port to a gateway; null: it has no address. */
  readonly connect: (record: GatewayRecord) => GatewayPort | null;
  /** When the lease became valid for the last time, by the monotonic clock; null: it is not valid. */
  readonly leadingSince: () => number | null;
  readonly sink: LinkSink;
  /** A gateway is gone: it has neither a stream nor an entry in the registry. */
  readonly gone: (link: GatewayLink) => void;
  /** A gateway continues under another id, because topology has declared the previous one dead. */
  readonly renamed: (link: GatewayLink) => void;
  /** Time has passed while a gateway was missing: the owner must call `check`, and order what is due. */
  readonly recheck: () => void;
}

/**
 * The gateways of one leader's term (architecture.md, "Attach": how long a new leader waits). Topology decides which
 * gateways are dead, and deletes their entries in the registry.
 */
export class Fleet implements GatewayView {
  readonly #epoch: number;
  readonly #deps: FleetDependencies;
  readonly #links = new Map<string, GatewayLink>();
  readonly #since: number;
  #timer: Timer | null = null;
  #closed = false;

  constructor({ epoch }: { epoch: number }, deps: FleetDependencies) {
    this.#epoch = epoch;
    this.#deps = deps;
    this.#since = deps.clock.now();
  }

  *live(): Iterable<LiveGateway> {
    for (const link of this.#links.values()) {
      if (link.isLive && !link.draining) yield link;
    }
  }

  port(key: string): GatewayPort | null {
    return this.#links.get(key)?.port ?? null;
  }

  /** The current id of a gateway, for people. */
  idOf(key: string): string {
    return this.#links.get(key)?.id ?? key;
  }

  get size(): number {
    return this.#links.size;
  }

  /** Whether the snapshots of all gateways are complete. */
  get allHeard(): boolean {
    for (const link of this.#links.values()) {
      if (!link.heard) return false;
    }
    return true;
  }

  /** Whether the snapshots of all gateways are complete, or their time is over. */
  get gathered(): boolean {
    return this.allHeard || this.#deps.clock.now() - this.#since >= GATHER_MS;
  }

  /**
   * Finds gateways that have appeared or gone. Call it when the registry has changed, a watch has broken, the lease is
   * valid again, or time has passed.
   */
  check(): void {
    if (this.#closed) return;
    const present = new Map<string, GatewayRecord>();
    const names = new Set<string>();
    for (const record of this.#deps.present()) {
      present.set(gatewayId({ name: record.name, boot: record.firstBoot }), record);
      names.add(record.name);
    }
    for (const link of [...this.#links.values()]) {
      if (present.has(link.key)) continue;
      // Either another process of the same name has taken its place, or it has neither a watch nor an entry.
      if (names.has(link.name) || (!link.isWatched && this.#trustsAbsence())) this.#drop(link);
    }
    for (const [key, record] of present) {
      if (!this.#links.has(key)) this.#add(record);
      const link = this.#links.get(key);
      if (link === undefined) continue;
      link.draining = record.draining;
      this.#rename(link, gatewayId(record));
    }
    this.#checkAgain();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
  }

  #add(record: GatewayRecord): void {
    const { clock, random, sink } = this.#deps;
    const port = this.#deps.connect(record);
    if (port === null) return;
    const link = new GatewayLink({ ...record, epoch: this.#epoch }, { port, clock, random, sink });
    this.#links.set(link.key, link);
    link.open();
  }

  #rename(link: GatewayLink, id: GatewayId): void {
    if (link.id === id) return;
    link.id = id;
    this.#deps.renamed(link);
  }

  #drop(link: GatewayLink): void {
    this.#links.delete(link.key);
    link.close();
    this.#deps.gone(link);
  }

  #trustsAbsence(): boolean {
    const since = this.#deps.leadingSince();
    return since !== null && this.#deps.clock.now() - since >= TRUST_ABSENCE_MS;
  }

  /**
   * Checks again later while a gateway is missing from the registry or has not been heard: no other event may come when
   * its time is over.
   */
  #checkAgain(): void {
    const waiting = [...this.#links.values()].some((link) => !link.isWatched || !link.heard);
    if (!waiting || this.#timer !== null) return;
    this.#timer = this.#deps.clock.after(CHECK_MS, () => {
      this.#timer = null;
      this.#deps.recheck();
    });
  }
}

/** How often missing gateways are checked again, ms. */
const CHECK_MS = 500;
