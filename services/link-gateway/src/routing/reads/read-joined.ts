import type { Frame } from '@spanmesh/dmsg/frame';
import type { LinkAddress, Transaction, TransactionEndpoint } from '@spanmesh/dmsg/transaction';
import { Joined, type JoinedDependencies } from '../joined.ts';

/** Who is told what passes, before it does. `far`: of two that are joined the transaction that the node has. */
export interface Noted {
  /** The side of the link's connection that the node is on. */
  readonly endpoint: TransactionEndpoint;
  /** An asker opens `tx`, to be joined to one on `target`, which is the node's: it is to be done, or not. */
  open(joined: ReadJoined, tx: Transaction, target: Transaction, frame: Frame): void;
  /** A message with this command is about to be sent to the node in a transaction that is open. */
  said(far: Transaction, cmd: number): void;
  /** The same, one way. */
  saidOneWay(cmd: number): void;
  /** The node's answer, or a part of it, is about to be passed on. */
  answered(far: Transaction, frame: Frame): void;
  /** What the node was asked brings no answer any more, or nobody who has asked for it is there. */
  lost(far: Transaction): void;
  /** It is over in both directions. */
  gone(far: Transaction): void;
}

/** `Joined` on a link whose reads are consolidated: what passes is noted. */
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

  /** `stack` without more. What has been opened on `target`; null: it could not be, and `tx` is refused. */
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

  /** Of two that are joined the one that the node has. */
  #ofNode(tx: Transaction<Transaction>): Transaction {
    return this.#isOfNode(tx) ? tx : tx.data;
  }
}

function isJoinedBy(tx: Transaction, joined: ReadJoined): tx is Transaction<Transaction> {
  return tx.handler === joined;
}
