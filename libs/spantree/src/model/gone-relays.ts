import type { Link, LnkConn } from './parts.ts';

/**
 * Relays that went with their link or LNK_CONN and have not been reported yet. Their number is bounded by that of
 * relays, which only flushes and adoptions open.
 */
export class GoneRelays {
  /** Entry i of `#links` and entry i of `#lnkConns` are a pair. */
  readonly #links: Link[] = [];
  readonly #lnkConns: LnkConn[] = [];

  add(link: Link, lnkConn: LnkConn): void {
    this.#links.push(link);
    this.#lnkConns.push(lnkConn);
  }

  /**
   * Reports the relay that went last. It is removed before, so it is reported once whatever the callback does. False:
   * there was none.
   */
  tellOne(gone: ((link: Link, lnkConn: LnkConn) => void) | undefined): boolean {
    const link = this.#links.pop();
    const lnkConn = this.#lnkConns.pop();
    if (link === undefined || lnkConn === undefined) return false;
    gone?.(link, lnkConn);
    return true;
  }

  /** Forgets all, without reporting them. */
  clear(): void {
    this.#links.length = 0;
    this.#lnkConns.length = 0;
  }
}
