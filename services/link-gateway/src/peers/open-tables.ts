import type { Dialect } from '@spanmesh/dmsg/dialect';
import type { GatewayId, LinkId } from '@spanmesh/spantree/ids';
import { type Link, type LnkConn, type Peer, RelaySource } from './peer.ts';

/** Microseconds in a millisecond. */
const US = 1000;

/**
 * Everything that is open on this gateway, by number: connections, LNK_CONNs, links. Numbers come from one counter,
 * rise from 1 and are never reused within a boot (gateway_control.proto). The code that opens or closes something also
 * enters it here and removes it.
 */
export class OpenTables {
  /** Peers with an open socket, whether the dialect is known yet or not. */
  readonly sockets = new Set<Peer>();
  /** Peers whose connection is established, by its number. */
  readonly connections = new Map<number, Peer>();
  readonly lnkConns = new Map<number, LnkConn>();
  readonly links = new Map<number, Link>();
  /** Links of other gateways that topology has named, or that have a return path here; by gateway, then number. */
  readonly remoteLinks = new Map<string, Map<number, RelaySource>>();

  /** Called for each link of another gateway that is forgotten. */
  onForgotten: (source: RelaySource) => void = () => {};

  #lastNumber = 0;
  #lastStamp = 0;

  nextNumber(): number {
    return ++this.#lastNumber;
  }

  /** The highest number so far. */
  get lastNumber(): number {
    return this.#lastNumber;
  }

  /**
   * The stamp of a link that opens now, for the order of links (architecture.md, "Attach"): max(wall clock, highest so
   * far + 1), microseconds.
   */
  nextStamp(wallMs: number): number {
    this.#lastStamp = Math.max(Math.floor(wallMs * US), this.#lastStamp + 1);
    return this.#lastStamp;
  }

  /** Numbers of open things. */
  counts(): Record<'connections' | 'established' | 'lnkConns' | 'links' | 'remoteLinks' | 'transactions', number> {
    let remoteLinks = 0;
    for (const known of this.remoteLinks.values()) remoteLinks += known.size;
    let transactions = 0;
    for (const { connection } of this.connections.values()) transactions += connection.endpoint?.openCount ?? 0;
    return {
      connections: this.sockets.size,
      established: this.connections.size,
      lnkConns: this.lnkConns.size,
      links: this.links.size,
      remoteLinks,
      transactions,
    };
  }

  /** The link of another gateway; entered first if it is not known yet. */
  learnRemote(gateway: GatewayId, link: LinkId, dialect: Dialect, payload: Uint8Array): RelaySource {
    const known = this.source(gateway, link);
    if (known !== undefined) return known;
    const source = new RelaySource(gateway, link, dialect, Buffer.from(payload));
    this.keepRemote(source);
    return source;
  }

  /** Enters a link of another gateway, which stays until `forgetRemote`. */
  keepRemote(source: RelaySource): void {
    let links = this.remoteLinks.get(source.gateway);
    if (links === undefined) {
      links = new Map();
      this.remoteLinks.set(source.gateway, links);
    }
    links.set(source.link, source);
  }

  /** Forgets a link of another gateway. */
  forgetRemote(source: RelaySource): void {
    const { gateway, link } = source;
    this.onForgotten(source);
    const links = this.remoteLinks.get(gateway);
    links?.delete(link);
    if (links?.size === 0) this.remoteLinks.delete(gateway);
  }

  /** Finds a link of this gateway (`gateway` is empty) or of another one. */
  source(gateway: GatewayId, link: LinkId): RelaySource | undefined {
    return gateway === '' ? this.links.get(link)?.source : this.remoteLinks.get(gateway)?.get(link);
  }
}
