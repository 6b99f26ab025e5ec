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
/** Finest step of the sweep, in milliseconds. */
const MIN_SWEEP_MS = 50;

export interface ReturnPathsDependencies {
  readonly relays: Pick<Relays, 'returnPath' | 'closeUnused'>;
  readonly clock: Clock;
}

/** Return paths of linkid routes (protocol.md, "Routing, linkid"): opened when needed, closed once unused and idle. */
export class ReturnPaths {
  /** Every route of this gateway. */
  readonly routes = new Set<LinkidRoute>();

  readonly #idleMs: number;
  readonly #relays: Pick<Relays, 'returnPath' | 'closeUnused'>;
  readonly #clock: Clock;
  /** Relays that may have to be closed: those that have been opened on demand, until they are not. */
  readonly #onDemand = new Set<Relay>();
  #sweep: Timer | null = null;

  constructor(options: { readonly idleMs: number }, { relays, clock }: ReturnPathsDependencies) {
    this.#idleMs = options.idleMs;
    this.#relays = relays;
    this.#clock = clock;
  }

  /** Relays that were opened on demand and are still. */
  get onDemand(): number {
    return this.#onDemand.size;
  }

  /** The relay of `source` on the connection, in use by `user` from now on; null: there can be none. */
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

  /** `user` does not need it any more. `usedAt`: when it last did. */
  release(relay: Relay, user: ReturnPathUser, usedAt: number): void {
    const use = useOf(relay);
    if (!use.returns.delete(user)) return;
    use.usedAt = Math.max(use.usedAt, usedAt);
    // Topology may have closed it meanwhile, so that only its use kept it.
    if (relay.wanted) return;
    this.#onDemand.add(relay);
    // While it was wanted nobody looked at it.
    this.#arm();
  }

  /** A route is there: it goes when it is idle. */
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
      if (relay.closed || relay.wanted) this.#onDemand.delete(relay);
      else if (!use.isUsed && use.usedAt <= before) {
        this.#onDemand.delete(relay);
        this.#relays.closeUnused(relay);
      }
    }
    if (this.routes.size > 0 || this.#onDemand.size > 0) this.#arm();
  }
}
