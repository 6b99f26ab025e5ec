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

/** Who offers links at other gateways, as far as they are known here. */
class RemoteOfferer implements ShareHolder, Offerer {
  readonly principal: string;
  readonly links = new Set<RelaySource>();
  /** Of the relays of these links on this gateway. */
  readonly holding: Holding<ShareHolder>;
  readonly #deps: RemoteOfferersDependencies;
  #isWithheld = false;

  constructor(principal: string, deps: RemoteOfferersDependencies) {
    this.principal = principal;
    this.#deps = deps;
    this.holding = deps.shares.offered.open(principal, this);
  }

  /** It has had too many relays here: none of its links has any, as long as one of those that are known is. */
  get isWithheld(): boolean {
    return this.#isWithheld;
  }

  /** Its connections are those of other gateways, and stay. Nobody is told: for topology the relays are open, and no other is wanted. */
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

/** Those of one gateway, by principal: there as long as a link of them is known. */
export class RemoteOfferers {
  readonly #deps: RemoteOfferersDependencies;
  readonly #offerers = new Map<string, RemoteOfferer>();

  constructor(deps: RemoteOfferersDependencies) {
    this.#deps = deps;
  }

  get size(): number {
    return this.#offerers.size;
  }

  /** The link is of this principal; empty: nobody knows of whom. */
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
    // Those that were open on demand.
    shares.offered.count(offerer.holding, source.relays.size);
  }

  /** The link is not known any more, and has no relay. */
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
