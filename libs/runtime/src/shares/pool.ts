import { Heaviest, type Weighed } from './heaviest.ts';

/** Which bound was reached: that of one principal, or that of all together. */
export type PoolBound = 'share' | 'total';

/** Somebody has come to a bound of a pool: refused, or one of its holders gave way. */
export interface PoolLimit {
  /** What the pool is of, as its options name it. */
  readonly resource: string;
  readonly bound: PoolBound;
  /** Who had too much: the one that is refused, or the one that gave way. */
  readonly principal: string;
  /** Amount that the principal held at that moment. */
  readonly held: number;
  /** The bound. */
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
  /** The holder gives way: what it holds must be let go of (`set` or `close`) before this returns. */
  readonly evict: (holder: Holder, limit: PoolLimit) => void;
  /** Told of each bound that is reached, an eviction included; not throttled. */
  readonly limited: (limit: PoolLimit) => void;
}

/** What one principal holds. */
class Share<Holder> implements Weighed {
  readonly principal: string;
  readonly born: number;
  place = -1;
  rank = 0;
  weight = 0;
  /** The turn that `spent` is of, and what was spent in it: for Turns. */
  turn = 0;
  spent = 0;
  readonly holdings = new Heaviest<Holding<Holder>>();

  constructor(principal: string, born: number) {
    this.principal = principal;
    this.born = born;
  }
}

/** What one holder, of one principal, holds. Changed by its pool alone. */
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

  /** All that its principal holds, this included. */
  get ofPrincipal(): number {
    return this.share.weight;
  }
}

/**
 * Something that there is only so much of, shared by principals. No principal may hold more than its share. When all is held, who holds
 * most gives way to one who holds less, never the other way round. A change costs O(log n), mostly O(1) (heaviest.ts), and allocates
 * nothing.
 */
export class Pool<Holder> {
  readonly options: PoolOptions;
  /** Bounds reached so far. */
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

  /** Amount that all hold together. */
  get held(): number {
    return this.#held;
  }

  /** Amount of the principal that holds most. */
  get most(): number {
    return this.#byWeight.first?.weight ?? 0;
  }

  /** The principal that holds most; empty: there is none. */
  get first(): string {
    return this.#byWeight.first?.principal ?? '';
  }

  /** What the principal holds. */
  heldBy(principal: string): number {
    return this.#shares.get(principal)?.weight ?? 0;
  }

  /** A new holder, which holds nothing yet. To be closed. */
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

  /** The holder is gone, with all that it held. Harmless the second time. */
  close(holding: Holding<Holder>): void {
    if (holding.place < 0) return;
    this.#change(holding, -holding.weight);
    const { share } = holding;
    share.holdings.remove(holding);
    if (share.holdings.size > 0) return;
    this.#byWeight.remove(share);
    this.#shares.delete(share.principal);
  }

  /** Takes so much more, or says why not: then nothing is taken. Somebody else may have to give way for it. */
  take(holding: Holding<Holder>, amount = 1): PoolBound | null {
    const refused = this.#refusal(holding.share.principal, amount);
    if (refused === null) this.#change(holding, amount);
    return refused;
  }

  /** What `take` would say to a holder of this principal. Somebody else may have given way when this returns. */
  refusal(principal: string, amount = 1): PoolBound | null {
    return this.#refusal(principal, amount);
  }

  /** The bound that `take` would meet, without anybody giving way or being told. */
  peek(principal: string, amount = 1): PoolBound | null {
    const own = this.heldBy(principal) + amount;
    if (own > this.options.share) return 'share';
    return this.#held + amount <= this.options.total || this.most > own ? null : 'total';
  }

  /** Gives so much back. */
  give(holding: Holding<Holder>, amount = 1): void {
    this.#change(holding, -amount);
  }

  /** It holds so much more now, or less, whether it may or not: `enforce` is to be called. */
  count(holding: Holding<Holder>, by: number): void {
    if (holding.place >= 0) this.#change(holding, by);
  }

  /** It holds so much now, whether it may or not. */
  set(holding: Holding<Holder>, weight: number): void {
    if (weight === holding.weight || holding.place < 0) return;
    const isMore = weight > holding.weight;
    this.#change(holding, weight - holding.weight);
    // Who holds most is looked for only when somebody has to give way: this is called for every read and write of a connection.
    if (isMore && (holding.share.weight > this.options.share || this.#held > this.options.total)) this.enforce();
  }

  /** Beyond a bound the largest holder gives way of the principal that holds most, until all is within the bounds. */
  enforce(): void {
    const { share, total } = this.options;
    // Then nobody can be beyond a bound.
    if (this.#held <= share && this.#held <= total) return;
    while (this.most > share && this.#evict(this.#byWeight.first, 'share'));
    while (this.#held > total && this.evictMost());
  }

  /** The largest holder of the principal that holds most gives way, for this bound. False: it holds as much as before. */
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

  /** True: its largest holder has given way. */
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
