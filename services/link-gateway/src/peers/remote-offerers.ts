import type { Job } from '@spanmesh/runtime/grpc/slices';
import type { Holding, PoolLimit } from '@spanmesh/runtime/shares/pool';
import type { Endings } from '../shares/endings.ts';
import type { GatewayShares, ShareHolder } from '../shares/gateway-shares.ts';
import { MAX_WITHHELD_TOLD } from '../shares/limits.ts';
import type { Offerer, RelaySource } from './peer.ts';
import type { PeerReports } from './peer-reports.ts';
import type { Relays } from './relays.ts';

export interface RemoteOfferersDependencies {
  readonly reports: Pick<PeerReports, 'offerersWithheld'>;
  /** One has had too many: told for as long as that is so, until what is returned is called. */
  readonly withholds: (limit: PoolLimit) => () => void;
  readonly shares: Pick<GatewayShares, 'offered' | 'remoteLinks'>;
  readonly relays: Pick<Relays, 'closingAllOf'>;
  readonly endings: Pick<Endings, 'run'>;
}

interface RemoteOffererDependencies extends RemoteOfferersDependencies {
  /** It is withheld, or was and is gone. */
  readonly changed: () => void;
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
  readonly #deps: RemoteOffererDependencies;
  /** Ends what is told of it; null: it is not withheld. */
  #told: (() => void) | null = null;

  constructor(principal: string, deps: RemoteOffererDependencies) {
    this.principal = principal;
    this.#deps = deps;
    this.holding = deps.shares.offered.open(principal, this);
  }

  /** Its links had too many relays here and were all closed. True until the last of its links known here is gone. */
  get isWithheld(): boolean {
    return this.#told !== null;
  }

  /**
   * Its connections are those of other gateways, and stay. Topology hears of it, and wants the relays as before: no
   * other in their place.
   */
  close(_reason: 'receive-limit' | 'share', { resource, bound, principal, held, limit }: PoolLimit): void {
    if (this.#told !== null) return;
    const { shares, endings, withholds, changed } = this.#deps;
    this.#told = withholds({ resource, bound, principal, held, limit });
    changed();
    shares.offered.close(this.holding);
    endings.run(this.principal, this.#closing());
  }

  /** None of its links is known any more. */
  gone(): void {
    const told = this.#told;
    if (told === null) return;
    this.#told = null;
    told();
    this.#deps.changed();
  }

  *#closing(): Job<void> {
    for (const source of this.links) yield yield* this.#deps.relays.closingAllOf(source);
  }
}

/** The principals that offer links at other gateways; one is kept as long as a link of it is known here. */
export class RemoteOfferers {
  readonly #deps: RemoteOffererDependencies;
  readonly #offerers = new Map<string, RemoteOfferer>();

  constructor(deps: RemoteOfferersDependencies) {
    const changed = () => deps.reports.offerersWithheld(() => this.withheld());
    this.#deps = { ...deps, changed };
  }

  get size(): number {
    return this.#offerers.size;
  }

  /** The principals that are, so many at most as topology is told of. */
  withheld(): string[] {
    const all: string[] = [];
    for (const { principal, isWithheld } of this.#offerers.values()) {
      if (isWithheld && all.push(principal) === MAX_WITHHELD_TOLD) break;
    }
    return all;
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
    if (source.offerer === null) return;
    const { principal, links, holding } = source.offerer;
    const { shares } = this.#deps;
    source.offerer = null;
    links.delete(source);
    if (links.size > 0) {
      shares.remoteLinks.set(principal, links.size);
      return;
    }
    shares.remoteLinks.delete(principal);
    shares.offered.close(holding);
    const offerer = this.#offerers.get(principal);
    this.#offerers.delete(principal);
    offerer?.gone();
  }
}
