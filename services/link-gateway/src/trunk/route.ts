import { BASE_MASK, DELETE } from '@spanmesh/dmsg/command';
import type { Dialect } from '@spanmesh/dmsg/dialect';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import type { Frame } from '@spanmesh/dmsg/frame';
import type { EndingJob, Transaction, TransactionHandler } from '@spanmesh/dmsg/transaction';
import type { Flow } from '@spanmesh/dmsg-socket/stream/flow';
import type { LinkId } from '@spanmesh/spantree/ids';
import type { RouteEnd, RouteSource, TrunkRoute } from '../routing/trunks.ts';
import type { InWindow, OutWindow, Waiter } from './credit.ts';
import { decodeRouteOpened, ROUTE_OPENED } from './messages.ts';
import type { TrunkOutbox } from './trunk-outbox.ts';

/** What a route needs of its trunk end. */
export interface RouteOwner {
  /** Too many bytes are in the trunk's own queue. */
  readonly isHigh: boolean;
  readonly waiting: Set<Waiter>;
  /** The trunk's outbox; `window` is set before each message. */
  readonly out: Pick<TrunkOutbox, 'window'>;
  /** Tells which connection's read a message is sent in, and pauses that connection if needed. */
  readonly flow: Pick<Flow, 'read' | 'sentInto'>;
  /** Runs the job: some of it at once, the rest in later turns of the event loop. */
  readonly inSlices: (job: EndingJob) => void;
  /** The other side has accepted the route and names the window that our messages are charged to. */
  routeTaken(route: Route, window: number): void;
  /** The route is over, for whatever reason. Called once. */
  routeClosed(route: Route): void;
  /** Both sides have ended its transaction, so nothing more can come that is charged to its window. Called once. */
  routeGone(route: Route): void;
  creditWaits(): void;
}

/** This side of one route transaction: its handler, and the pressure for messages sent on it. */
export class Route implements TransactionHandler<Route>, TrunkRoute, Waiter {
  /**
   * The link that the route leads to: of this gateway if the other side opened the route, otherwise of the other one.
   */
  readonly link: LinkId;
  readonly dialect: Dialect;
  readonly source: RouteSource | null;
  /** Connection of this gateway that messages on the route are passed on to; 0: not known. */
  readonly destination: number;
  readonly inWindow: InWindow;
  out: OutWindow;
  /** The route's end in routing, if the other side opened the route and routing accepted it. */
  end: RouteEnd | null = null;
  /** One of the two sides has ended the route: nothing is delivered any more. */
  isClosed = false;
  readonly #owner: RouteOwner;
  #waiting: (() => void)[] = [];

  constructor(
    what: { link: LinkId; dialect: Dialect; source: RouteSource | null; destination: number },
    windows: { inWindow: InWindow; out: OutWindow },
    owner: RouteOwner,
  ) {
    this.link = what.link;
    this.dialect = what.dialect;
    this.source = what.source;
    this.destination = what.destination;
    this.inWindow = windows.inWindow;
    this.out = windows.out;
    this.#owner = owner;
  }

  get isHigh(): boolean {
    return !this.isClosed && (this.out.isShut || this.#owner.isHigh);
  }

  onceLow(fn: () => void): void {
    if (!this.isHigh) {
      fn();
      return;
    }
    this.#waiting.push(fn);
    this.#wait();
  }

  recheck(): void {
    if (this.isHigh) {
      this.#wait();
      return;
    }
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const fn of waiting) fn();
  }

  onMessage(tx: Transaction, frame: Frame): void {
    if ((frame.cmd & DELETE) !== 0) {
      // The transactions on the route are ended first; the route is closed after that (onGone).
      tx.endpoint.end(tx);
    } else if ((frame.cmd & BASE_MASK) === ROUTE_OPENED && !tx.openedByPeer) {
      const window = decodeRouteOpened(frame);
      if (window === null) tx.endpoint.end(tx, ErrorCode.FIELD);
      else if (!this.isClosed) this.#owner.routeTaken(this, window);
    }
  }

  onStacked(_route: Transaction, tx: Transaction, frame: Frame): void {
    if (this.isClosed || this.end === null) tx.endpoint.end(tx, ErrorCode.LOSTLINK, true);
    else this.end.opened(tx, frame);
  }

  onOneWay(_route: Transaction, frame: Frame): void {
    if (!this.isClosed && this.end !== null) this.end.heard(frame);
  }

  /**
   * Called before a message is sent on the route: it is charged to the route's window, and the connection whose read it
   * is sent in may be paused for that window.
   */
  onSending(): void {
    const { out, flow } = this.#owner;
    out.window = this.out;
    if (flow.read !== 0) flow.sentInto(this);
  }

  onLost(): void {}

  onGone(): void {
    this.close();
    this.#owner.routeGone(this);
  }

  drop(tx: Transaction): void {
    // Transactions that the other side has stacked on the route have other halves at this gateway: they are ended here.
    // On a route that this side opened, the user that drops it has ended them.
    const rest = tx.openedByPeer ? tx.endpoint.cutting(tx, ErrorCode.LOSTLINK) : tx.endpoint.ending(tx);
    if (rest === null) this.close();
    else this.#owner.inSlices(this.#closing(rest));
  }

  /** Closes the route: nothing is delivered any more; senders that wait for it go on. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.out.waiting.delete(this);
    this.#owner.waiting.delete(this);
    this.#owner.routeClosed(this);
    this.recheck();
  }

  /** Ends the transactions stacked on the route, then closes the route. */
  *#closing(rest: EndingJob): EndingJob {
    yield* rest;
    this.close();
  }

  #wait(): void {
    if (this.out.isShut) {
      this.out.waiting.add(this);
      this.#owner.creditWaits();
    } else {
      this.#owner.waiting.add(this);
    }
  }
}
