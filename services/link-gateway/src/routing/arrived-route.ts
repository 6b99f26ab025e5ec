import type { Frame } from '@spanmesh/dmsg/frame';
import type { LinkAddress, Transaction } from '@spanmesh/dmsg/transaction';
import type { Link, LinkUser, Relay } from '../peers/peer.ts';
import { abort } from './abort.ts';
import { abortPartnersOn, type Joined } from './joined.ts';
import type { ReturnPathUser } from './return-path-user.ts';
import type { RouteEnd } from './trunks.ts';

export interface ArrivedRouteDependencies {
  /** Handler of what comes over it. */
  readonly joined: Joined;
  /** It is over: called once. */
  readonly ended: (route: ArrivedRoute) => void;
}

/** A route that another gateway has opened to a link of this one. */
export class ArrivedRoute implements RouteEnd, LinkUser, ReturnPathUser {
  /** The route transaction. */
  readonly tx: Transaction;
  readonly link: Link;
  /** linkid: from where to where on the link's connection, and the relay that is the way back. Both set before it is used. */
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

  /** The other gateway has ended it: what was stacked on it is over, and has told the link's side. */
  gone(): void {
    if (this.#closed) return;
    this.#closed = true;
    abortPartnersOn(this.tx);
    this.#deps.ended(this);
  }

  #end(): void {
    this.gone();
    // What is stacked on it is ended first.
    abort(this.tx);
  }
}
