import type { Frame } from '@spanmesh/dmsg/frame';
import type { LinkAddress, Transaction, TransactionEndpoint } from '@spanmesh/dmsg/transaction';
import { Joined, type JoinedDependencies } from '../joined.ts';

/**
 * Called for messages between askers and the node, before they are passed on. `far`: the one of two joined transactions
 * that is open with the node.
 */
export interface Noted {
  /** The endpoint of the link's connection, on which the node's transactions are. */
  readonly endpoint: TransactionEndpoint;
  /**
   * An asker opens `tx` on `target`, a transaction of the node (or the link): joins it to one with the node, or lets it
   * wait.
   */
  open(joined: ReadJoined, tx: Transaction, target: Transaction, frame: Frame): void;
  /** A message with this command is about to be sent to the node in an open transaction. */
  said(far: Transaction, cmd: number): void;
  /** A one-way message with this command is about to be sent to the node. */
  saidOneWay(cmd: number): void;
  /** The node's answer, or a part of it, is about to be passed on. */
  answered(far: Transaction, frame: Frame): void;
  /** The transaction brings no answer any more: the node or the asker is gone. */
  lost(far: Transaction): void;
  /** The transaction is over in both directions. */
  gone(far: Transaction): void;
}

/** `Joined` for a link whose reads are consolidated: tells `Noted` of the messages before it passes them on. */
export class ReadJoined extends Joined {
  readonly #noted: Noted;

  constructor(noted: Noted, deps: JoinedDependencies) {
    super(deps);
    this.#noted = noted;
  }

  override stack(tx: Transaction, target: Transaction | null, frame: Frame): void {
    if (target === null || !this.#isOfNode(target)) super.stack(tx, target, frame);
    else this.#noted.open(this, tx, target, frame);
  }

  /**
   * Like `Joined.stack`. Returns the transaction opened on `target`; null: it could not be opened, and `tx` is refused.
   */
  stackAlone(tx: Transaction, target: Transaction, frame: Frame): Transaction | null {
    super.stack(tx, target, frame);
    return isJoinedBy(tx, this) ? tx.data : null;
  }

  override sendOneWay(frame: Frame, target: Transaction | null, address: LinkAddress | null = null): void {
    if (target !== null && this.#isOfNode(target)) this.#noted.saidOneWay(frame.cmd);
    super.sendOneWay(frame, target, address);
  }

  override onMessage(tx: Transaction<Transaction>, frame: Frame): void {
    if (this.#isOfNode(tx)) this.#noted.answered(tx, frame);
    else this.#noted.said(tx.data, frame.cmd);
    super.onMessage(tx, frame);
  }

  override onLost(tx: Transaction<Transaction>): void {
    this.#noted.lost(this.#ofNode(tx));
    super.onLost(tx);
  }

  override onGone(tx: Transaction<Transaction>): void {
    super.onGone(tx);
    if (this.#isOfNode(tx)) this.#noted.gone(tx);
  }

  override onCircuitClosing(tx: Transaction<Transaction>): void {
    this.#noted.lost(this.#ofNode(tx));
    super.onCircuitClosing(tx);
  }

  #isOfNode({ endpoint }: Transaction): boolean {
    return endpoint === this.#noted.endpoint;
  }

  /** The one of two joined transactions that is open with the node. */
  #ofNode(tx: Transaction<Transaction>): Transaction {
    return this.#isOfNode(tx) ? tx : tx.data;
  }
}

function isJoinedBy(tx: Transaction, joined: ReadJoined): tx is Transaction<Transaction> {
  return tx.handler === joined;
}
