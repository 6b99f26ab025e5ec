import { REPLY, REVCIRC, REVTRANS } from '../command.ts';
import type { DialectRules } from '../dialect.ts';
import type { Frame } from '../wire/frame.ts';

/** The peer has sent CREATE. */
export const RX_CREATED = 1;
/** The peer has sent DELETE. */
export const RX_DELETED = 2;
/** We have sent CREATE. */
export const TX_CREATED = 4;
/** We have sent DELETE (or never will: `TransactionEndpoint.abandon`). */
export const TX_DELETED = 8;
/** The transaction has left the table: nothing is sent or received in it any more. */
export const GONE = 16;
/**
 * Our DELETE is due, and comes when what is stacked on it has ended: until then nothing is sent in it, or on it at any
 * depth.
 */
export const ENDING = 32;
/** With ENDING: nor is anything taken of what the peer says on it at any depth, but its ends. */
export const CUT = 64;
/** Its circuit is ending, or has: our direction was closed for that. It stands behind those of which that is not so. */
export const SWEPT = 128;
/** What it was stacked on is gone, it is still to be told, and the peer has used its msgid again. */
export const UNLISTED = 256;

/** Both directions are deleted. (A direction is deleted only after it was created.) */
export const ENDED = RX_DELETED | TX_DELETED;

/**
 * The user of a transaction. Each transaction gets exactly one final notification: `onMessage` (or
 * `EndpointHandler.onOpen`) with a frame that has DELETE, or `onLost`. Every method may call back into any endpoint,
 * also the transaction's own. `Data`: what the transaction carries for its handler.
 */
export interface TransactionHandler<Data = unknown> {
  /**
   * A message of the peer in this transaction, other than the CREATE with which the peer opened it. The state has been
   * updated. If `frame.cmd` has DELETE it is the last one: answer with `TransactionEndpoint.end` (now or later) unless
   * our direction is deleted already.
   */
  onMessage(tx: Transaction<Data>, frame: Frame): void;
  /**
   * It ended without the peer's own DELETE: the link was lost or the circuit ended (protocol.md, "Transactions": as if
   * the peer had sent ABORT|DELETE with this error). It is out of the table already, or leaves it with our own end;
   * sending in it does nothing, nor in any other of a link that was lost.
   */
  onLost(tx: Transaction<Data>, error: number): void;
  /** The transaction has left the table, for whatever reason. Always the last call, after the final notification. */
  onGone?(tx: Transaction<Data>): void;
  /**
   * circuit: the peer has opened `tx` on `circuit`. As `EndpointHandler.onOpen`, which is called if the handler has no
   * such method.
   */
  onStacked?(circuit: Transaction<Data>, tx: Transaction, frame: Frame): void;
  /**
   * circuit: a one-way message on `circuit`. As `EndpointHandler.onOneWay`, which is called if the handler has no such
   * method.
   */
  onOneWay?(circuit: Transaction<Data>, frame: Frame): void;
  /**
   * A message is about to be written in the transaction, or on it at any depth. Only for endpoints whose `sending`
   * callback calls this.
   */
  onSending?(): void;
  /**
   * Its circuit is cut (`TransactionEndpoint.cut`): whatever it has elsewhere is to end, too. Its own end is being
   * sent.
   */
  onCircuitClosing?(tx: Transaction<Data>): void;
}

/** A handler that ignores everything; a transaction has it until `onOpen` gives it another. */
export const DISCARD: TransactionHandler = {
  onMessage() {},
  onLost() {},
};

/** Takes the transactions that the peer opens, and its one-way messages. */
export interface EndpointHandler {
  /**
   * The peer has opened a transaction. Set `tx.handler`, or refuse it with `TransactionEndpoint.end`; without either,
   * its further messages are thrown away. If `frame.cmd` has DELETE, the peer has closed its direction already: nothing
   * more comes, but the answer is still due. Not called for a transaction stacked on one whose handler has `onStacked`.
   */
  onOpen(tx: Transaction, frame: Frame): void;
  /**
   * A one-way message (msgid 0): on the link itself, or (circuit dialect) on the transaction that its circuit names,
   * unless the handler of that transaction has `onOneWay`.
   */
  onOneWay(frame: Frame, circuit: Transaction | null): void;
}

