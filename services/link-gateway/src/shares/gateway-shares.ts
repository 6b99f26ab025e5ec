import { type Holding, Pool, type PoolLimit } from '@spanmesh/runtime/shares/pool';
import type { TableSizes } from '@spanmesh/runtime/table-sizes';
import type { GatewayOptions } from '../settings.ts';
import type { Endings } from './endings.ts';

/** A connection, as far as it holds anything. */
export interface ShareHolder {
  close(reason: 'receive-limit' | 'share', detail: Readonly<Record<string, unknown>>): void;
}

/** Whose relay it is. */
export interface SharedRelay {
  readonly source: {
    readonly local: { readonly connection: { readonly holdings: Holdings } } | null;
    readonly offerer: { readonly holding: Holding<ShareHolder> } | null;
  };
  readonly lnkConn: { readonly connection: { readonly holdings: Holdings } };
}

/** What a connection holds of each pool. */
export interface Holdings {
  /** One: itself. */
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

/** The settings that they come from. */
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
  /** Told each time that a principal has come to a bound. */
  readonly limited: (limit: PoolLimit) => void;
  readonly endings: Pick<Endings, 'size' | 'whenIdle'>;
}

/** What peers share of this gateway: each connection holds some of it for its principal. */
export class GatewayShares {
  readonly connections: Pool<ShareHolder>;
  readonly links: Pool<ShareHolder>;
  readonly lnkConns: Pool<ShareHolder>;
  readonly transactions: Pool<ShareHolder>;
  readonly received: Pool<ShareHolder>;
  readonly sent: Pool<ShareHolder>;
  /** By whoever asks for them. */
  readonly asked: Pool<ShareHolder>;
  /** By whoever offers their links, at whichever gateway. */
  readonly offered: Pool<ShareHolder>;
  /** Links at other gateways that are known here, by principal. */
  readonly remoteLinks = new Map<string, number>();
  readonly #totalRelays: number;
  readonly #endings: GatewaySharesDependencies['endings'];
  /** Relays were opened while others were still counted that are going to close. */
  #isEnforcedLater = false;

  constructor(options: ShareOptions, { limited, endings }: GatewaySharesDependencies) {
    this.#endings = endings;
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

  /** What is held of each pool. */
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

  /** The connection is ending: everything on it has ended. */
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

  /** A relay more, or less. */
  chargeRelay({ source, lnkConn }: SharedRelay, by: 1 | -1): void {
    this.asked.count(lnkConn.connection.holdings.asked, by);
    const offered = source.local?.connection.holdings.offered ?? source.offerer?.holding;
    if (offered !== undefined) this.offered.count(offered, by);
  }

  /**
   * Relays were opened. They are made by two, and count for both: whoever makes more of them gives way. While relays of one that has given
   * way are still to be closed they count for the other side of each, who is not to give way for them: nothing is decided before they are.
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
   * Of him whose links have most relays, and of him who asks for most: there are many because of the one's links, not of the other's
   * LNK_CONNs. An honest peer that asks for all spans holds one for each that others offer.
   */
  get #manyOffered(): boolean {
    const { offered, asked } = this;
    if (2 * offered.most < asked.most) return false;
    const links = this.links.heldBy(offered.first) + (this.remoteLinks.get(offered.first) ?? 0);
    return links >= this.lnkConns.heldBy(asked.first);
  }

  /** Relays are beyond a bound, and are being closed: until they are none is opened. */
  get isOverRelays(): boolean {
    return this.#endings.size > 0 && this.#isBeyond;
  }

  /** Something is ending still; then relays are looked at again when it has. */
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
