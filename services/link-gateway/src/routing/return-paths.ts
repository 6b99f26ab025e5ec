import type { Clock, Timer } from '@spanmesh/runtime/clock';
import type { Peer, Relay, RelaySource } from '../peers/peer.ts';
import type { Relays } from '../peers/relays.ts';
import type { LinkidRoute } from './linkid-route.ts';
import { useOf } from './relay-use.ts';
import type { ReturnPathUser } from './return-path-user.ts';

/** protocol.md, "Routing, linkid": not past dist 16. */
const MAX_DIST = 16;
/** Offset of dist in the payload of a LNK_SPAN (protocol.md, "Payloads", less 64). */
const DIST = 48;
/** Shortest interval between two sweeps, milliseconds. */
const MIN_SWEEP_MS = 50;

export interface ReturnPathsDependencies {
  readonly relays: Pick<Relays, 'returnPath' | 'closeUnused'>;
  readonly clock: Clock;
}

/**
 * Keeps the return paths of linkid routes (protocol.md, "Routing, linkid"): opened when needed, closed once unused for
 * the idle time. Closes idle routes, too.
 */
export class ReturnPaths {
  /** All linkid routes that begin at peers of this gateway. */
  readonly routes = new Set<LinkidRoute>();

  readonly #idleMs: number;
  readonly #relays: Pick<Relays, 'returnPath' | 'closeUnused'>;
  readonly #clock: Clock;
  /**
   * Relays open on demand, which are closed once idle. A relay that topology wants meanwhile is removed at the next
   * sweep.
   */
  readonly #onDemand = new Set<Relay>();
  #sweep: Timer | null = null;

  constructor(options: { readonly idleMs: number }, { relays, clock }: ReturnPathsDependencies) {
    this.#idleMs = options.idleMs;
    this.#relays = relays;
    this.#clock = clock;
  }

  /** Number of relays open on demand. */
  get onDemand(): number {
    return this.#onDemand.size;
  }

  /**
   * Opens (or finds) the relay of `source` on the peer's connection, and counts it as used by `user` from now on. null:
   * the peer has no LNK_CONN, has refused it, or the source is too far away.
   */
  open(source: RelaySource, peer: Peer, user: ReturnPathUser, now: number): Relay | null {
    if (source.payload.readInt32LE(DIST) > MAX_DIST) return null;
    const relay = this.#relays.returnPath(source, peer);
    if (relay === null || relay.tx === null) return null;
    const use = useOf(relay);
    use.returns.add(user);
    use.usedAt = now;
    if (!relay.wanted) this.#onDemand.add(relay);
    this.#arm();
    return relay;
  }

  /**
   * `user` does not need the return path any more. `usedAt`: when it last used it, milliseconds of the monotonic clock.
   */
  release(relay: Relay, user: ReturnPathUser, usedAt: number): void {
    const use = useOf(relay);
    if (!use.returns.delete(user)) return;
    use.usedAt = Math.max(use.usedAt, usedAt);
    // Topology may have given up the relay meanwhile, so that only this use kept it open. What used a relay that has
    // closed may end later, in slices.
    if (relay.wanted || relay.closed) return;
    this.#onDemand.add(relay);
    // While topology wanted the relay it may not have been in this table, and no sweep was due.
    this.#arm();
  }

  /** Forgets a relay that has closed. At once, because a peer can open and close very many between two sweeps. */
  forget(relay: Relay): void {
    this.#onDemand.delete(relay);
  }

  /** Adds a route, which is closed once idle. */
  add(route: LinkidRoute): void {
    this.routes.add(route);
    this.#arm();
  }

  stop(): void {
    this.#sweep?.cancel();
    this.#sweep = null;
  }

  #arm(): void {
    this.#sweep ??= this.#clock.after(Math.max(MIN_SWEEP_MS, this.#idleMs / 2), () => this.#run());
  }

  #run(): void {
    this.#sweep = null;
    const before = this.#clock.now() - this.#idleMs;
    for (const route of this.routes) if (route.open === 0 && route.usedAt <= before) route.close();
    for (const relay of this.#onDemand) {
      const use = useOf(relay);
      if (relay.wanted) this.#onDemand.delete(relay);
      else if (!use.isUsed && use.usedAt <= before) {
        this.#onDemand.delete(relay);
        this.#relays.closeUnused(relay);
      }
    }
    if (this.routes.size > 0 || this.#onDemand.size > 0) this.#arm();
  }
}
