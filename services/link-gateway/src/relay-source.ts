import type { Dialect } from '@spanmesh/dmsg/dialect';
import { relaySpanPayload } from '@spanmesh/dmsg/payload/lnk-span';
import type { LnkConn } from './lnk-conn.ts';
import type { Relay } from './relay.ts';

/** What relays are made of: a link, of this gateway or of another one. */
export class RelaySource {
  /** `<name>.<boot>` of the link's gateway; empty: this one. */
  readonly gateway: string;
  /** The link's number there. */
  readonly link: number;
  readonly dialect: Dialect;
  /** Its LNK_SPAN after the core header, as it came. */
  readonly payload: Buffer;
  /** Its relays on this gateway, by the number of their LNK_CONN. */
  readonly relays = new Map<number, Relay>();
  /** LNK_CONNs whose peers closed the relay, until topology asks for it again. */
  refusedBy: Set<LnkConn> | null = null;

  #template: Uint8Array | null = null;
  #templateAdd = 0;

  constructor(gateway: string, link: number, dialect: Dialect, payload: Buffer) {
    this.gateway = gateway;
    this.link = link;
    this.dialect = dialect;
    this.payload = payload;
  }

  /** What its relays carry; computed once while it has any. `rnssAdd`: protocol.md, "The link layer" 2. */
  template(rnssAdd: number): Uint8Array {
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
