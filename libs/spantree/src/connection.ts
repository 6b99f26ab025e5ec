import type { Link } from './link.ts';
import type { LnkConn } from './lnk-conn.ts';

/** What names a connection in the whole installation. `gateway` is name + boot id; `id` is never reused within a boot. */
export interface ConnectionRef {
  readonly gateway: string;
  readonly id: number;
}

/** A TCP link. Made and changed by SpanTree only. */
export class Connection implements ConnectionRef {
  readonly gateway: string;
  readonly id: number;
  /** The caller's own. */
  data: unknown;
  /** Its links rank behind equally near ones (architecture.md, "Half-dead peers"). Changed by SpanTree.setSuspect. */
  suspect = false;
  removed = false;
  readonly lnkConns: Set<LnkConn> = new Set();
  readonly links: Set<Link> = new Set();

  constructor(gateway: string, id: number, data: unknown) {
    this.gateway = gateway;
    this.id = id;
    this.data = data;
  }
}
