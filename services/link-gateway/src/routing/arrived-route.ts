import { ErrorCode } from '@spanmesh/dmsg/error-code';
import type { Frame } from '@spanmesh/dmsg/frame';
import type { EndingJob, LinkAddress, Transaction } from '@spanmesh/dmsg/transaction';
import type { Link, LinkUser, Relay } from '../peers/peer.ts';
import type { Joined } from './joined.ts';
import type { ReturnPathUser } from './return-path-user.ts';
import type { RouteEnd } from './trunks.ts';

export interface ArrivedRouteDependencies {
  /** Handler of the transactions that come over the route. */
  readonly joined: Joined;
  /** Called once, when the route has ended. */
  readonly ended: (route: ArrivedRoute) => void;
  readonly inSlices: (principal: string, job: EndingJob) => void;
}

/** A route that another gateway has opened to a link of this one. */
export class ArrivedRoute implements RouteEnd, LinkUser, ReturnPathUser {
  /** The route transaction. */
  readonly tx: Transaction;
  readonly link: Link;
  /**
   * linkid: source and target on the link's connection, and the relay there that is the return path. Both are set
   * before the route is used.
   */
  address: LinkAddress | null = null;
  back: Relay | null = null;

  readonly #deps: ArrivedRouteDependencies;
  /** Nothing is delivered any more. */
  #closed = false;
  #isOver = false;

  constructor(tx: Transaction, link: Link, deps: ArrivedRouteDependencies) {
    this.tx = tx;
    this.link = link;
    this.#deps = deps;
  }

  opened(tx: Transaction, frame: Frame): void {
    const { joined } = this.#deps;
    if (this.#closed) joined.refuse(tx);
    else if (this.address === null) joined.stack(tx, this.link.tx, frame);
    else joined.send(tx, this.link.tx, this.address, frame);
  }

  heard(frame: Frame): void {
    this.#deps.joined.sendOneWay(frame, this.#closed ? null : this.link.tx, this.address);
  }

  linkClosing(): void {
    const rest = this.#end();
    if (rest !== null) this.#deps.inSlices(this.link.connection.principal, rest);
  }

  returnPathClosing(): EndingJob | null {
    return this.#end();
  }

  /** The route transaction is over, and the transactions stacked on it have told the link's side. */
  gone(): void {
    this.#closed = true;
    if (this.#isOver) return;
    this.#isOver = true;
    this.#deps.ended(this);
  }

  /**
   * Ends the route. Returns the job that is left to run; null: none. linkid: the return path is needed until the job is
   * done, because its msgid is the source of the ends that are sent to the link's peer.
   */
  #end(): EndingJob | null {
    this.#closed = true;
    const { endpoint } = this.tx;
    const rest = endpoint.cutting(this.tx, ErrorCode.LOSTLINK, true);
    if (rest !== null) return this.#ending(rest);
    // It may be ending already.
    if (this.tx.txDeleted && !this.tx.ended) return this.#ending(endpoint.settling());
    this.gone();
    return null;
  }

  *#ending(rest: EndingJob): EndingJob {
    yield* rest;
    this.gone();
  }
}
