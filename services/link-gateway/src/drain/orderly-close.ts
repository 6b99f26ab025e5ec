import type { CloseReason } from '../connection/close-reason.ts';
import type { Connection } from '../connection/connection.ts';
import type { Core } from '../core.ts';
import { ANSWER_PATIENCE_MS } from '../limits.ts';
import type { LnkConns } from '../peers/lnk-conns.ts';

/** Why a connection is closed, and how long its peer is given. */
export interface OrderlyEnd {
  readonly reason: CloseReason;
  /** A sentence for people. */
  readonly why: string;
  /** How long the peer may take to close its side, once FIN is sent, in milliseconds. */
  readonly lingerMs: number;
}

/**
 * Closes connections in order (docs/protocol.md, "The link layer" 1): our relays are DELETEd, what runs on them first; then the
 * peer's LNK_CONNs are, then ours; then, when the peer has answered or has had its time, FIN. A peer sees every transaction that it
 * knows end, no cut message and no reset, and connects anew.
 */
export class OrderlyClose {
  readonly #core: Pick<Core, 'clock' | 'reports' | 'relays'>;
  readonly #lnkConns: Pick<LnkConns, 'end'>;

  constructor(core: Pick<Core, 'clock' | 'reports' | 'relays'>, lnkConns: Pick<LnkConns, 'end'>) {
    this.#core = core;
    this.#lnkConns = lnkConns;
  }

  /** Nothing happens if it is on the way already. */
  begin(connection: Connection, { reason, why, lingerMs }: OrderlyEnd): void {
    if (connection.leaving !== null) return;
    if (!connection.isOpen) {
      // Its dialect is not known, so there is nothing to end.
      connection.finish(lingerMs);
      return;
    }
    const { clock, reports, relays } = this.#core;
    reports.connectionClosing(connection, why);
    const lnkConns = [...connection.lnkConns];
    for (const lnkConn of lnkConns) relays.closeAllOn(lnkConn);
    for (const lnkConn of lnkConns) this.#lnkConns.end(lnkConn);
    const until = clock.now() + lingerMs;
    const patience = clock.after(Math.min(ANSWER_PATIENCE_MS, lingerMs), () => finish());
    const finish = () => {
      patience.cancel();
      connection.finish(Math.max(0, until - clock.now()));
    };
    connection.leave({ reason, why, answered: finish });
  }
}
