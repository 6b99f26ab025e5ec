import { ABORT, CREATE, DELETE, REVCIRC, REVTRANS } from '../command.ts';
import type { DialectRules } from '../dialect.ts';
import type { Frame } from '../wire/frame.ts';
import type { Openings } from './openings.ts';
import { checkReplyFlags, isAddressed, isOpening, violation } from './receive-rules.ts';
import type { StackedEnds } from './stacked-ends.ts';
import type { EndpointHandler, Transaction } from './transaction.ts';
import type { TransactionTable } from './transaction-table.ts';

export interface LooseMessagesDependencies {
  readonly table: TransactionTable;
  readonly ends: StackedEnds;
  readonly openings: Openings;
  readonly handler: EndpointHandler;
}

/**
 * Takes the peer's messages that are in no open transaction: one-way messages, those that open one, and those that come
 * too late. The methods return false for a message that is thrown away.
 */
export class LooseMessages {
  readonly #stacked: boolean;
  readonly #table: TransactionTable;
  readonly #ends: StackedEnds;
  readonly #openings: Openings;
  readonly #handler: EndpointHandler;

  constructor(rules: DialectRules, { table, ends, openings, handler }: LooseMessagesDependencies) {
    this.#stacked = rules.stacked;
    this.#table = table;
    this.#ends = ends;
    this.#openings = openings;
    this.#handler = handler;
  }

  /** A message with msgid 0. @throws DmsgError TRANS: a protocol error. */
  oneWay(frame: Frame): boolean {
    const { cmd } = frame;
    // protocol.md, "Transactions": CREATE with msgid 0. Checked before the circuit is looked up: if that were gone we
    // would answer with msgid 0, which breaks a peer.
    if ((cmd & CREATE) !== 0) throw violation(frame, 'CREATE with msgid 0');
    const circuit = this.#circuitOf(frame);
    // There never is a transaction 0, so these are messages for one that is not there.
    if (circuit === undefined || (cmd & ABORT) !== 0 || (circuit !== null && this.#ends.isCut(circuit))) return false;
    if ((cmd & DELETE) !== 0) throw violation(frame, 'DELETE with msgid 0');
    // protocol.md, "Transactions": one-way messages have no REVTRANS.
    if (this.#stacked && (cmd & REVTRANS) !== 0) throw violation(frame, 'REVTRANS with msgid 0');
    if (circuit?.handler.onOneWay === undefined) this.#handler.onOneWay(frame, circuit);
    else circuit.handler.onOneWay(circuit, frame);
    return true;
  }

  /**
   * A message whose transaction is not in the table, or that names another circuit than its transaction (`tx`) runs on.
   * @throws DmsgError TRANS: a protocol error; PARAM: too many transactions.
   */
  other(frame: Frame, tx: Transaction | undefined): boolean {
    const { cmd } = frame;
    const circuit = this.#circuitOf(frame);
    if (circuit === undefined) return this.#openings.refuseCircuit(frame);
    if (this.#stacked) checkReplyFlags(frame);
    // protocol.md, "Transactions": (circuit) a wrong circuit on an open transaction.
    if (tx !== undefined) throw violation(frame, 'wrong circuit on an open transaction');
    if (isOpening(frame)) return this.#openings.accept(frame, circuit);
    // protocol.md, "Transactions": DELETE, REPLY|CREATE and REPLY|DELETE are protocol errors here unless they have
    // ABORT; anything else is dropped quietly. "Routing, linkid": so is a routed message, since its route may be gone.
    if ((cmd & ABORT) === 0 && (cmd & (CREATE | DELETE)) !== 0 && (this.#stacked || !isAddressed(frame))) {
      throw violation(frame, 'message for a transaction that is not there');
    }
    return false;
  }

  /**
   * The transaction that the frame's circuit names. null: the link itself; undefined: the circuit is gone in both
   * directions.
   */
  #circuitOf(frame: Frame): Transaction | null | undefined {
    const { circuitLo, circuitHi } = frame;
    if (!this.#stacked || (circuitLo | circuitHi) === 0) return null;
    const isOwn = (frame.cmd & REVCIRC) !== 0;
    const table = this.#table;
    return this.#ends.unlessGone(isOwn ? table.findOwn(circuitLo, circuitHi) : table.findPeers(circuitLo, circuitHi));
  }
}
