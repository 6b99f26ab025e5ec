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
/** Out of the table: nothing is sent or received in it any more. */
export const GONE = 16;

/** Both directions are deleted (a direction is deleted only after it was created). */
export const ENDED = RX_DELETED | TX_DELETED;

/**
 * Who uses a transaction. Each transaction gets exactly one final notification: `onMessage` (or `EndpointHandler.onOpen`) with a
 * frame that has DELETE, or `onLost`. All of them may call back into any endpoint, this one included. `Data`: what the transaction
 * carries for its handler.
 */
export interface TransactionHandler<Data = unknown> {
  /**
   * Every message of the peer in this transaction after the one that the peer opened it with; the state was updated before.
   * `frame.cmd & DELETE`: the last one; answer with `TransactionEndpoint.end` (now or later) unless our direction is deleted already.
   */
  onMessage(tx: Transaction<Data>, frame: Frame): void;
  /**
   * It ended without the peer's own DELETE: the link was lost or the circuit ended (protocol.md, "Transactions": as if the
   * peer had sent ABORT|DELETE with this error). It is out of the table already; sending in it does nothing, nor in any other of a link
   * that was lost.
   */
  onLost(tx: Transaction<Data>, error: number): void;
  /** It is out of the table, whatever the reason: always the last call, also after a final notification. */
  onGone?(tx: Transaction<Data>): void;
  /** circuit: the peer opens `tx` on it, as `EndpointHandler.onOpen`, which is told where a handler has no such method. */
  onStacked?(circuit: Transaction<Data>, tx: Transaction, frame: Frame): void;
  /** circuit: a one-way message on it, as `EndpointHandler.onOneWay`, which is told where a handler has no such method. */
  onOneWay?(circuit: Transaction<Data>, frame: Frame): void;
  /** A message is about to be written in it, or on it at any depth: for endpoints whose `sending` tells their transactions so. */
  onSending?(): void;
  /** For owners of its circuit, who are about to end that: whatever it has elsewhere is to end, too. */
  onCircuitClosing?(tx: Transaction<Data>): void;
  /** Somebody waits for its answers: a connection that is closed in order is given time for them. Default: nobody does. */
  readonly isAwaited?: boolean;
}

/** Hears nothing: what a transaction has until `onOpen` gives it a handler. */
export const DISCARD: TransactionHandler = {
  onMessage() {},
  onLost() {},
};

/** Where a routed message of the linkid dialect is from and to: the two link ids at offsets 16 and 24 of the header. */
export interface LinkAddress {
  readonly sourceLo: number;
  readonly sourceHi: number;
  readonly targetLo: number;
  readonly targetHi: number;
}

/** What can be done with transactions: the side of a connection that they are on (endpoint.ts, which says what each does and throws). */
export interface TransactionEndpoint {
  readonly rules: DialectRules;
  /** The link is lost: nothing on it can be sent or opened any more, though not everybody may have been told yet. */
  readonly isLost: boolean;
  transactions(): Transaction[];
  stackedOn(tx: Transaction): Transaction[];
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
 * One transaction on one connection (protocol.md, "Transactions"). Its state is a set of bits that only its endpoint changes:
 *
 * * RX_CREATED, RX_DELETED: the peer's direction, set by its CREATE and DELETE;
 * * TX_CREATED, TX_DELETED: ours;
 * * GONE: both were deleted, or its circuit ended, or the link was lost.
 *
 * Transactions form a tree (circuit dialect): each is linked into the list of children of the circuit it runs on.
 */
export class Transaction<Data = unknown> {
  readonly endpoint: TransactionEndpoint;
  readonly msgidLo: number;
  readonly msgidHi: number;
  /** True: the peer opened it, the msgid is the peer's. False: it is ours. The two may be equal. */
  readonly openedByPeer: boolean;
  /** What it is stacked on; null on the link itself, always null in the linkid dialect. */
  readonly circuit: Transaction | null;
  /** How many transactions it is stacked on. */
  readonly depth: number;
  /** REPLY, REVTRANS and REVCIRC as every message that we send in it has them. */
  readonly sendFlags: number;
  /** Offset 16 of every message that we send in it. circuit: the circuit's msgid; linkid: source. */
  readonly fromLo: number;
  readonly fromHi: number;
  /** Offset 24 of every message that we send in it. circuit: 0; linkid: target. */
  readonly toLo: number;
  readonly toHi: number;
  /** Set by the endpoint only. */
  state = 0;
  handler: TransactionHandler<Data>;
  /** For whoever owns the handler, who sets it when it takes or opens the transaction; null before. */
  data: Data = null as Data;

  /** The tree, kept by the table. */
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
    fromLo: number,
    fromHi: number,
    toLo: number,
    toHi: number,
  ) {
    this.endpoint = endpoint;
    this.msgidLo = msgidLo;
    this.msgidHi = msgidHi;
    this.openedByPeer = openedByPeer;
    this.circuit = circuit;
    this.depth = circuit === null ? 0 : circuit.depth + 1;
    this.handler = handler;
    // protocol.md, "stacking": REVTRANS when the receiver opened the transaction, REVCIRC when it opened the circuit.
    this.sendFlags =
      (openedByPeer ? (stacked ? REPLY | REVTRANS : REPLY) : 0) | (circuit?.openedByPeer === true ? REVCIRC : 0);
    this.fromLo = fromLo;
    this.fromHi = fromHi;
    this.toLo = toLo;
    this.toHi = toHi;
  }

  /** Gives it a handler, and what it carries for that. */
  bind<Other>(handler: TransactionHandler<Other>, data: Other): asserts this is Transaction<Other> {
    const bound: { handler: TransactionHandler<Other>; data: unknown } = this as Transaction;
    bound.handler = handler;
    bound.data = data;
  }

  /** The peer has opened its direction: for one of ours, it has answered. */
  get rxCreated(): boolean {
    return (this.state & RX_CREATED) !== 0;
  }

  /** The peer's direction is closed: nothing more will come. */
  get rxDeleted(): boolean {
    return (this.state & RX_DELETED) !== 0;
  }

  get txCreated(): boolean {
    return (this.state & TX_CREATED) !== 0;
  }

  /** Our direction is closed: nothing can be sent any more. */
  get txDeleted(): boolean {
    return (this.state & TX_DELETED) !== 0;
  }

  /** Nothing can be stacked on it any more: gone, or deleted in both directions, or its link is lost. */
  get ended(): boolean {
    return (this.state & GONE) !== 0 || (this.state & ENDED) === ENDED || this.endpoint.isLost;
  }
}

/** It is there, and has this handler. */
export function isBoundTo<Data>(
  tx: Transaction | undefined,
  handler: TransactionHandler<Data>,
): tx is Transaction<Data> {
  return tx?.handler === handler;
}
