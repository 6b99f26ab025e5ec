import { ABORT, BASE_MASK, DELETE, LNK_ERROR } from '@spanmesh/dmsg/command';
import type { Frame } from '@spanmesh/dmsg/frame';
import type { Transaction, TransactionHandler } from '@spanmesh/dmsg/transaction';
import { abort } from '../abort.ts';
import type { WaitingRead } from './shared-read.ts';

/** Asks the node on behalf of an asker that waits. */
export interface Asks {
  /**
   * Sends this asker's own read to the node. Returns the asker's transaction, now joined; null: it has its answer
   * already, or the node cannot be asked.
   */
  askAlone(waits: WaitingRead): Transaction<Transaction> | null;
}

/**
 * Handler of askers' transactions that wait for the answer to another asker's read. An asker that sends anything more
 * gets a read of its own.
 */
export class WaitingReads implements TransactionHandler<WaitingRead> {
  readonly #asks: Asks;

  constructor(asks: Asks) {
    this.#asks = asks;
  }

  onMessage(tx: Transaction<WaitingRead>, frame: Frame): void {
    const { cmd } = frame;
    const waits = tx.data;
    if ((cmd & DELETE) === 0 || (cmd & BASE_MASK) !== LNK_ERROR) {
      const asked = this.#asks.askAlone(waits);
      if (asked !== null) waits.joined.onMessage(asked, frame);
    } else if ((cmd & ABORT) !== 0) {
      waits.leave();
      abort(tx);
    }
    // Otherwise it is an end in order: the asker sends nothing more, and goes on waiting.
  }

  onStacked({ data: waits }: Transaction<WaitingRead>, tx: Transaction, frame: Frame): void {
    const asked = this.#asks.askAlone(waits);
    if (asked === null) waits.joined.refuse(tx);
    else waits.joined.onStacked(asked, tx, frame);
  }

  onOneWay({ data: waits }: Transaction<WaitingRead>, frame: Frame): void {
    const asked = this.#asks.askAlone(waits);
    if (asked === null) waits.joined.sendOneWay(frame, null);
    else waits.joined.onOneWay(asked, frame);
  }

  onLost({ data }: Transaction<WaitingRead>): void {
    data.leave();
  }

  onGone({ endpoint, data }: Transaction<WaitingRead>): void {
    data.leave();
    endpoint.awaited--;
    // Two halves, as for joined transactions: RouteClass counted both when the asker began to wait.
    data.joined.routes.halfGone();
    data.joined.routes.halfGone();
  }

  onCircuitClosing({ data }: Transaction<WaitingRead>): void {
    data.leave();
  }
}
