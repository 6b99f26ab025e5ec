import type { Clock, Timer } from '@spanmesh/runtime/clock';
import type { Job } from '@spanmesh/runtime/grpc/slices';
import type { CloseReason } from '../connection/close-reason.ts';
import { ANSWER_PATIENCE_MS } from '../limits.ts';
import type { LnkConns } from '../peers/lnk-conns.ts';
import type { Peer } from '../peers/peer.ts';
import type { PeerReports } from '../peers/peer-reports.ts';
import type { Relays } from '../peers/relays.ts';
import type { Endings } from '../shares/endings.ts';

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
  readonly reports: Pick<PeerReports, 'tell'>;
  readonly relays: Pick<Relays, 'closingAllOn'>;
  readonly lnkConns: Pick<LnkConns, 'ending'>;
  readonly endings: Pick<Endings, 'run'>;
}

/**
 * Closes connections in order (docs/protocol.md, "The link layer" 1): our relays end, the transactions on them first;
 * then the peer's LNK_CONNs, then ours; FIN follows when the peer has answered or has had its time. The peer sees the
 * end of every transaction that it knows, no half message and no reset, and connects anew.
 */
export class OrderlyClose {
  readonly #deps: OrderlyCloseDependencies;

  constructor(deps: OrderlyCloseDependencies) {
    this.#deps = deps;
  }

  /** Begins to close a connection; does nothing if that has begun before. */
  begin(peer: Peer, { reason, why, lingerMs }: OrderlyEnd): void {
    if (peer.leaving !== null) return;
    const { connection } = peer;
    if (!connection.isOpen) {
      // Its dialect is not known, so no transaction is open.
      connection.finish(lingerMs);
      return;
    }
    const { clock, reports, endings } = this.#deps;
    reports.tell('connectionsClosing', { id: connection.id, reason: why });
    const until = clock.now() + lingerMs;
    let patience: Timer | null = null;
    const finish = () => {
      patience?.cancel();
      connection.finish(Math.max(0, until - clock.now()));
    };
    peer.leave({ reason, why, answered: finish });
    const endOwn = () => {
      patience = clock.after(Math.min(ANSWER_PATIENCE_MS, lingerMs), finish);
      peer.endOwnLnkConn();
    };
    endings.run(connection.principal, this.#closing(peer, endOwn));
  }

  /** Ends all that is open with the peer, in slices; then calls `endOwn`, if the connection is still open. */
  *#closing({ connection, lnkConns }: Peer, endOwn: () => void): Job<void> {
    const { relays, lnkConns: open } = this.#deps;
    for (const lnkConn of lnkConns) yield yield* relays.closingAllOn(lnkConn);
    // Ends relays, too, that were opened between two slices.
    for (const lnkConn of lnkConns) yield* open.ending(lnkConn);
    if (connection.isOpen) endOwn();
  }
}
