import { Heaviest, type Weighed } from './heaviest.ts';

/** Which limit was reached: that of one principal, or that of all together. */
export type PoolBound = 'share' | 'total';

/** A principal has reached a limit of a pool: it was refused, or one of its holders gave way. */
export interface PoolLimit {
  /** The pool's resource, by the name in its options. */
  readonly resource: string;
  readonly bound: PoolBound;
  /** The principal that was refused, or whose holder gave way. */
  readonly principal: string;
  /** The amount that it held at that moment. */
  readonly held: number;
  /** The limit, in the same unit. */
  readonly limit: number;
}

export interface PoolOptions {
  /** Name of the resource: a label of metrics and log lines. */
  readonly resource: string;
  /** Most that all principals may hold together. */
  readonly total: number;
  /** Most that one principal may hold. */
  readonly share: number;
}

export interface PoolDependencies<Holder> {
  /** Called when a holder must give way: it must release what it holds (`set` or `close`) before this returns. */
  readonly evict: (holder: Holder, limit: PoolLimit) => void;
  /** Called each time that a limit is reached, evictions included; not throttled. */
  readonly limited: (limit: PoolLimit) => void;
}

/** The amount that one principal holds, and its holders. */
class Share<Holder> implements Weighed {
  readonly principal: string;
  readonly born: number;
  place = -1;
  rank = 0;
  weight = 0;
  /** The number of the turn to which `spent` belongs, and the amount spent in it: used by Turns. */
  turn = 0;
  spent = 0;
  readonly holdings = new Heaviest<Holding<Holder>>();

  constructor(principal: string, born: number) {
    this.principal = principal;
    this.born = born;
  }
}

/** The amount that one holder, of one principal, holds. Only its pool changes it. */
export class Holding<Holder> implements Weighed {
  readonly holder: Holder;
  readonly share: Share<Holder>;
  readonly born: number;
  place = -1;
  rank = 0;
  weight = 0;

  constructor(holder: Holder, share: Share<Holder>, born: number) {
    this.holder = holder;
    this.share = share;
    this.born = born;
  }

  /** The amount that its principal holds, this holding included. */
  get ofPrincipal(): number {
    return this.share.weight;
  }
}

/**
 * A limited resource, shared by principals. No principal may hold more than its share. When all of it is held, the
 * principal with most gives way to one with less, never the other way round. A change takes O(log n), mostly O(1)
 * (heaviest.ts), and allocates nothing.
 */
export class Pool<Holder> {
  readonly options: PoolOptions;
  /** How often a limit was reached. */
  limits = 0;
  readonly #deps: PoolDependencies<Holder>;
  readonly #shares = new Map<string, Share<Holder>>();
  readonly #byWeight = new Heaviest<Share<Holder>>();
  #held = 0;
  #born = 0;

  constructor(options: PoolOptions, deps: PoolDependencies<Holder>) {
    this.options = options;
    this.#deps = deps;
  }

  /** The amount that all principals hold together. */
  get held(): number {
    return this.#held;
  }

  /** The amount of the principal that holds most. */
  get most(): number {
    return this.#byWeight.first?.weight ?? 0;
  }

  /** The principal that holds most; empty: no principal holds anything. */
  get first(): string {
    return this.#byWeight.first?.principal ?? '';
  }

  /** The amount that the principal holds. */
  heldBy(principal: string): number {
    return this.#shares.get(principal)?.weight ?? 0;
  }

