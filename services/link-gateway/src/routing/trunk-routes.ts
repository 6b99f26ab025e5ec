import type { Dialect } from '@spanmesh/dmsg/dialect';
import type { Transaction } from '@spanmesh/dmsg/transaction';
import type { RemoteLinkKey, RouteSource, RouteTransaction, Trunks } from './trunks.ts';

/** Whatever uses a route to another gateway. */
export interface RouteUser {
  /** The route transaction has ended, and what was stacked on it. */
  routeGone(): void;
}

/** Route transactions that this gateway has opened: who uses them, so that each is dropped with its last user. */
export class TrunkRoutes {
  readonly #trunks: Trunks;
  readonly #uses = new Map<Transaction, { readonly route: RouteTransaction; readonly users: Set<RouteUser> }>();

  constructor(trunks: Trunks) {
    this.#trunks = trunks;
  }

  /** Route transactions in use. */
  get size(): number {
    return this.#uses.size;
  }

  /** `destination`: number of the connection that is served, 0 if none is. null: the gateway cannot be reached. */
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

  /** The user does not need it any more; it has ended what it had there. */
  release(route: Transaction, user: RouteUser): void {
    const use = this.#uses.get(route);
    if (use?.users.delete(user) !== true || use.users.size > 0) return;
    this.#uses.delete(route);
    use.route.data.drop(route);
  }

  /** It has ended. */
  gone(route: Transaction): void {
    const use = this.#uses.get(route);
    if (use === undefined) return;
    this.#uses.delete(route);
    for (const user of use.users) user.routeGone();
  }
}
