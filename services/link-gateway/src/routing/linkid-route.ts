import type { Frame } from '@spanmesh/dmsg/frame';
import type {
  EndingJob,
  LinkAddress,
  Transaction,
  TransactionEndpoint,
  TransactionHandler,
} from '@spanmesh/dmsg/transaction';
import type { LinkUser, Relay, RelaySource } from '../peers/peer.ts';
import { abort, endEach } from './abort.ts';
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

export interface LinkidRouteEvents {
  /** The route is closed: no message finds it any more. */
  closed(route: LinkidRoute): void;
  /**
   * No transaction runs over the route any more: the link, trunk or return path that it has used is not needed. Called
   * once, after `closed`.
   */
  over(route: LinkidRoute): void;
  /** Runs the job, which ends things of this principal: some at once, the rest in later turns of the event loop. */
  readonly inSlices: (principal: string, job: EndingJob) => void;
}

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

  readonly #events: LinkidRouteEvents;
  #isClosed = false;
  #isOver = false;

  constructor({ relay, sender, now }: { relay: Relay; sender: RelaySource; now: number }, events: LinkidRouteEvents) {
    this.relay = relay;
    this.sender = sender;
    this.usedAt = now;
    this.#events = events;
  }

  /** The route passes nothing on any more. Transactions joined over it may still be ending. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Closes the route, and ends the transactions joined over it on both sides. */
  close(): void {
    const rest = this.closing();
    if (rest !== null) this.#events.inSlices(this.relay.lnkConn.connection.principal, rest);
  }

  /**
   * Like `close`, for a caller that runs the job itself: returns the job that ends the transactions; null: there are
   * none.
   */
  closing(): EndingJob | null {
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.#events.closed(this);
    }
    if (this.firstJoin !== null) return this.#ending();
    this.#end();
    return null;
  }

  returnPathClosing(): EndingJob | null {
    return this.closing();
  }

  routeGone(): void {
    this.close();
  }

  /** The sender's own span is about to close. */
  linkClosing(): void {
    this.close();
  }

  *#ending(): EndingJob {
    yield* endEach(() => {
      const join = this.firstJoin;
      join?.end();
      return join !== null;
    });
    this.#end();
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#events.over(this);
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

  /** Its route is closed, and it has not ended yet. */
  get isClosing(): boolean {
    return this.#route?.isClosed === true;
  }

  /** Ends both. */
  end(): void {
    this.detach();
    abort(this.near);
    abort(this.far);
  }

  /** One of the two transactions is over in both directions and has left its endpoint's table. */
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
  readonly routes: RouteClass;
  /** Counts the messages that come in on transactions of this handler, once they have been passed on. */
  readonly passed: Passed;

  constructor(routes: RouteClass, passed: Passed) {
    this.routes = routes;
    this.passed = passed;
  }

  onMessage(tx: Transaction<LinkidJoin>, frame: Frame): void {
    if (tx.data.isClosing) {
      tx.data.end();
      return;
    }
    const other = tx.data.otherOf(tx);
    const bytes = bytesOf(frame);
    if (other.endpoint.forward(other, frame)) this.passed.add(bytes);
  }

  onLost(tx: Transaction<LinkidJoin>): void {
    abort(tx.data.otherOf(tx));
  }

  onGone({ endpoint, data }: Transaction<LinkidJoin>): void {
    endpoint.awaited--;
    this.routes.halfGone();
    data.left();
  }
}
