import type { Dialect } from '@spanmesh/dmsg/dialect';
import type { Transaction } from '@spanmesh/dmsg/transaction';
import type { RemoteLinkKey, RouteSource, RouteTransaction, Trunks } from './trunks.ts';

/** Something that uses a route transaction to another gateway. */
export interface RouteUser {
  /** The route transaction has ended, and so have the transactions stacked on it. */
  routeGone(): void;
}

/** Keeps the route transactions that this gateway has opened, with their users: each is dropped with its last user. */
export class TrunkRoutes {
  readonly #trunks: Trunks;
  readonly #uses = new Map<Transaction, { readonly route: RouteTransaction; readonly users: Set<RouteUser> }>();

  constructor(trunks: Trunks) {
    this.#trunks = trunks;
  }

  /** Number of route transactions in use. */
  get size(): number {
    return this.#uses.size;
  }

  /**
   * The route transaction to a link, opened on first use, with `user` as one more user. `destination`: number of the
   * connection that it serves, 0 for a client's. null: the gateway cannot be reached.
   */
  use(
    link: RemoteLinkKey,
    dialect: Dialect,
    source: RouteSource | null,
    destination: number,
    user: RouteUser,
  ): RouteTransaction | null {
    const route = this.#trunks.route(link, dialect, source, destination);
    if (route === null) return null;
    const known = this.#uses.get(route);
    if (known === undefined) this.#uses.set(route, { route, users: new Set([user]) });
    else known.users.add(user);
    return route;
  }

  /** `user` does not need the route any more; it has ended its transactions on it. */
  release(route: Transaction, user: RouteUser): void {
    const use = this.#uses.get(route);
    if (use?.users.delete(user) !== true || use.users.size > 0) return;
    this.#uses.delete(route);
    use.route.data.drop(route);
  }

  /** The route transaction has ended: tells its users. */
  gone(route: Transaction): void {
    const use = this.#uses.get(route);
    if (use === undefined) return;
    this.#uses.delete(route);
    for (const user of use.users) user.routeGone();
  }
}
