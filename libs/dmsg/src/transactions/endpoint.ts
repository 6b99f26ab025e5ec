import { ABORT, BASE_MASK, CREATE, DELETE, LNK_ERROR, REPLY, REVCIRC, REVTRANS } from '../command.ts';
import type { DialectRules } from '../dialect.ts';
import { DmsgError } from '../dmsg-error.ts';
import { ErrorCode } from '../error-code.ts';
import type { Frame } from '../wire/frame.ts';
import { advance, checkReplyFlags, isAddressed, keepsAddress, runsOn, violation } from './receive-rules.ts';
import {
  DISCARD,
  ENDED,
  GONE,
  type LinkAddress,
  RX_CREATED,
  RX_DELETED,
  Transaction,
  type TransactionEndpoint,
  type TransactionHandler,
  TX_CREATED,
  TX_DELETED,
} from './transaction.ts';
import { TransactionTable } from './transaction-table.ts';
import { NOWHERE, TransactionWriter, type TransactionWriterDependencies } from './transaction-writer.ts';

/**
 * How many transactions a transaction may be stacked on (circuit dialect). Real use needs 3; 300 of them crash a kernel behind
 * the router, as an audit of the original found.
 */
export const DEFAULT_MAX_DEPTH = 16;

/**
 * How many transactions a peer may have open on one connection: room for a large installation's spans, about 60 MB at
 * worst. Beyond it the link is ended.
 */
export const DEFAULT_MAX_TRANSACTIONS = 1 << 18;

/** Handlers that are told of a lost link between two `yield`s. */
const TOLD_AT_ONCE = 64;

/** The bit of REVTRANS in the linkid dialect: the aux data is somewhere else. Nobody supports it, so nobody may send it. */
const AUXOOB = REVTRANS;

/** What a caller of `open` and `send` decides; all other flags follow from the state. */
const CALLERS_BITS = BASE_MASK | DELETE | ABORT;

export interface EndpointOptions {
  readonly rules: DialectRules;
  /** Default: DEFAULT_MAX_DEPTH. */
  readonly maxDepth?: number;
  /** Default: DEFAULT_MAX_TRANSACTIONS. */
  readonly maxTransactions?: number;
  /** Most transactions that may be open, the peer's included, when we open another one; default: any number. */
  readonly maxOpen?: number;
  /**
   * Where the upper halves of our msgids are counted on from, an unsigned 32-bit number; default 0. A random one keeps answers that were
   * recorded on another connection from fitting this one (protocol.md, "Crypto": a recorded handshake can be played again).
   */
  readonly generation?: number;
}

export interface EndpointDependencies extends TransactionWriterDependencies {
  readonly handler: EndpointHandler;
}

/** What the peer begins. */
export interface EndpointHandler {
  /**
   * The peer opens a transaction. Set `tx.handler`, or refuse with `endpoint.end(tx, error)`; without either its messages are
   * thrown away. `frame.cmd & DELETE`: it closes its direction at once, nothing more comes, the answer is still due. Not called for
   * what is stacked on a transaction whose handler takes that itself (TransactionHandler.onStacked).
   */
  onOpen(tx: Transaction, frame: Frame): void;
  /**
   * A one-way message (msgid 0): on the link itself, or (circuit dialect) on the transaction that its circuit names, unless the handler of
   * that takes it itself.
   */
  onOneWay(frame: Frame, circuit: Transaction | null): void;
}

/**
 * One side of one connection: checks what the peer sends against protocol.md, "Transactions", keeps the state of every
 * transaction, and writes our messages with the flags that follow from it.
 *
 * Handlers are called with all state up to date and may call back into it; they should not throw (what they throw reaches the
 * caller, after every other notification has been made). A frame may be passed on at most once, as the last thing done with it.
 */
export class Endpoint implements TransactionEndpoint {
  readonly rules: DialectRules;
  /** Messages received. */
  messagesIn = 0;
  /** Messages that were thrown away without a word: too late, or (ours) in a direction that is deleted. */
  dropped = 0;
  /** CREATEs refused for being stacked too deep. */
  refusedDepth = 0;
  /** CREATEs refused because their circuit was gone. */
  refusedCircuit = 0;

