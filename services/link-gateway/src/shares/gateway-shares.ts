import { type Holding, Pool, type PoolBound, type PoolLimit } from '@spanmesh/runtime/shares/pool';
import type { TableSizes } from '@spanmesh/runtime/table-sizes';
import type { GatewayOptions } from '../settings.ts';
import type { Endings } from './endings.ts';

/** Holds shares of the pools: a connection, or a principal at other gateways (RemoteOfferers). */
export interface ShareHolder {
  close(reason: 'receive-limit' | 'share', detail: PoolLimit & Readonly<Record<string, unknown>>): void;
}

/**
 * A relay, as far as needed to charge it: to the connection of its link (or its principal elsewhere) and to that of its
 * LNK_CONN.
 */
export interface SharedRelay {
  readonly source: {
    readonly local: { readonly connection: { readonly holdings: Holdings } } | null;
    readonly offerer: { readonly holding: Holding<ShareHolder> } | null;
  };
  readonly lnkConn: { readonly connection: { readonly holdings: Holdings } };
}

/** A connection's holdings, one of each pool. */
export interface Holdings {
  /** The connection itself, which counts as one. */
  readonly connection: Holding<ShareHolder>;
  readonly links: Holding<ShareHolder>;
  readonly lnkConns: Holding<ShareHolder>;
  readonly transactions: Holding<ShareHolder>;
  readonly received: Holding<ShareHolder>;
  readonly sent: Holding<ShareHolder>;
  /** Relays on its LNK_CONNs. */
  readonly asked: Holding<ShareHolder>;
  /** Relays of its links on this gateway. */
  readonly offered: Holding<ShareHolder>;
}

/** The settings that the pools' sizes come from. */
export type ShareOptions = Pick<
  GatewayOptions,
  | 'maxConnections'
  | 'maxConnectionsPerAddress'
  | 'totalLinks'
  | 'totalLnkConns'
  | 'totalRelays'
  | 'totalTransactions'
  | 'receiveLimit'
  | 'sendTotal'
  | 'sharePercent'
>;

export interface GatewaySharesDependencies {
  /** Called each time that a principal reaches a limit. */
  readonly limited: (limit: PoolLimit) => void;
  readonly endings: Pick<Endings, 'size' | 'whenIdle'>;
}

/** The pools that all peers of this gateway share: each connection holds parts of them for its principal. */
export class GatewayShares {
  readonly connections: Pool<ShareHolder>;
  readonly links: Pool<ShareHolder>;
  readonly lnkConns: Pool<ShareHolder>;
  readonly transactions: Pool<ShareHolder>;
  readonly received: Pool<ShareHolder>;
  readonly sent: Pool<ShareHolder>;
  /** Relays, charged to the principal that asks for them. */
  readonly asked: Pool<ShareHolder>;
  /** Relays, charged to the principal that offers their links, at this or another gateway. */
  readonly offered: Pool<ShareHolder>;
  /** Number of links at other gateways that are known here, by principal. */
  readonly remoteLinks = new Map<string, number>();
  readonly #totalRelays: number;
  readonly #endings: GatewaySharesDependencies['endings'];
  readonly #limited: GatewaySharesDependencies['limited'];
  /**
   * Relays were opened while others that are about to close still counted: `enforceRelays` is called again after that.
   */
  #isEnforcedLater = false;

  constructor(options: ShareOptions, { limited, endings }: GatewaySharesDependencies) {
    this.#endings = endings;
    this.#limited = limited;
    const deps = {
      evict: (connection: ShareHolder, limit: PoolLimit) => connection.close(reasonOf(limit), { ...limit }),
      limited,
    };
    const pool = (resource: string, total: number) => {
      const share = Math.max(1, Math.floor((total * options.sharePercent) / 100));
      return new Pool<ShareHolder>({ resource, total, share }, deps);
    };
    const { maxConnections: total, maxConnectionsPerAddress: share } = options;
    this.connections = new Pool({ resource: 'connections', total, share }, deps);
    this.links = pool('links', options.totalLinks);
    this.lnkConns = pool('LNK_CONNs', options.totalLnkConns);
    this.transactions = pool('transactions', options.totalTransactions);
    this.received = pool('received bytes', options.receiveLimit);
    this.sent = pool('waiting bytes', options.sendTotal);
    this.asked = pool('relays asked for', options.totalRelays);
    this.offered = pool('relays offered', options.totalRelays);
    this.#totalRelays = options.totalRelays;
  }

