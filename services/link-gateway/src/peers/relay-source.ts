import type { Dialect } from '@spanmesh/dmsg/dialect';
import { relaySpanPayload } from '@spanmesh/dmsg/payload/lnk-span';
import type { Link } from './link.ts';
import type { LnkConn } from './lnk-conn.ts';
import type { Relay } from './relay.ts';

/** Number of the span that a gateway offers for its own clients: no link has it (links count from 1). */
export const OWN_SPAN = 0;

/** What relays are made of: a link, of this gateway or of another one, or the gateway's own span (`link` is OWN_SPAN). */
export class RelaySource {
  /** `<name>.<boot>` of the link's gateway; empty: this one. */
  readonly gateway: string;
  /** The link's number there. */
  readonly link: number;
  readonly dialect: Dialect;
  /** Its LNK_SPAN after the core header, as it came. */
  readonly payload: Buffer;
  /** The link, if it is on this gateway. */
  local: Link | null = null;
  /**
   * Of a link of another gateway: the leader of this stream has named it, or was told that it is known here, and says when it is gone.
   * Otherwise it goes with whatever last used it.
   */
  leaderKnows = false;
  /** Its relays on this gateway, by the number of their LNK_CONN. */
  readonly relays = new Map<number, Relay>();
  /** LNK_CONNs whose peers closed the relay, until topology asks for it again. */
  refusedBy: Set<LnkConn> | null = null;
  /** LNK_CONNs whose peers closed the relay that was open on demand: none is opened there again. */
  notOnDemand: Set<LnkConn> | null = null;

  #template: Uint8Array | null = null;
  #templateAdd = 0;

  constructor(gateway: string, link: number, dialect: Dialect, payload: Buffer) {
    this.gateway = gateway;
    this.link = link;
    this.dialect = dialect;
    this.payload = payload;
  }

  /** The span of a gateway for its own clients: topology does not know it. */
  get isOwnSpan(): boolean {
    return this.link === OWN_SPAN;
  }

  /** It has a relay on this gateway, or a peer here has refused one. */
  get isInUse(): boolean {
    return this.relays.size > 0 || (this.refusedBy?.size ?? 0) > 0 || (this.notOnDemand?.size ?? 0) > 0;
  }

  /** What its relays carry; computed once while it has any. `rnssAdd`: protocol.md, "The link layer" 2. */
  template(rnssAdd: number): Uint8Array {
    // Its origin is here: nothing is added.
    if (this.isOwnSpan && this.gateway === '') return this.payload;
    if (this.#template === null || this.#templateAdd !== rnssAdd) {
      this.#template = relaySpanPayload(this.dialect, this.payload, rnssAdd);
      this.#templateAdd = rnssAdd;
    }
    return this.#template;
  }

  /** It has no relay for now. */
  dropTemplate(): void {
    this.#template = null;
  }
}
