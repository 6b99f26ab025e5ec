import type { Dialect } from '@spanmesh/dmsg/dialect';
import type { GatewayId, LinkId } from '@spanmesh/spantree/ids';
import { type Link, type LnkConn, type Peer, RelaySource } from './peer.ts';

/** Microseconds in a millisecond. */
const US = 1000;

/**
 * Everything that is open on this gateway, by number. Numbers come from one counter, rise from 1 and are never reused within a
 * boot (gateway_control.proto). Whoever opens or closes something puts it in and takes it out.
 */
export class OpenTables {
  /** Everybody with an open socket, whether the dialect is known yet or not. */
  readonly sockets = new Set<Peer>();
  /** Everybody whose connection is established, by its number. */
  readonly connections = new Map<number, Peer>();
  readonly lnkConns = new Map<number, LnkConn>();
  readonly links = new Map<number, Link>();
  /** Links of other gateways that topology has named, or that are in use here as the way back; by gateway, then number. */
  readonly remoteLinks = new Map<string, Map<number, RelaySource>>();

  /** Told of each link of another gateway that is forgotten. */
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
   * The stamp of a link that opens now, for the order of links (architecture.md, "Attach"): max(wall clock, highest so far + 1),
   * microseconds.
   */
  nextStamp(wallMs: number): number {
    this.#lastStamp = Math.max(Math.floor(wallMs * US), this.#lastStamp + 1);
    return this.#lastStamp;
  }

  /** Takes a link of another gateway in, if it is not known. */
  learnRemote(gateway: GatewayId, link: LinkId, dialect: Dialect, payload: Uint8Array): RelaySource {
    const known = this.source(gateway, link);
    if (known !== undefined) return known;
    const source = new RelaySource(gateway, link, dialect, Buffer.from(payload));
    this.keepRemote(source);
    return source;
  }

  /** Keeps a link of another gateway, until it is forgotten. */
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

  /** A link of this gateway (empty) or of another one. */
  source(gateway: GatewayId, link: LinkId): RelaySource | undefined {
    return gateway === '' ? this.links.get(link)?.source : this.remoteLinks.get(gateway)?.get(link);
  }
}