  readonly #stacked: boolean;
  readonly #maxDepth: number;
  readonly #maxTransactions: number;
  readonly #handler: EndpointHandler;
  readonly #writer: TransactionWriter;
  readonly #table: TransactionTable;
  readonly #maxOpen: number;
  #isLost = false;
  /** What the peer opens is refused with this; 0: it is not. */
  #refusal = 0;

  constructor(options: EndpointOptions, deps: EndpointDependencies) {
    this.rules = options.rules;
    this.#stacked = options.rules.stacked;
    this.#maxDepth = options.maxDepth ?? DEFAULT_MAX_DEPTH;
    this.#maxTransactions = options.maxTransactions ?? DEFAULT_MAX_TRANSACTIONS;
    this.#maxOpen = options.maxOpen ?? Number.POSITIVE_INFINITY;
    this.#handler = deps.handler;
    this.#table = new TransactionTable(options.generation);
    this.#writer = new TransactionWriter(options.rules, deps);
  }

  /** Messages sent, passed ones included. */
  get messagesOut(): number {
    return this.#writer.messages;
  }

  /** Transactions in the table: not yet deleted in both directions. */
  get openCount(): number {
    return this.#table.size;
  }

  /** Those of them that the peer has opened. */
  get peerCount(): number {
    return this.#table.peerCount;
  }

  /** Transactions that either side has opened so far. */
  get openedCount(): number {
    return this.#table.added;
  }

  /** After `lost`. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** What the peer opens from now on is refused with this error. */
  refuseOpens(error: number): void {
    this.#refusal = error;
  }

  /** A copy of the table, children before parents. */
  transactions(): Transaction[] {
    return this.#table.leavesFirst(null);
  }

  /** Everything that is stacked on `tx`, leaves first: a copy. */
  stackedOn(tx: Transaction): Transaction[] {
    return tx.firstChild === null ? [] : this.#table.leavesFirst(tx);
  }

  /** A transaction that we opened, by its msgid. */
  findOwn(lo: number, hi: number): Transaction | undefined {
    return this.#table.findOwn(lo, hi);
  }

  /** A transaction that the peer opened, by its msgid. */
  findPeers(lo: number, hi: number): Transaction | undefined {
    return this.#table.findPeers(lo, hi);
  }

