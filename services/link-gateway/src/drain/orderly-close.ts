import type { Clock } from '@spanmesh/runtime/clock';
import type { CloseReason } from '../connection/close-reason.ts';
import { ANSWER_PATIENCE_MS } from '../limits.ts';
import type { LnkConns } from '../peers/lnk-conns.ts';
import type { Peer } from '../peers/peer.ts';
import type { PeerReports } from '../peers/peer-reports.ts';
import type { Relays } from '../peers/relays.ts';

/** Why a connection is closed, and how long its peer is given. */
export interface OrderlyEnd {
  readonly reason: CloseReason;
  /** A sentence for people. */
  readonly why: string;
  /** How long the peer may take to close its side, once FIN is sent, in milliseconds. */
  readonly lingerMs: number;
}

export interface OrderlyCloseDependencies {
  readonly clock: Clock;
  readonly reports: Pick<PeerReports, 'connectionClosing'>;
  readonly relays: Pick<Relays, 'closeAllOn'>;
  readonly lnkConns: Pick<LnkConns, 'end'>;
}

/**
 * Closes connections in order (docs/protocol.md, "The link layer" 1): our relays are DELETEd, what runs on them first; then the
 * peer's LNK_CONNs are, then ours; then, when the peer has answered or has had its time, FIN. A peer sees every transaction that it
 * knows end, no cut message and no reset, and connects anew.
 */
export class OrderlyClose {
  readonly #deps: OrderlyCloseDependencies;

  constructor(deps: OrderlyCloseDependencies) {
    this.#deps = deps;
  }

  /** Nothing happens if it is on the way already. */
  begin(peer: Peer, { reason, why, lingerMs }: OrderlyEnd): void {
    if (peer.leaving !== null) return;
    const { connection } = peer;
    if (!connection.isOpen) {
      // Its dialect is not known, so there is nothing to end.
      connection.finish(lingerMs);
      return;
    }
    const { clock, reports, relays, lnkConns } = this.#deps;
    reports.connectionClosing(peer, why);
    const open = [...peer.lnkConns];
    for (const lnkConn of open) relays.closeAllOn(lnkConn);
    for (const lnkConn of open) lnkConns.end(lnkConn);
    const until = clock.now() + lingerMs;
    const patience = clock.after(Math.min(ANSWER_PATIENCE_MS, lingerMs), () => finish());
    const finish = () => {
      patience.cancel();
      connection.finish(Math.max(0, until - clock.now()));
    };
    peer.leave({ reason, why, answered: finish });
  }
}
