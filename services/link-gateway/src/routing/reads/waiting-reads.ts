import { ABORT, BASE_MASK, DELETE, LNK_ERROR } from '@spanmesh/dmsg/command';
import type { Frame } from '@spanmesh/dmsg/frame';
import type { Transaction, TransactionHandler } from '@spanmesh/dmsg/transaction';
import { abort } from '../abort.ts';
import type { WaitingRead } from './shared-read.ts';

/** Who asks the node. */
export interface Asks {
  /** For a read that waits, apart from all others. The asker's transaction, joined; null: it has its answer, or cannot be asked for. */
  askAlone(waits: WaitingRead): Transaction<Transaction> | null;
}

/** Handler of askers' transactions that wait for the answer to another one's read. Whoever does more than wait asks for himself. */
export class WaitingReads implements TransactionHandler<WaitingRead> {
  readonly isAwaited = true;
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
    // A bare end in order: nothing more comes of the asker, who waits.
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

  onGone({ data }: Transaction<WaitingRead>): void {
    data.leave();
    // Both halves of what would be joined.
    data.joined.routes.halfGone();
    data.joined.routes.halfGone();
  }

  onCircuitClosing({ data }: Transaction<WaitingRead>): void {
    data.leave();
  }
}