  /**
   * Takes a message of the peer. After `lost` it is thrown away.
   * @throws DmsgError TRANS: a protocol error; PARAM: too many transactions. The owner closes this link and calls `lost`.
   */
  receive(frame: Frame): void {
    if (this.#isLost) {
      this.dropped++;
      return;
    }
    this.messagesIn++;
    const { cmd, msgidLo, msgidHi } = frame;
    if (!this.#stacked && (cmd & AUXOOB) !== 0) throw violation(frame, 'out-of-band aux data is not supported');
    if ((msgidLo | msgidHi) === 0) {
      this.#receiveOneWay(frame);
      return;
    }
    // protocol.md, "Transactions": both sides may use a msgid; REVTRANS (circuit) or REPLY (linkid) says whose it is.
    const tx =
      (cmd & (this.#stacked ? REVTRANS : REPLY)) !== 0
        ? this.#table.findOwn(msgidLo, msgidHi)
        : this.#table.findPeers(msgidLo, msgidHi);
    // What runs on a circuit never outlives it, so a transaction that is there and has the same circuit proves it alive.
    if (tx === undefined || (this.#stacked && !runsOn(tx, frame))) {
      this.#receiveOther(frame, tx);
      return;
    }
    if (this.#stacked) {
      checkReplyFlags(frame);
    } else if (!keepsAddress(tx, frame)) {
      this.dropped++;
      return;
    }
    if (!advance(tx, frame)) {
      this.dropped++;
      return;
    }
    tx.handler.onMessage(tx, frame);
    if ((cmd & DELETE) !== 0) this.#settle(tx, null);
  }

  /**
   * Opens a transaction on `circuit` (null: on the link itself; always so in the linkid dialect, where `address` may route it).
   * `cmd` is a command, with DELETE if it is all that we send in it. `payload` and `aux` are copied.
   * @throws DmsgError LOSTLINK: the link or the circuit has ended; CANTCIRC: stacked too deep; FIELD: message out of bounds; PARAM: too
   * many are open.
   */
  open<Data>(
    cmd: number,
    circuit: Transaction | null,
    handler: TransactionHandler<Data>,
    payload: Uint8Array | null = null,
    error = 0,
    aux: Uint8Array | null = null,
    address: LinkAddress | null = null,
  ): Transaction<Data> {
    const tx = this.#make(circuit, handler, address);
    this.#writer.write(tx, ((cmd & CALLERS_BITS) | CREATE) >>> 0, error, payload, aux);
    this.#opened(tx, cmd);
    return tx;
  }

  /** `open`, by passing on a frame that has CREATE; its bytes are given away. Errors as there. */
  openForwarded<Data>(
    circuit: Transaction | null,
    handler: TransactionHandler<Data>,
    frame: Frame,
    address: LinkAddress | null = null,
  ): Transaction<Data> {
    const tx = this.#make(circuit, handler, address);
    const { cmd } = frame;
    this.#writer.pass(tx, frame);
    this.#opened(tx, cmd);
    return tx;
  }

  /**
   * Sends a message in a transaction. `cmd` is a command, with DELETE if it is our last one, with ABORT if it is not an orderly
   * end; the other flags follow from the state. DELETE ends first what is stacked on `tx`, as `end` does.
   * False, and counted as dropped, if our direction is deleted.
   * @throws DmsgError FIELD: message out of bounds.
   */
  send(
    tx: Transaction,
    cmd: number,
    error = 0,
    payload: Uint8Array | null = null,
    aux: Uint8Array | null = null,
  ): boolean {
    if (this.#isLost || (tx.state & (TX_DELETED | GONE)) !== 0) {
      this.dropped++;
      return false;
    }
    this.#writer.check(cmd, payload, aux);
    const ended = (cmd & DELETE) === 0 ? null : this.#endStacked(tx);
    this.#writer.write(tx, cmd & CALLERS_BITS, error, payload, aux);
    this.#sent(tx, cmd, ended);
    return true;
  }

  /**
   * Passes a received frame on in `tx`, which is joined to the transaction that it came in: same command and flags, the ids and
   * the checks of this hop. Its bytes are given away. False, counted, and the frame untouched, if our direction is deleted.
   */
  forward(tx: Transaction, frame: Frame): boolean {
    if (this.#isLost || (tx.state & (TX_DELETED | GONE)) !== 0) {
      this.dropped++;
      return false;
    }
    const { cmd } = frame;
    const ended = (cmd & DELETE) === 0 ? null : this.#endStacked(tx);
    this.#writer.pass(tx, frame);
    this.#sent(tx, cmd, ended);
    return true;
  }

  /** `forward` of a copy: the frame stays as it is, for others to be sent as well. */
  forwardCopy(tx: Transaction, frame: Frame): boolean {
    if (this.#isLost || (tx.state & (TX_DELETED | GONE)) !== 0) {
      this.dropped++;
      return false;
    }
    const { cmd } = frame;
    const ended = (cmd & DELETE) === 0 ? null : this.#endStacked(tx);
    this.#writer.passCopy(tx, frame);
    this.#sent(tx, cmd, ended);
    return true;
  }

  /**
   * Closes our direction with a bare LNK_ERROR|DELETE; everything stacked on it is ended first, leaves first, with ABORT and
   * LOSTLINK (protocol.md, "stacking"). Nothing happens if it is closed already.
   */
  end(tx: Transaction, error = 0, abort = false): void {
    if (this.#isLost || (tx.state & (TX_DELETED | GONE)) !== 0) return;
    this.send(tx, abort ? LNK_ERROR | DELETE | ABORT : LNK_ERROR | DELETE, error);
  }

  /**
   * Closes our direction and that of what is stacked on it without sending anything: for messages that are thrown away as the
   * linkid dialect's routing demands; the transaction leaves the table with the peer's DELETE.
   */
  abandon(tx: Transaction): void {
    if (this.#isLost || (tx.state & (TX_DELETED | GONE)) !== 0) return;
    const ended = tx.firstChild === null ? null : this.#table.leavesFirst(tx).filter(closeSilently);
    closeSilently(tx);
    this.#settle(tx, ended);
  }

  /**
   * Sends a one-way message (msgid 0) on the link itself, or on `circuit`. `cmd` is a command, with REPLY if it is an answer.
   * False, and counted as dropped, if the circuit or the link has ended.
   * @throws DmsgError FIELD: message out of bounds.
   */
  oneWay(
    cmd: number,
    error = 0,
    payload: Uint8Array | null = null,
    aux: Uint8Array | null = null,
    circuit: Transaction | null = null,
    address: LinkAddress | null = null,
  ): boolean {
    if (this.#isLost || circuit?.ended === true) {
      this.dropped++;
      return false;
    }
    this.#writer.oneWay(cmd & (BASE_MASK | REPLY), error, payload, aux, circuit, address);
    return true;
  }

  /** Passes a received one-way message on, on `circuit` or (linkid) to `address`. Its bytes are given away. False as `oneWay`. */
  forwardOneWay(frame: Frame, circuit: Transaction | null, address: LinkAddress | null = null): boolean {
    if (this.#isLost || circuit?.ended === true) {
      this.dropped++;
      return false;
    }
    this.#writer.passOneWay(frame, circuit, address);
    return true;
  }

  /**
   * The connection is gone: every open transaction ends as if the peer had sent ABORT|DELETE with `error` (protocol.md,
   * "Transactions"), leaves first. Nothing is sent, now or later.
   */
  lost(error: number): void {
    const losing = this.losing(error);
    while (losing.next().done !== true);
  }

  /**
   * The same in slices: when this returns the link is lost, and nothing can be sent or opened on it; the handlers are told as what is
   * returned is gone through. Each `yield` is how many were told since the one before.
   */
  losing(error: number): Generator<number, void> {
    const isFirst = !this.#isLost;
    this.#isLost = true;
    return isFirst ? this.#tellingLost(error) : nobodyIsTold();
  }

  *#tellingLost(error: number): Generator<number, void> {
    const failures = new Failures();
    let told = 0;
    for (let tx = this.#table.firstLeaf(); tx !== null; tx = this.#table.firstLeaf()) {
      this.#table.remove(tx);
      tellLost(tx, error, failures);
      if (++told < TOLD_AT_ONCE) continue;
      yield told;
      told = 0;
    }
    failures.throwFirst();
    yield told;
  }

  #receiveOneWay(frame: Frame): void {
    const { cmd } = frame;
    // protocol.md, "Transactions": CREATE with msgid 0. Before the circuit is looked up: a refusal with msgid 0 would break the peer.
    if ((cmd & CREATE) !== 0) throw violation(frame, 'CREATE with msgid 0');
    const circuit = this.#circuitOf(frame);
    // There never is a transaction 0, so these are messages for one that is not there.
    if (circuit === undefined || (cmd & ABORT) !== 0) {
      this.dropped++;
      return;
    }
    if ((cmd & DELETE) !== 0) throw violation(frame, 'DELETE with msgid 0');
    // protocol.md, "Transactions": one-way messages have no REVTRANS.
    if (this.#stacked && (cmd & REVTRANS) !== 0) throw violation(frame, 'REVTRANS with msgid 0');
    if (circuit?.handler.onOneWay === undefined) this.#handler.onOneWay(frame, circuit);
    else circuit.handler.onOneWay(circuit, frame);
  }

  /** A message of a transaction that is not there, or that names another circuit than its transaction (`tx`) runs on. */
  #receiveOther(frame: Frame, tx: Transaction | undefined): void {
    const { cmd } = frame;
    const circuit = this.#circuitOf(frame);
    if (circuit === undefined) {
      this.#receiveOnGoneCircuit(frame);
      return;
    }
    if (this.#stacked) checkReplyFlags(frame);
    // protocol.md, "Transactions": (circuit) a wrong circuit on an open transaction.
    if (tx !== undefined) throw violation(frame, 'wrong circuit on an open transaction');
    if ((cmd & (REPLY | CREATE)) >>> 0 === CREATE) {
      this.#accept(frame, circuit);
      return;
    }
    // protocol.md, "Transactions": DELETE, REPLY|CREATE, REPLY|DELETE without ABORT; with it, or without these flags: quietly.
    // "Routing, linkid": what is on a route that is gone is thrown away.
    if ((cmd & ABORT) === 0 && (cmd & (CREATE | DELETE)) !== 0 && (this.#stacked || !isAddressed(frame))) {
      throw violation(frame, 'message for a transaction that is not there');
    }
    this.dropped++;
  }

  /** protocol.md, "stacking": dropped quietly, but a CREATE gets an answer, so that its sender does not wait for ever. */
  #receiveOnGoneCircuit(frame: Frame): void {
    const { cmd } = frame;
    if ((cmd & (REPLY | CREATE)) >>> 0 !== CREATE) {
      this.dropped++;
      return;
    }
    this.refusedCircuit++;
    this.#writer.refuseCircuit(frame);
  }

  /** What the frame's circuit names: null the link itself, undefined something that is gone in both directions. */
  #circuitOf(frame: Frame): Transaction | null | undefined {
    const { circuitLo, circuitHi } = frame;
    if (!this.#stacked || (circuitLo | circuitHi) === 0) return null;
    return (frame.cmd & REVCIRC) !== 0
      ? this.#table.findOwn(circuitLo, circuitHi)
      : this.#table.findPeers(circuitLo, circuitHi);
  }

  #accept(frame: Frame, circuit: Transaction | null): void {
    if (this.#table.peerCount >= this.#maxTransactions) {
      throw new DmsgError(ErrorCode.PARAM, 'too many open transactions', { limit: this.#maxTransactions });
    }
    const stacked = this.#stacked;
    const tx = new Transaction(
      this,
      frame.msgidLo,
      frame.msgidHi,
      true,
      circuit,
      DISCARD,
      stacked,
      // circuit: ours go on the same circuit; linkid: an answer swaps source and target.
      stacked ? frame.circuitLo : frame.targetLo,
      stacked ? frame.circuitHi : frame.targetHi,
      stacked ? 0 : frame.circuitLo,
      stacked ? 0 : frame.circuitHi,
    );
    tx.state = (frame.cmd & DELETE) === 0 ? RX_CREATED : RX_CREATED | RX_DELETED;
    this.#table.add(tx);
    if (tx.depth > this.#maxDepth) {
      // It stays in the table until the peer's DELETE, which would be a protocol error otherwise.
      this.refusedDepth++;
      this.end(tx, ErrorCode.CANTCIRC);
      return;
    }
    if (this.#refusal !== 0) this.end(tx, this.#refusal);
    else if (circuit?.handler.onStacked === undefined) this.#handler.onOpen(tx, frame);
    else circuit.handler.onStacked(circuit, tx, frame);
  }

  /** A transaction of ours that has not been sent and is not in the table yet. */
  #make<Data>(
    circuit: Transaction | null,
    handler: TransactionHandler<Data>,
    address: LinkAddress | null,
  ): Transaction<Data> {
    if (this.#table.size >= this.#maxOpen) {
      throw new DmsgError(ErrorCode.PARAM, 'too many open transactions', { limit: this.#maxOpen });
    }
    if (this.#isLost || circuit?.ended === true) throw new DmsgError(ErrorCode.LOSTLINK, 'the circuit has ended');
    if (circuit !== null && (circuit.endpoint !== this || !this.#stacked)) {
      throw new DmsgError(ErrorCode.PARAM, 'not a circuit of this link');
    }
    if (circuit !== null && circuit.depth >= this.#maxDepth) {
      throw new DmsgError(ErrorCode.CANTCIRC, 'stacked too deep', { limit: this.#maxDepth });
    }
    const { nextLo, nextHi } = this.#table;
    const { sourceLo, sourceHi, targetLo, targetHi } = address ?? NOWHERE;
    return new Transaction(
      this,
      nextLo,
      nextHi,
      false,
      circuit,
      handler,
      this.#stacked,
      circuit === null ? sourceLo : circuit.msgidLo,
      circuit === null ? sourceHi : circuit.msgidHi,
      circuit === null ? targetLo : 0,
      circuit === null ? targetHi : 0,
    );
  }

  #opened(tx: Transaction, cmd: number): void {
    tx.state = (cmd & DELETE) === 0 ? TX_CREATED : TX_CREATED | TX_DELETED;
    this.#table.add(tx);
  }

  #sent(tx: Transaction, cmd: number, ended: Transaction[] | null): void {
    if ((cmd & DELETE) === 0) {
      tx.state |= TX_CREATED;
      return;
    }
    tx.state |= TX_CREATED | TX_DELETED;
    this.#settle(tx, ended);
  }

  /** Sends the ends of everything stacked on `tx`, leaves first. No handler is called. Returns those that are over now. */
  #endStacked(tx: Transaction): Transaction[] | null {
    if (tx.firstChild === null) return null;
    return this.#table.leavesFirst(tx).filter((child) => {
      if ((child.state & TX_DELETED) !== 0) return false;
      this.#writer.write(child, LNK_ERROR | DELETE | ABORT, ErrorCode.LOSTLINK, null, null);
      return closeSilently(child);
    });
  }

  /** Takes out of the table what is deleted in both directions: `ended`, then `tx` if it is. */
  #settle(tx: Transaction, ended: Transaction[] | null): void {
    if (ended !== null) for (const child of ended) this.#finish(child);
    this.#finish(tx);
  }

  /** Takes `tx`, if deleted in both directions, and all that is stacked on it out of the table, and tells the handlers. */
  #finish(tx: Transaction): void {
    if ((tx.state & (ENDED | GONE)) !== ENDED) return;
    if (tx.firstChild !== null) {
      // protocol.md, "stacking": when a transaction ends, everything stacked on it ends too, by itself.
      const stacked = this.#table.leavesFirst(tx);
      for (const child of stacked) this.#table.remove(child);
      this.#table.remove(tx);
      stacked.push(tx);
      notifyLost(stacked, ErrorCode.LOSTLINK);
      return;
    }
    this.#table.remove(tx);
    tx.handler.onGone?.(tx);
  }
}

/** Marks our direction as deleted; true if that makes it over. */
function closeSilently(tx: Transaction): boolean {
  tx.state |= TX_CREATED | TX_DELETED;
  return (tx.state & RX_DELETED) !== 0;
}

/** Final notifications of transactions that are out of the table. */
function notifyLost(gone: readonly Transaction[], error: number): void {
  const failures = new Failures();
  for (const tx of gone) tellLost(tx, error, failures);
  failures.throwFirst();
}

/** The final notification of one; an exception does not keep others from theirs. */
function tellLost(tx: Transaction, error: number, failures: Failures): void {
  try {
    if ((tx.state & RX_DELETED) === 0) tx.handler.onLost(tx, error);
    tx.handler.onGone?.(tx);
  } catch (thrown) {
    failures.note(thrown);
  }
}

/** What handlers have thrown, of which the first is thrown when all have been told. */
class Failures {
  #first: { readonly thrown: unknown } | null = null;

  note(thrown: unknown): void {
    this.#first ??= { thrown };
  }

  throwFirst(): void {
    if (this.#first !== null) throw this.#first.thrown;
  }
}

function* nobodyIsTold(): Generator<number, void> {}
