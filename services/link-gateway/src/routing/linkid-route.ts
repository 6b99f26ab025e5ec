import type { Frame } from '@spanmesh/dmsg/frame';
import type { LinkAddress, Transaction, TransactionEndpoint, TransactionHandler } from '@spanmesh/dmsg/transaction';
import type { LinkUser, Relay, RelaySource } from '../peers/peer.ts';
import { abort } from './abort.ts';
import type { ReturnPathUser } from './return-path-user.ts';
import { bytesOf, type Passed, type RouteClass } from './route-class.ts';
import type { RouteUser } from './trunk-routes.ts';

/** Where a route's messages go: to a link of this gateway, or over the route transaction on a trunk. */
export type RouteWay =
  | {
      readonly endpoint: TransactionEndpoint;
      readonly address: LinkAddress;
      readonly circuit: null;
      readonly back: Relay;
    }
  | {
      readonly endpoint: TransactionEndpoint;
      readonly address: null;
      readonly circuit: Transaction;
      readonly back: null;
    };

/**
 * linkid: a route for messages from one span (the sender's) to another (the target's), over the target's relay on the
 * sender's connection. The transactions joined over it end with it.
 */
export class LinkidRoute implements ReturnPathUser, RouteUser, LinkUser {
  readonly relay: Relay;
  readonly sender: RelaySource;
  /** Set before the route is used. */
  way!: RouteWay;
  /** Number of pairs of joined transactions, including pairs of which one side is over. */
  open = 0;
  /** When the route was last used, milliseconds of the monotonic clock. */
  usedAt: number;
  firstJoin: LinkidJoin | null = null;

  readonly #ended: (route: LinkidRoute) => void;
  #closed = false;

  constructor(
    { relay, sender, now }: { relay: Relay; sender: RelaySource; now: number },
    ended: (route: LinkidRoute) => void,
  ) {
    this.relay = relay;
    this.sender = sender;
    this.usedAt = now;
    this.#ended = ended;
  }

  /** Ends the transactions over the route on both sides, and removes it from all tables. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (let join = this.firstJoin; join !== null; ) {
      const { next } = join;
      join.detach();
      abort(join.near);
      abort(join.far);
      join = next;
    }
    this.#ended(this);
  }

  returnPathClosing(): void {
    this.close();
  }

  routeGone(): void {
    this.close();
  }

  /** The sender's own span is about to close. */
  linkClosing(): void {
    this.close();
  }
}

/** Two transactions joined over a route: `data` of both. `near` is the sender's, `far` the one towards the target. */
export class LinkidJoin {
  readonly near: Transaction;
  readonly far: Transaction;
  next: LinkidJoin | null = null;
  #previous: LinkidJoin | null = null;
  #route: LinkidRoute | null;
  #left = 2;

  constructor(route: LinkidRoute, near: Transaction, far: Transaction) {
    this.near = near;
    this.far = far;
    this.#route = route;
    route.open++;
    this.next = route.firstJoin;
    if (this.next !== null) this.next.#previous = this;
    route.firstJoin = this;
  }

  /** The partner of `tx`, which is one of the two. */
  otherOf(tx: Transaction): Transaction {
    return tx === this.near ? this.far : this.near;
  }

  /** One of the two is over in both directions and has left its endpoint's table. */
  left(): void {
    if (--this.#left === 0) this.detach();
  }

  /** Removes the join from its route. */
  detach(): void {
    const route = this.#route;
    if (route === null) return;
    this.#route = null;
    route.open--;
    if (this.#previous === null) route.firstJoin = this.next;
    else this.#previous.next = this.next;
    if (this.next !== null) this.next.#previous = this.#previous;
    this.#previous = null;
  }
}

/**
 * Handler of transactions joined over a LinkidRoute. Like `Joined`, but nothing is stacked on them: linkid has no
 * circuits.
 */
export class LinkidJoined implements TransactionHandler<LinkidJoin> {
  readonly isAwaited = true;
  readonly routes: RouteClass;
  /** Counts the messages that come in on transactions of this handler, once they have been passed on. */
  readonly passed: Passed;

  constructor(routes: RouteClass, passed: Passed) {
    this.routes = routes;
    this.passed = passed;
  }

  onMessage(tx: Transaction<LinkidJoin>, frame: Frame): void {
    const other = tx.data.otherOf(tx);
    const bytes = bytesOf(frame);
    if (other.endpoint.forward(other, frame)) this.passed.add(bytes);
  }

  onLost(tx: Transaction<LinkidJoin>): void {
    abort(tx.data.otherOf(tx));
  }

  onGone({ data }: Transaction<LinkidJoin>): void {
    this.routes.halfGone();
    data.left();
  }
}