/**
 * Source and target of a routed message of the linkid dialect: the two link ids at offsets 16 and 24 of the header. Of
 * each half only the 32 bits count: with a sign it takes less memory (Transaction).
 */
export interface LinkAddress {
  readonly sourceLo: number;
  readonly sourceHi: number;
  readonly targetLo: number;
  readonly targetHi: number;
}

/** Ends of transactions, in slices. Each `yield` is how many since the one before. */
export type EndingJob = Generator<number, void>;

/**
 * What users of transactions may do with one side of a connection; endpoint.ts says what each method does and throws.
 */
export interface TransactionEndpoint {
  readonly rules: DialectRules;
  /** The link is lost: nothing can be sent or opened on it, even if some handlers have not been told yet. */
  readonly isLost: boolean;
  /**
   * Transactions in the table in which somebody waits for answers. Their handlers keep it; the endpoint starts it at 0.
   */
  awaited: number;
  transactions(): Transaction[];
  findOwn(lo: number, hi: number): Transaction | undefined;
  findPeers(lo: number, hi: number): Transaction | undefined;
  open<Data>(
    cmd: number,
    circuit: Transaction | null,
    handler: TransactionHandler<Data>,
    payload?: Uint8Array | null,
    error?: number,
    aux?: Uint8Array | null,
    address?: LinkAddress | null,
  ): Transaction<Data>;
  openForwarded<Data>(
    circuit: Transaction | null,
    handler: TransactionHandler<Data>,
    frame: Frame,
    address?: LinkAddress | null,
  ): Transaction<Data>;
  send(tx: Transaction, cmd: number, error?: number, payload?: Uint8Array | null, aux?: Uint8Array | null): boolean;
  forward(tx: Transaction, frame: Frame): boolean;
  forwardCopy(tx: Transaction, frame: Frame): boolean;
  end(tx: Transaction, error?: number, abort?: boolean): void;
  ending(tx: Transaction, error?: number, abort?: boolean): EndingJob | null;
  cut(tx: Transaction, error?: number, abort?: boolean): void;
  cutting(tx: Transaction, error?: number, abort?: boolean): EndingJob | null;
  settling(): EndingJob;
  abandon(tx: Transaction): void;
  oneWay(
    cmd: number,
    error?: number,
    payload?: Uint8Array | null,
    aux?: Uint8Array | null,
    circuit?: Transaction | null,
    address?: LinkAddress | null,
  ): boolean;
  forwardOneWay(frame: Frame, circuit: Transaction | null, address?: LinkAddress | null): boolean;
}

/**
 * One transaction on one connection (protocol.md, "Transactions"). Its state is a set of bits that only its endpoint
 * changes:
 *
 * * RX_CREATED, RX_DELETED: the peer's direction, set by its CREATE and DELETE;
 * * TX_CREATED, TX_DELETED: ours;
 * * GONE: both were deleted, or its circuit ended, or the link was lost;
 * * ENDING, CUT, SWEPT, UNLISTED: what is stacked on something ends, which may take more than one turn
 *   (stacked-ends.ts).
 *
 * Transactions form a tree (circuit dialect): each is linked into the list of children of the circuit it runs on.
 */
export class Transaction<Data = unknown> {
  readonly endpoint: TransactionEndpoint;
  // With a sign: each instance of a field that has ever held 2^31 or more has an object of its own for the number, and
  // msgids of a kernel are addresses beyond that.
  readonly #msgidLo: number;
  readonly #msgidHi: number;
  /** The transaction that this one is stacked on; null: on the link itself, as always in the linkid dialect. */
  readonly circuit: Transaction | null;
  /** REPLY, REVTRANS and REVCIRC as they are in every message that we send in this transaction. */
  readonly sendFlags: number;
  /** linkid: source and target of every message that we send in this transaction; null: both are 0. */
  readonly #address: LinkAddress | null;
  /** Set by the endpoint only. */
  state = 0;
  handler: TransactionHandler<Data>;
  /** Set by `bind` for the handler, which alone reads it; null before. */
  data: Data = null as Data;

