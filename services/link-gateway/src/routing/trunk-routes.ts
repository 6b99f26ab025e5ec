import type { Dialect } from '@spanmesh/dmsg/dialect';
import type { Transaction } from '@spanmesh/dmsg/transaction';
import type { RemoteLinkKey, RouteSource, Trunks } from './trunks.ts';

/** Whatever uses a route to another gateway. */
export interface RouteUser {
  /** The route transaction has ended, and what was stacked on it. */
  routeGone(): void;
}

/** Route transactions that this gateway has opened: who uses them, so that each is dropped with its last user. */
export class TrunkRoutes {
  readonly #trunks: Trunks;
  readonly #users = new Map<Transaction, Set<RouteUser>>();

  constructor(trunks: Trunks) {
    this.#trunks = trunks;
  }

  /** Route transactions in use. */
  get size(): number {
    return this.#users.size;
  }

  /** `destination`: number of the connection that is served, 0 if none is. null: the gateway cannot be reached. */
  use(
    link: RemoteLinkKey,
    dialect: Dialect,
    source: RouteSource | null,
    destination: number,
    user: RouteUser,
  ): Transaction | null {
    const route = this.#trunks.route(link, dialect, source, destination);
    if (route === null) return null;
    let users = this.#users.get(route);
    if (users === undefined) {
      users = new Set();
      this.#users.set(route, users);
    }
    users.add(user);
    return route;
  }

  /** The user does not need it any more; it has ended what it had there. */
  release(route: Transaction, user: RouteUser): void {
    const users = this.#users.get(route);
    if (users?.delete(user) !== true || users.size > 0) return;
    this.#users.delete(route);
    this.#trunks.dropRoute(route);
  }

  /** It has ended. */
  gone(route: Transaction): void {
    const users = this.#users.get(route);
    if (users === undefined) return;
    this.#users.delete(route);
    for (const user of users) user.routeGone();
  }
}
