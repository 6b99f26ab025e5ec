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
 * How many transactions a transaction may be stacked on (circuit dialect). Real use needs 3. An audit of the original
 * found that 300 crash a kernel behind the router.
 */
export const DEFAULT_MAX_DEPTH = 16;

/**
 * How many transactions a peer may have open on one connection: enough for a large installation's spans, about 60 MB at
 * worst. A peer that opens more loses its connection.
 */
export const DEFAULT_MAX_TRANSACTIONS = 1 << 18;

/** How many handlers are told of a lost link between two `yield`s of `losing`. */
const TOLD_AT_ONCE = 64;

/**
 * The bit of REVTRANS means something else in the linkid dialect: the aux data is somewhere else. Nobody supports that,
 * so it is a protocol error.
 */
const AUXOOB = REVTRANS;

/**
 * The bits of a command word that a caller of `open` and `send` chooses; all other flags follow from the transaction's
 * state.
 */
const CALLERS_BITS = BASE_MASK | DELETE | ABORT;

export interface EndpointOptions {
  readonly rules: DialectRules;
  /** Default: DEFAULT_MAX_DEPTH. */
  readonly maxDepth?: number;
  /** Default: DEFAULT_MAX_TRANSACTIONS. */
  readonly maxTransactions?: number;
  /** Most transactions, the peer's included, that may be open before we open another one; default: any number. */
  readonly maxOpen?: number;
  /**
   * First value of the upper halves of our msgids, an unsigned 32-bit number; default 0. With a random one, answers
   * recorded on another connection do not fit this one (protocol.md, "Crypto": a recorded handshake can be played
   * again).
   */
  readonly generation?: number;
}

export interface EndpointDependencies extends TransactionWriterDependencies {
  readonly handler: EndpointHandler;
}

/** Takes the transactions that the peer opens, and its one-way messages. */
export interface EndpointHandler {
  /**
   * The peer has opened a transaction. Set `tx.handler`, or refuse it with `endpoint.end(tx, error)`; without either,
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
 * One side of one connection: checks what the peer sends against protocol.md, "Transactions", keeps the state of every
 * transaction, and writes our messages with the flags that follow from it. Handlers are called when all state is up to
 * date, and may call back into the endpoint. They should not throw: what they throw reaches the caller, after every
 * other notification has been made. A frame may be passed on at most once, and only as the last thing done with it.
 */
export class Endpoint implements TransactionEndpoint {
  readonly rules: DialectRules;
  /** Messages received. */
  messagesIn = 0;
  /** Messages thrown away silently: the peer's that came too late, and ours in a direction that is deleted. */
  dropped = 0;
  /** CREATEs refused because they were stacked too deep. */
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
  /** The error with which transactions that the peer opens are refused; 0: they are accepted. */
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

  /** Transactions in the table that the peer has opened. */
  get peerCount(): number {
    return this.#table.peerCount;
  }

  /** Transactions that either side has opened so far. */
  get openedCount(): number {
    return this.#table.added;
  }

  /** Whether `lost` or `losing` was called. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** From now on, refuses every transaction that the peer opens, with this error. */
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
   * Takes a message of the peer. Once the link is lost it is thrown away.
   * @throws DmsgError TRANS: a protocol error; PARAM: too many transactions. The owner then closes this link and calls
   * `lost`.
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
    // A transaction is never in the table without its circuit, so one that is found and names the same circuit proves
    // that the circuit is alive.
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
   * Opens a transaction on `circuit` (null: on the link itself; always so in the linkid dialect, where `address` may
   * route it). `cmd` is a command, with DELETE if this is our only message in it. `payload` and `aux` are copied.
   * @throws DmsgError LOSTLINK: the link or the circuit has ended; CANTCIRC: stacked too deep; FIELD: message out of
   * bounds; PARAM: too many are open.
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

  /**
   * As `open`, by passing on a received frame that has CREATE; the caller gives the frame's bytes away. Throws as
   * `open`.
   */
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
   * Sends a message in a transaction. `cmd` is a command, with DELETE if this is our last message, and ABORT if the end
   * is not orderly; the other flags follow from the state. DELETE first ends everything stacked on `tx`, as `end` does.
   * False, and counted in `dropped`, if our direction is deleted.
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
   * Passes a received frame on in `tx`, which is joined to the transaction that the frame came in: same command and
   * flags, but this hop's ids and checks. The caller gives the frame's bytes away. False, counted in `dropped`, and the
   * frame unchanged, if our direction is deleted.
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

