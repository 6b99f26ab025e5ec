import type { Dialect } from '@spanmesh/dmsg/dialect';
import type { Transaction } from '@spanmesh/dmsg/transaction';
import type { LinkId } from '@spanmesh/spantree/ids';
import type { RouteSource } from '../routing/trunks.ts';
import type { Route } from './route.ts';

/** The routes of one trunk end. Routes that this side opened can be found by link, dialect, source and destination. */
export class RouteTable {
  readonly #transactions = new Map<Route, Transaction<Route>>();
  /** Routes that we opened, by link, then by destination; few have both in common. */
  readonly #own = new Map<number, Map<number, Route[]>>();

  /** Routes, and links with routes of this side, that are kept; 0: nothing is left. */
  get kept(): number {
    return this.#transactions.size + this.#own.size;
  }

  /** A copy of the list of all route transactions. */
  all(): Transaction<Route>[] {
    return [...this.#transactions.values()];
  }

  /** The open route that this side opened with these fields. */
  find(
    link: LinkId,
    dialect: Dialect,
    source: RouteSource | null,
    destination: number,
  ): Transaction<Route> | undefined {
    const alike = this.#own.get(link)?.get(destination) ?? [];
    for (const route of alike) {
      if (route.dialect !== dialect || !isSameSource(route.source, source)) continue;
      const tx = this.#transactions.get(route);
      // There may also be a route with the same fields that is ending.
      if (tx?.txDeleted === false && !tx.ended) return tx;
    }
    return undefined;
  }

  /** Adds a route that we opened. */
  add(route: Route, tx: Transaction<Route>): void {
    this.#transactions.set(route, tx);
    let byDestination = this.#own.get(route.link);
    if (byDestination === undefined) {
      byDestination = new Map();
      this.#own.set(route.link, byDestination);
    }
    const alike = byDestination.get(route.destination);
    if (alike === undefined) byDestination.set(route.destination, [route]);
    else alike.push(route);
  }

  /** Adds a route that the other side opened. */
  adopt(route: Route, tx: Transaction<Route>): void {
    this.#transactions.set(route, tx);
  }

  /** Removes a route that has ended. Returns its transaction. */
  remove(route: Route): Transaction<Route> {
    const tx = this.#transactions.get(route)!;
    this.#transactions.delete(route);
    const byDestination = this.#own.get(route.link);
    // The other side has opened the route, and this side none to a link of this number.
    if (byDestination === undefined) return tx;
    const left = byDestination.get(route.destination)?.filter((one) => one !== route) ?? [];
    if (left.length > 0) byDestination.set(route.destination, left);
    else byDestination.delete(route.destination);
    if (byDestination.size === 0) this.#own.delete(route.link);
    return tx;
  }
}

function isSameSource(a: RouteSource | null, b: RouteSource | null): boolean {
  if (a === null || b === null) return a === b;
  return a.number === b.number && a.gateway === b.gateway;
}
