import type { LinkAddress, Transaction } from '@spanmesh/dmsg/transaction';
import type { Link, LinkUser, Relay } from '../peers/peer.ts';
import { abort, abortPartnersOn } from './joined.ts';
import type { ReturnPathUser } from './return-path-user.ts';

/** A route that another gateway has opened to a link of this one. */
export class ArrivedRoute implements LinkUser, ReturnPathUser {
  /** The route transaction. */
  readonly tx: Transaction;
  readonly link: Link;
  /** linkid: from where to where on the link's connection, and the relay that is the way back. Both set before it is used. */
  address: LinkAddress | null = null;
  back: Relay | null = null;

  readonly #ended: (route: ArrivedRoute) => void;
  #closed = false;

  constructor(tx: Transaction, link: Link, ended: (route: ArrivedRoute) => void) {
    this.tx = tx;
    this.link = link;
    this.#ended = ended;
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
    this.#ended(this);
  }

  #end(): void {
    this.gone();
    // What is stacked on it is ended first.
    abort(this.tx);
  }
}
