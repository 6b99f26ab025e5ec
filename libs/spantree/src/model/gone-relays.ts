import type { Link, LnkConn } from './parts.ts';

/** Relays that went with their link or their LNK_CONN, until somebody is told. Only flushes and adoptions open relays, so these bound it. */
export class GoneRelays {
  /** In pairs. */
  readonly #links: Link[] = [];
  readonly #lnkConns: LnkConn[] = [];

  add(link: Link, lnkConn: LnkConn): void {
    this.#links.push(link);
    this.#lnkConns.push(lnkConn);
  }

  /** Tells of the one that went last, so that each is told once, whatever comes in between. False: there is none. */
  tellOne(gone: ((link: Link, lnkConn: LnkConn) => void) | undefined): boolean {
    const link = this.#links.pop();
    const lnkConn = this.#lnkConns.pop();
    if (link === undefined || lnkConn === undefined) return false;
    gone?.(link, lnkConn);
    return true;
  }

  /** Nobody is told. */
  clear(): void {
    this.#links.length = 0;
    this.#lnkConns.length = 0;
  }
}
