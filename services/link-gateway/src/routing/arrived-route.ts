import type { Frame } from '@spanmesh/dmsg/frame';
import type { LinkAddress, Transaction } from '@spanmesh/dmsg/transaction';
import type { Link, LinkUser, Relay } from '../peers/peer.ts';
import { abort } from './abort.ts';
import { abortPartnersOn, type Joined } from './joined.ts';
import type { ReturnPathUser } from './return-path-user.ts';
import type { RouteEnd } from './trunks.ts';

export interface ArrivedRouteDependencies {
  /** Handler of the transactions that come over the route. */
  readonly joined: Joined;
  /** Called once, when the route has ended. */
  readonly ended: (route: ArrivedRoute) => void;
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
  #closed = false;

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
    this.#end();
  }

  returnPathClosing(): void {
    this.#end();
  }

  /**
   * The route transaction has ended. The endpoint has ended the transactions stacked on it; their partners on the
   * link's connection are aborted here.
   */
  gone(): void {
    if (this.#closed) return;
    this.#closed = true;
    abortPartnersOn(this.tx);
    this.#deps.ended(this);
  }

  #end(): void {
    this.gone();
    // The endpoint ends the transactions stacked on it first.
    abort(this.tx);
  }
}