  /** The tree, kept by the table. Of a first child `prevSibling` is the last one. */
  firstChild: Transaction | null = null;
  nextSibling: Transaction | null = null;
  prevSibling: Transaction | null = null;

  constructor(
    endpoint: TransactionEndpoint,
    msgidLo: number,
    msgidHi: number,
    openedByPeer: boolean,
    circuit: Transaction | null,
    handler: TransactionHandler<Data>,
    stacked: boolean,
    address: LinkAddress | null,
  ) {
    this.endpoint = endpoint;
    this.#msgidLo = msgidLo | 0;
    this.#msgidHi = msgidHi | 0;
    this.circuit = circuit;
    this.handler = handler;
    // protocol.md, "stacking": REVTRANS when the receiver opened the transaction, REVCIRC when it opened the circuit.
    this.sendFlags =
      (openedByPeer ? (stacked ? REPLY | REVTRANS : REPLY) : 0) | (circuit?.openedByPeer === true ? REVCIRC : 0);
    this.#address = address;
  }

  /** The low and the high half of its msgid, unsigned. */
  get msgidLo(): number {
    return this.#msgidLo >>> 0;
  }

  get msgidHi(): number {
    return this.#msgidHi >>> 0;
  }

  /**
   * True: the peer opened it and chose the msgid. False: we did. A transaction of ours and one of the peer may have
   * equal msgids.
   */
  get openedByPeer(): boolean {
    return (this.sendFlags & REPLY) !== 0;
  }

  /** How many transactions are below this one: 0 on the link itself. */
  get depth(): number {
    let depth = 0;
    for (let at = this.circuit; at !== null; at = at.circuit) depth++;
    return depth;
  }

  /**
   * The 64 bits at offset 16 of every message that we send in this transaction. circuit: the circuit's msgid; linkid:
   * source.
   */
  get fromLo(): number {
    if (this.circuit !== null) return this.circuit.msgidLo;
    return this.#address === null ? 0 : this.#address.sourceLo >>> 0;
  }

  get fromHi(): number {
    if (this.circuit !== null) return this.circuit.msgidHi;
    return this.#address === null ? 0 : this.#address.sourceHi >>> 0;
  }

  /** The 64 bits at offset 24 of every message that we send in this transaction. circuit: 0; linkid: target. */
  get toLo(): number {
    return this.#address === null ? 0 : this.#address.targetLo >>> 0;
  }

  get toHi(): number {
    return this.#address === null ? 0 : this.#address.targetHi >>> 0;
  }

  /** Sets the handler, and the data that it gets with each call. */
  bind<Other>(handler: TransactionHandler<Other>, data: Other): asserts this is Transaction<Other> {
    const bound: { handler: TransactionHandler<Other>; data: unknown } = this as Transaction;
    bound.handler = handler;
    bound.data = data;
  }

  /** Whether the peer has created its direction: if we opened the transaction, whether the peer has answered. */
  get rxCreated(): boolean {
    return (this.state & RX_CREATED) !== 0;
  }

  /** Whether the peer's direction is closed: nothing more will come. */
  get rxDeleted(): boolean {
    return (this.state & RX_DELETED) !== 0;
  }

  get txCreated(): boolean {
    return (this.state & TX_CREATED) !== 0;
  }

  /** Our direction is closed, or about to be: nothing can be sent any more. */
  get txDeleted(): boolean {
    return (this.state & (TX_DELETED | ENDING)) !== 0;
  }

  /**
   * Nothing can be stacked on it any more: gone, or deleted in both directions, it or what it is stacked on, or its
   * link is lost.
   */
  get ended(): boolean {
    return (
      (this.state & GONE) !== 0 ||
      (this.state & ENDED) === ENDED ||
      this.endpoint.isLost ||
      this.circuit?.ended === true
    );
  }
}

/** Whether the transaction exists and has this handler; then its `Data` type is known. */
export function isBoundTo<Data>(
  tx: Transaction | undefined,
  handler: TransactionHandler<Data>,
): tx is Transaction<Data> {
  return tx?.handler === handler;
}
