import { BASE_MASK, DELETE } from '@spanmesh/dmsg/command';
import type { Dialect } from '@spanmesh/dmsg/dialect';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import type { Frame } from '@spanmesh/dmsg/frame';
import type { Transaction, TransactionHandler } from '@spanmesh/dmsg/transaction';
import type { Flow } from '@spanmesh/dmsg-socket/stream/flow';
import type { LinkId } from '@spanmesh/spantree/ids';
import type { RouteEnd, RouteSource, TrunkRoute } from '../routing/trunks.ts';
import type { InWindow, OutWindow, Waiter } from './credit.ts';
import { decodeRouteOpened, ROUTE_OPENED } from './messages.ts';
import type { TrunkOutbox } from './trunk-outbox.ts';

/** What a route needs of the trunk that it is on. */
export interface RouteOwner {
  /** More waits in the trunk's own queue than should. */
  readonly isHigh: boolean;
  readonly waiting: Set<Waiter>;
  /** Where what is sent is written. */
  readonly out: Pick<TrunkOutbox, 'window'>;
  /** Whose read it is sent in. */
  readonly flow: Pick<Flow, 'read' | 'sentInto'>;
  /** The other side names the window of what we send. */
  routeTaken(route: Route, window: number): void;
  /** It is over, for whatever reason: once. */
  routeClosed(route: Route): void;
  creditWaits(): void;
}

/** One route transaction, as this side sees it: its handler, and where what is sent on it waits. */
export class Route implements TransactionHandler<Route>, TrunkRoute, Waiter {
  /** Of this gateway if the other side opened it, else of the other one. */
  readonly link: LinkId;
  readonly dialect: Dialect;
  readonly source: RouteSource | null;
  /** Connection of this gateway that what comes is for; 0: not known. */
  readonly destination: number;
  readonly inWindow: InWindow;
  out: OutWindow;
  /** Where it leads, if the other side has opened it and it was taken. */
  end: RouteEnd | null = null;
  /** Nothing is delivered any more: one of the two sides has ended it. */
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
      // What runs on it is ended first; it is closed when that has been told (onGone).
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

  /** What is sent is charged to its window; whoever is read waits for that. */
  onSending(): void {
    const { out, flow } = this.#owner;
    out.window = this.out;
    if (flow.read !== 0) flow.sentInto(this);
  }

  onLost(): void {}

  onGone(): void {
    this.close();
  }

  drop(tx: Transaction): void {
    tx.endpoint.end(tx, tx.openedByPeer ? ErrorCode.LOSTLINK : 0);
    this.close();
  }

  /** From here on nothing is delivered; whoever waits goes on. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.out.waiting.delete(this);
    this.#owner.waiting.delete(this);
    this.#owner.routeClosed(this);
    this.recheck();
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