  /** As `forward`, but passes on a copy: the frame stays as it is and may be sent to others, too. */
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
   * Closes our direction with a bare LNK_ERROR|DELETE, after ending everything stacked on `tx`, leaves first, with
   * ABORT and LOSTLINK (protocol.md, "stacking"). Does nothing if our direction is closed already.
   */
  end(tx: Transaction, error = 0, abort = false): void {
    if (this.#isLost || (tx.state & (TX_DELETED | GONE)) !== 0) return;
    this.send(tx, abort ? LNK_ERROR | DELETE | ABORT : LNK_ERROR | DELETE, error);
  }

  /**
   * Closes our direction, and that of everything stacked on `tx`, without sending anything. The linkid dialect's
   * routing needs this for messages that are thrown away. The transaction leaves the table with the peer's DELETE.
   */
  abandon(tx: Transaction): void {
    if (this.#isLost || (tx.state & (TX_DELETED | GONE)) !== 0) return;
    const ended = tx.firstChild === null ? null : this.#table.leavesFirst(tx).filter(closeSilently);
    closeSilently(tx);
    this.#settle(tx, ended);
  }

  /**
   * Sends a one-way message (msgid 0) on the link itself, or on `circuit`. `cmd` is a command, with REPLY if it is an
   * answer. False, and counted in `dropped`, if the circuit or the link has ended.
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

  /**
   * Passes a received one-way message on, on `circuit` or (linkid) to `address`. The caller gives the frame's bytes
   * away. False as `oneWay`.
   */
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
   * As `lost`, in slices. When this returns, the link is lost: nothing can be sent or opened on it. The handlers are
   * told while the caller iterates. Each `yield` gives how many were told since the one before.
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
    // protocol.md, "Transactions": CREATE with msgid 0. Checked before the circuit is looked up: if that were gone we
    // would answer with msgid 0, which breaks a peer.
    if ((cmd & CREATE) !== 0) throw violation(frame, 'CREATE with msgid 0');
    const circuit = this.#circuitOf(frame);
    // A transaction 0 never exists, so an ABORT with msgid 0 is for a transaction that is not there: dropped quietly.
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

  /**
   * Takes a message whose transaction is not in the table, or that names another circuit than its transaction (`tx`)
   * runs on.
   */
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
    // protocol.md, "Transactions": DELETE, REPLY|CREATE and REPLY|DELETE are protocol errors here unless they have
    // ABORT; anything else is dropped quietly. "Routing, linkid": so is a routed message, since its route may be gone.
    if ((cmd & ABORT) === 0 && (cmd & (CREATE | DELETE)) !== 0 && (this.#stacked || !isAddressed(frame))) {
      throw violation(frame, 'message for a transaction that is not there');
    }
    this.dropped++;
  }

  /**
   * protocol.md, "stacking": a message on a circuit that is gone is dropped quietly, but a CREATE is answered, so that
   * its sender does not wait for ever.
   */
  #receiveOnGoneCircuit(frame: Frame): void {
    const { cmd } = frame;
    if ((cmd & (REPLY | CREATE)) >>> 0 !== CREATE) {
      this.dropped++;
      return;
    }
    this.refusedCircuit++;
    this.#writer.refuseCircuit(frame);
  }

  /**
   * The transaction that the frame's circuit names. null: the link itself; undefined: the circuit is gone in both
   * directions.
   */
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
      // circuit: our answers name the same circuit; linkid: an answer swaps source and target.
      stacked ? frame.circuitLo : frame.targetLo,
      stacked ? frame.circuitHi : frame.targetHi,
      stacked ? 0 : frame.circuitLo,
      stacked ? 0 : frame.circuitHi,
    );
    tx.state = (frame.cmd & DELETE) === 0 ? RX_CREATED : RX_CREATED | RX_DELETED;
    this.#table.add(tx);
    if (tx.depth > this.#maxDepth) {
      // The refused transaction stays in the table until the peer's DELETE, which would otherwise be a protocol error.
      this.refusedDepth++;
      this.end(tx, ErrorCode.CANTCIRC);
      return;
    }
    if (this.#refusal !== 0) this.end(tx, this.#refusal);
    else if (circuit?.handler.onStacked === undefined) this.#handler.onOpen(tx, frame);
    else circuit.handler.onStacked(circuit, tx, frame);
  }

  /** Makes a transaction of ours, without putting it into the table. */
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

  /**
   * Sends the ends of everything stacked on `tx`, leaves first, without calling a handler. Returns the transactions
   * that are now deleted in both directions.
   */
  #endStacked(tx: Transaction): Transaction[] | null {
    if (tx.firstChild === null) return null;
    return this.#table.leavesFirst(tx).filter((child) => {
      if ((child.state & TX_DELETED) !== 0) return false;
      this.#writer.write(child, LNK_ERROR | DELETE | ABORT, ErrorCode.LOSTLINK, null, null);
      return closeSilently(child);
    });
  }

  /** Takes transactions that are deleted in both directions out of the table: those of `ended`, then `tx` if it is. */
  #settle(tx: Transaction, ended: Transaction[] | null): void {
    if (ended !== null) for (const child of ended) this.#finish(child);
    this.#finish(tx);
  }

  /**
   * If `tx` is deleted in both directions, takes it and everything stacked on it out of the table and tells the
   * handlers.
   */
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

/** Marks our direction as deleted. True if both directions are now. */
function closeSilently(tx: Transaction): boolean {
  tx.state |= TX_CREATED | TX_DELETED;
  return (tx.state & RX_DELETED) !== 0;
}

/** Makes the final notifications for transactions that have left the table. */
function notifyLost(gone: readonly Transaction[], error: number): void {
  const failures = new Failures();
  for (const tx of gone) tellLost(tx, error, failures);
  failures.throwFirst();
}

/**
 * Makes the final notifications for one transaction. What its handler throws is noted, so that the others are still
 * told.
 */
function tellLost(tx: Transaction, error: number, failures: Failures): void {
  try {
    if ((tx.state & RX_DELETED) === 0) tx.handler.onLost(tx, error);
    tx.handler.onGone?.(tx);
  } catch (thrown) {
    failures.note(thrown);
  }
}

/** Exceptions of handlers: the first one is thrown once all handlers have been told. */
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
