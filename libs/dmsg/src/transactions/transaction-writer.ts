import { ABORT, CREATE, DELETE, LNK_ERROR, REPLY, REVCIRC, REVTRANS } from '../command.ts';
import type { DialectRules } from '../dialect.ts';
import { ErrorCode } from '../error-code.ts';
import type { Frame } from '../wire/frame.ts';
import type { MessageTemplate } from '../wire/message-template.ts';
import { MessageWriter } from '../wire/message-writer.ts';
import type { Outbox } from '../wire/outbox.ts';
import type { SaltSequence } from '../wire/salt.ts';
import { type LinkAddress, type Transaction, TX_CREATED } from './transaction.ts';

/**
 * Flags of a passed message that follow from the state at this hop. Those of the circuit dialect are removed in linkid,
 * too: messages that come off a trunk have them.
 */
const STATE_BITS = CREATE | REPLY | REVTRANS | REVCIRC;
/** Flags that a one-way message has in the circuit dialect only. */
const REV_BITS = REVTRANS | REVCIRC;

export interface TransactionWriterDependencies {
  readonly out: Outbox;
  readonly salts: Pick<SaltSequence, 'next'>;
  /**
   * Called before each message is written, with the transaction that the message is in. For a one-way message, and for
   * one that opens a transaction, that is the circuit it is on; null: the link itself.
   */
  readonly sending?: (on: Transaction | null) => void;
}

/**
 * Writes what an endpoint sends: messages with the ids of a transaction and the flags that follow from its state. It
 * does not change the state.
 */
export class TransactionWriter {
  readonly #writer: MessageWriter;
  readonly #out: Outbox;
  readonly #sending: ((on: Transaction | null) => void) | null;

  constructor(rules: DialectRules, { out, salts, sending }: TransactionWriterDependencies) {
    this.#writer = new MessageWriter(rules, out, salts);
    this.#out = out;
    this.#sending = sending ?? null;
  }

  /** Messages sent so far, passed ones included. */
  get messages(): number {
    return this.#writer.messages;
  }

  /** So many bytes more (negative: fewer) wait to be written. */
  hold(bytes: number): void {
    this.#out.hold(bytes);
  }

  /** @throws DmsgError FIELD: a message of this command cannot be written. */
  check(cmd: number, payload: Uint8Array | null, aux: Uint8Array | null): void {
    this.#writer.check(cmd, payload, aux);
  }

  /**
   * Writes a message in a transaction. `cmd`: without the flags that follow from the state. @throws DmsgError as
   * `check`
   */
  write(tx: Transaction, cmd: number, error: number, payload: Uint8Array | null, aux: Uint8Array | null): void {
    this.#tell(tx);
    const word = (cmd | tx.sendFlags | firstBit(tx)) >>> 0;
    const { msgidLo, msgidHi, fromLo, fromHi, toLo, toHi } = tx;
    this.#writer.write(word, msgidLo, msgidHi, fromLo, fromHi, toLo, toHi, error, payload, aux);
  }

  /** Writes the first message of a transaction on the link itself out of a template. */
  writeLike(tx: Transaction, template: MessageTemplate): void {
    this.#tell(tx);
    this.#writer.writeLike(template, tx.msgidLo, tx.msgidHi);
  }

  /** Passes a received message on in a transaction; the caller gives the frame's bytes away. */
  pass(tx: Transaction, frame: Frame): void {
    this.#tell(tx);
    const word = ((frame.cmd & ~STATE_BITS) | tx.sendFlags | firstBit(tx)) >>> 0;
    this.#writer.pass(frame, word, tx.msgidLo, tx.msgidHi, tx.fromLo, tx.fromHi, tx.toLo, tx.toHi);
  }

  /** As `pass`, but passes on a copy: the frame stays as it is. */
  passCopy(tx: Transaction, frame: Frame): void {
    this.#tell(tx);
    const word = ((frame.cmd & ~STATE_BITS) | tx.sendFlags | firstBit(tx)) >>> 0;
    this.#writer.passCopy(frame, word, tx.msgidLo, tx.msgidHi, tx.fromLo, tx.fromHi, tx.toLo, tx.toHi);
  }

  /** Writes a one-way message. `cmd`: with REPLY if it is an answer. @throws DmsgError as `check` */
  oneWay(
    cmd: number,
    error: number,
    payload: Uint8Array | null,
    aux: Uint8Array | null,
    circuit: Transaction | null,
    address: LinkAddress | null,
  ): void {
    if (this.#sending !== null) this.#sending(circuit);
    const word = cmd | circuitBit(circuit);
    const { sourceLo, sourceHi, targetLo, targetHi } = address ?? NOWHERE;
    if (circuit === null) this.#writer.write(word, 0, 0, sourceLo, sourceHi, targetLo, targetHi, error, payload, aux);
    else this.#writer.write(word, 0, 0, circuit.msgidLo, circuit.msgidHi, 0, 0, error, payload, aux);
  }

  /** Passes a received one-way message on; the caller gives the frame's bytes away. */
  passOneWay(frame: Frame, circuit: Transaction | null, address: LinkAddress | null): void {
    if (this.#sending !== null) this.#sending(circuit);
    const word = ((frame.cmd & ~REV_BITS) | circuitBit(circuit)) >>> 0;
    const { sourceLo, sourceHi, targetLo, targetHi } = address ?? NOWHERE;
    if (circuit === null) this.#writer.pass(frame, word, 0, 0, sourceLo, sourceHi, targetLo, targetHi);
    else this.#writer.pass(frame, word, 0, 0, circuit.msgidLo, circuit.msgidHi, 0, 0);
  }

  /** Answers a CREATE whose circuit is gone (protocol.md, "stacking"). */
  refuseCircuit({ cmd, msgidLo, msgidHi, circuitLo, circuitHi }: Frame): void {
    const turned = (cmd & REVCIRC) === 0 ? REVCIRC : 0;
    const word = (LNK_ERROR | CREATE | DELETE | ABORT | REPLY | REVTRANS | turned) >>> 0;
    if (this.#sending !== null) this.#sending(null);
    this.#writer.write(word, msgidLo, msgidHi, circuitLo, circuitHi, 0, 0, ErrorCode.LOSTLINK, null, null);
  }

  #tell(tx: Transaction): void {
    // A message that opens a transaction counts as sent on its circuit.
    if (this.#sending !== null) this.#sending(tx.state === 0 ? tx.circuit : tx);
  }
}

const NOWHERE: LinkAddress = { sourceLo: 0, sourceHi: 0, targetLo: 0, targetHi: 0 };

/** Our first message in a transaction has CREATE. */
function firstBit(tx: Transaction): number {
  return (tx.state & TX_CREATED) === 0 ? CREATE : 0;
}

function circuitBit(circuit: Transaction | null): number {
  return circuit?.openedByPeer === true ? REVCIRC : 0;
}