  /** Adds a holder, which holds nothing yet. The caller closes it. */
  open(principal: string, holder: Holder): Holding<Holder> {
    let share = this.#shares.get(principal);
    if (share === undefined) {
      share = new Share(principal, ++this.#born);
      this.#shares.set(principal, share);
      this.#byWeight.add(share);
    }
    const holding = new Holding(holder, share, ++this.#born);
    share.holdings.add(holding);
    return holding;
  }

  /** Removes the holder, and releases what it held. Harmless the second time. */
  close(holding: Holding<Holder>): void {
    if (holding.place < 0) return;
    this.#change(holding, -holding.weight);
    const { share } = holding;
    share.holdings.remove(holding);
    if (share.holdings.size > 0) return;
    this.#byWeight.remove(share);
    this.#shares.delete(share.principal);
  }

  /**
   * Takes this amount more, or returns the limit that forbids it: then nothing is taken. Others may be made to give way
   * for it.
   */
  take(holding: Holding<Holder>, amount = 1): PoolBound | null {
    const refused = this.#refusal(holding.share.principal, amount);
    if (refused === null) this.#change(holding, amount);
    return refused;
  }

  /**
   * The result that `take` would have for a holder of this principal. Others may have been made to give way when this
   * returns.
   */
  refusal(principal: string, amount = 1): PoolBound | null {
    return this.#refusal(principal, amount);
  }

  /** The limit that `take` would meet, without anybody giving way or being reported. */
  peek(principal: string, amount = 1): PoolBound | null {
    const own = this.heldBy(principal) + amount;
    if (own > this.options.share) return 'share';
    return this.#held + amount <= this.options.total || this.most > own ? null : 'total';
  }

  /** Returns this amount. */
  give(holding: Holding<Holder>, amount = 1): void {
    this.#change(holding, -amount);
  }

  /** Changes the amount that a holder holds, whether or not the limits allow it: the caller then calls `enforce`. */
  count(holding: Holding<Holder>, by: number): void {
    if (holding.place >= 0) this.#change(holding, by);
  }

  /** Sets the amount that a holder holds, whether or not the limits allow it. */
  set(holding: Holding<Holder>, weight: number): void {
    if (weight === holding.weight || holding.place < 0) return;
    const isMore = weight > holding.weight;
    this.#change(holding, weight - holding.weight);
    // The principal with most is looked up only when somebody has to give way, because this is called for every read
    // and write of a connection.
    if (isMore && (holding.share.weight > this.options.share || this.#held > this.options.total)) this.enforce();
  }

  /** While a limit is exceeded, the largest holder of the principal with most gives way. */
  enforce(): void {
    const { share, total } = this.options;
    // Then no limit can be exceeded.
    if (this.#held <= share && this.#held <= total) return;
    while (this.most > share && this.#evict(this.#byWeight.first, 'share'));
    while (this.#held > total && this.evictMost());
  }

  /**
   * Makes the largest holder of the principal with most give way, because of this limit. False: it still holds as much
   * as before.
   */
  evictMost(bound: PoolBound = 'total'): boolean {
    return this.#evict(this.#byWeight.first, bound);
  }

  #refusal(principal: string, amount: number): PoolBound | null {
    const { share, total } = this.options;
    const own = this.heldBy(principal) + amount;
    if (own > share) return this.#limited(principal, 'share', share);
    while (this.#held + amount > total) {
      const most = this.#byWeight.first;
      if (most === undefined || most.principal === principal || most.weight <= own || !this.#evict(most, 'total')) {
        return this.#limited(principal, 'total', total);
      }
    }
    return null;
  }

  /** Makes the largest holder of a principal give way. True: it has. */
  #evict(share: Share<Holder> | undefined, bound: PoolBound): boolean {
    const largest = share?.holdings.first;
    if (share === undefined || largest === undefined || largest.weight === 0) return false;
    const before = this.#held;
    const { resource } = this.options;
    const limit = { resource, bound, principal: share.principal, held: share.weight, limit: this.options[bound] };
    this.limits++;
    this.#deps.limited(limit);
    this.#deps.evict(largest.holder, limit);
    return this.#held < before;
  }

  #limited(principal: string, bound: PoolBound, limit: number): PoolBound {
    this.limits++;
    this.#deps.limited({ resource: this.options.resource, bound, principal, held: this.heldBy(principal), limit });
    return bound;
  }

  #change(holding: Holding<Holder>, by: number): void {
    const { share } = holding;
    holding.weight += by;
    share.weight += by;
    this.#held += by;
    share.holdings.changed(holding);
    this.#byWeight.changed(share);
  }
}