  get all(): readonly Pool<ShareHolder>[] {
    return [
      this.connections,
      this.links,
      this.lnkConns,
      this.transactions,
      this.received,
      this.sent,
      this.asked,
      this.offered,
    ];
  }

  /** How much of each pool is held. */
  tables(): TableSizes {
    return Object.fromEntries(this.all.map(({ options: { resource }, held }) => [`held: ${resource}`, held]));
  }

  open(connection: ShareHolder, principal: string): Holdings {
    const one = this.connections.open(principal, connection);
    this.connections.count(one, 1);
    return {
      connection: one,
      links: this.links.open(principal, connection),
      lnkConns: this.lnkConns.open(principal, connection),
      transactions: this.transactions.open(principal, connection),
      received: this.received.open(principal, connection),
      sent: this.sent.open(principal, connection),
      asked: this.asked.open(principal, connection),
      offered: this.offered.open(principal, connection),
    };
  }

  /** The connection is ending, and everything on it has ended: gives back its holdings. */
  close(holdings: Holdings): void {
    this.connections.close(holdings.connection);
    this.links.close(holdings.links);
    this.lnkConns.close(holdings.lnkConns);
    this.transactions.close(holdings.transactions);
    this.received.close(holdings.received);
    this.sent.close(holdings.sent);
    this.asked.close(holdings.asked);
    this.offered.close(holdings.offered);
  }

  /**
   * A principal has reached a limit that is no pool's: the limit of one connection, or of what can be asked for at all.
   */
  limited(limit: PoolLimit): void {
    this.#limited(limit);
  }

  /** A connection of this principal was refused: the principal has its share of connections, or all are taken. */
  connectionRefused(principal: string, bound: PoolBound): void {
    const { resource, [bound]: limit } = this.connections.options;
    this.#limited({ resource, bound, principal, held: this.connections.heldBy(principal), limit });
  }

  /** Charges one more relay (1), or one fewer (-1). */
  chargeRelay({ source, lnkConn }: SharedRelay, by: 1 | -1): void {
    this.asked.count(lnkConn.connection.holdings.asked, by);
    const offered = source.local?.connection.holdings.offered ?? source.offerer?.holding;
    if (offered !== undefined) this.offered.count(offered, by);
  }

  /**
   * Called after relays were opened: closes connections until relays are within their limits. A relay has two
   * principals, one that asks for it and one that offers its link, and counts for both: the one that causes more of
   * them gives way. While relays are still being closed they count for the other side of each, which must not give way
   * for them: nothing is decided until they are closed.
   */
  enforceRelays(): void {
    while (this.#isBeyond && !this.#isEnding()) {
      const pool = this.#manyOffered ? this.offered : this.asked;
      if (!pool.evictMost(pool.most > pool.options.share ? 'share' : 'total')) return;
    }
  }

  get #isBeyond(): boolean {
    const { offered, asked } = this;
    return asked.held > this.#totalRelays || asked.most > asked.options.share || offered.most > offered.options.share;
  }

  /**
   * True if the principal whose links have most relays must give way, and not the principal that asks for most relays:
   * there are many relays because of its links, not because of the other's LNK_CONNs. An honest peer that asks for all
   * spans holds one relay for each link that others offer.
   */
  get #manyOffered(): boolean {
    const { offered, asked } = this;
    if (2 * offered.most < asked.most) return false;
    const links = this.links.heldBy(offered.first) + (this.remoteLinks.get(offered.first) ?? 0);
    return links >= this.lnkConns.heldBy(asked.first);
  }

  /** Relays are beyond a limit and are still being closed: until then none is opened. */
  get isOverRelays(): boolean {
    return this.#endings.size > 0 && this.#isBeyond;
  }

  /** True while endings are under way. `enforceRelays` is then called again after them. */
  #isEnding(): boolean {
    if (this.#endings.size === 0) return false;
    if (!this.#isEnforcedLater) {
      this.#isEnforcedLater = true;
      this.#endings.whenIdle(() => {
        this.#isEnforcedLater = false;
        this.enforceRelays();
      });
    }
    return true;
  }
}

function reasonOf({ resource }: PoolLimit): 'receive-limit' | 'share' {
  return resource === 'received bytes' ? 'receive-limit' : 'share';
}
