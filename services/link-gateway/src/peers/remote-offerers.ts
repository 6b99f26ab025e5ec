import type { Job } from '@spanmesh/runtime/grpc/slices';
import type { Holding } from '@spanmesh/runtime/shares/pool';
import type { Endings } from '../shares/endings.ts';
import type { GatewayShares, ShareHolder } from '../shares/gateway-shares.ts';
import type { Offerer, RelaySource } from './peer.ts';
import type { Relays } from './relays.ts';

export interface RemoteOfferersDependencies {
  readonly shares: Pick<GatewayShares, 'offered' | 'remoteLinks'>;
  readonly relays: Pick<Relays, 'closingAllOf'>;
  readonly endings: Pick<Endings, 'run'>;
}

/**
 * A principal that offers links at other gateways, with those of its links that are known here. It is charged for their
 * relays on this gateway.
 */
class RemoteOfferer implements ShareHolder, Offerer {
  readonly principal: string;
  readonly links = new Set<RelaySource>();
  /** Counts the relays of these links on this gateway. */
  readonly holding: Holding<ShareHolder>;
  readonly #deps: RemoteOfferersDependencies;
  #isWithheld = false;

  constructor(principal: string, deps: RemoteOfferersDependencies) {
    this.principal = principal;
    this.#deps = deps;
    this.holding = deps.shares.offered.open(principal, this);
  }

  /** Its links had too many relays here and were all closed. True until the last of its links known here is gone. */
  get isWithheld(): boolean {
    return this.#isWithheld;
  }

  /**
   * The principal's share is exceeded: closes all relays of its links on this gateway. Its connections are at other
   * gateways and stay. Topology is not told: it goes on counting these relays as open, so it opens no other links in
   * their place.
   */
  close(): void {
    if (this.#isWithheld) return;
    this.#isWithheld = true;
    const { shares, endings } = this.#deps;
    shares.offered.close(this.holding);
    endings.run(this.principal, this.#closing());
  }

  *#closing(): Job<void> {
    for (const source of this.links) yield yield* this.#deps.relays.closingAllOf(source);
  }
}

/** The principals that offer links at other gateways; one is kept as long as a link of it is known here. */
export class RemoteOfferers {
  readonly #deps: RemoteOfferersDependencies;
  readonly #offerers = new Map<string, RemoteOfferer>();

  constructor(deps: RemoteOfferersDependencies) {
    this.#deps = deps;
  }

  get size(): number {
    return this.#offerers.size;
  }

  /** Records which principal offers this link. `principal` is empty if the leader does not know it. */
  learn(source: RelaySource, principal: string): void {
    if (principal === '' || source.offerer !== null) return;
    const { shares } = this.#deps;
    let offerer = this.#offerers.get(principal);
    if (offerer === undefined) {
      offerer = new RemoteOfferer(principal, this.#deps);
      this.#offerers.set(principal, offerer);
    }
    source.offerer = offerer;
    offerer.links.add(source);
    shares.remoteLinks.set(principal, offerer.links.size);
    // Relays of the link that are open already were opened on demand.
    shares.offered.count(offerer.holding, source.relays.size);
  }

  /** The link is forgotten here; it has no relay any more. */
  forget(source: RelaySource): void {
    const { offerer } = source;
    if (offerer === null) return;
    const { principal, links, holding } = offerer;
    const { shares } = this.#deps;
    source.offerer = null;
    links.delete(source);
    if (links.size > 0) {
      shares.remoteLinks.set(principal, links.size);
      return;
    }
    shares.remoteLinks.delete(principal);
    shares.offered.close(holding);
    this.#offerers.delete(principal);
  }
}
