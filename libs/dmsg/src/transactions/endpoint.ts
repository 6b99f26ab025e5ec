import { ABORT, BASE_MASK, CREATE, DELETE, LNK_ERROR, REPLY, REVCIRC, REVTRANS } from '../command.ts';
import type { DialectRules } from '../dialect.ts';
import { DmsgError } from '../dmsg-error.ts';
import { ErrorCode } from '../error-code.ts';
import type { Frame } from '../wire/frame.ts';
import { closeSilently, Failures, tellLost } from './final-notices.ts';
import { OwnLastMessage, PassedLastMessage } from './last-message.ts';
import { advance, checkReplyFlags, isAddressed, keepsAddress, runsOn, violation } from './receive-rules.ts';
import { ENDED_AT_ONCE, isBelowCut, isBelowEnding, isBelowGone, StackedEnds } from './stacked-ends.ts';
import {
  CUT,
  DISCARD,
  ENDING,
  type EndingJob,
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
  /** Transactions that end with what they are stacked on between two `yield`s of what is done in slices; default: ENDED_AT_ONCE. */
  readonly endedAtOnce?: number;
}

export interface EndpointDependencies extends TransactionWriterDependencies {
  readonly handler: EndpointHandler;
  /**
   * Takes what is to be done where much is stacked on something that ends: some of it at once, or nothing, and the rest in later turns of the
   * event loop. Default: all of it at once.
   */
  readonly inSlices?: (job: EndingJob) => void;
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
  awaited = 0;

  readonly #stacked: boolean;
  readonly #ends: StackedEnds;
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
    const { inSlices = allAtOnce } = deps;
    this.#ends = new StackedEnds(options, { endpoint: this, table: this.#table, writer: this.#writer, inSlices });
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

  /** Something that much is stacked on is ending, and not over. */
  get isEnding(): boolean {
    return this.#ends.size > 0;
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

  /** A transaction that we opened, by its msgid. */
  findOwn(lo: number, hi: number): Transaction | undefined {
    return this.#unlessGone(this.#table.findOwn(lo, hi));
  }

  /** A transaction that the peer opened, by its msgid. */
  findPeers(lo: number, hi: number): Transaction | undefined {
    return this.#unlessGone(this.#table.findPeers(lo, hi));
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
        ? this.findOwn(msgidLo, msgidHi)
        : this.findPeers(msgidLo, msgidHi);
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
    if (this.#ends.size !== 0 && isBelowCut(tx)) {
      this.#receiveCut(tx, cmd);
      return;
    }
    tx.handler.onMessage(tx, frame);
    if ((cmd & DELETE) !== 0) this.#ends.finish(tx);
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
   * Sends a message in a transaction. `cmd` is a command, with DELETE if it is our last one, with ABORT if it is not an orderly
   * end; the other flags follow from the state. DELETE ends first what is stacked on `tx`, as `end` does, and goes out after that.
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
    if (this.#isClosed(tx)) {
      this.dropped++;
      return false;
    }
    this.#writer.check(cmd, payload, aux);
    const ours = cmd & CALLERS_BITS;
    if ((cmd & DELETE) !== 0 && tx.firstChild !== null) {
      this.#ends.end(tx, new OwnLastMessage(this.#writer, tx, ours, error, payload, aux));
      return true;
    }
    this.#writer.write(tx, ours, error, payload, aux);
    this.#sent(tx, cmd);
    return true;
  }

  /**
   * Passes a received frame on in `tx`, which is joined to the transaction that the frame came in: same command and
   * flags, but this hop's ids and checks. The caller gives the frame's bytes away. False, counted in `dropped`, and the
   * frame unchanged, if our direction is deleted.
   */
  forward(tx: Transaction, frame: Frame): boolean {
    if (this.#isClosed(tx)) {
      this.dropped++;
      return false;
    }
    const { cmd } = frame;
    if ((cmd & DELETE) !== 0 && tx.firstChild !== null) {
      this.#ends.end(tx, new PassedLastMessage(this.#writer, tx, frame, true));
      return true;
    }
    this.#writer.pass(tx, frame);
    this.#sent(tx, cmd);
    return true;
  }

  /** As `forward`, but passes on a copy: the frame stays as it is and may be sent to others, too. */
  forwardCopy(tx: Transaction, frame: Frame): boolean {
    if (this.#isClosed(tx)) {
      this.dropped++;
      return false;
    }
    const { cmd } = frame;
    if ((cmd & DELETE) !== 0 && tx.firstChild !== null) {
      this.#ends.end(tx, new PassedLastMessage(this.#writer, tx, frame, false));
      return true;
    }
    this.#writer.passCopy(tx, frame);
    this.#sent(tx, cmd);
    return true;
  }

  /**
   * Closes our direction with a bare LNK_ERROR|DELETE; everything stacked on it is ended first, leaves first, with ABORT and
   * LOSTLINK (protocol.md, "stacking"). Nothing happens if it is closed already. Nothing is sent in it, or on it at any depth, once
   * this returns, though the ends may go out in slices.
   */
  end(tx: Transaction, error = 0, abort = false): void {
    this.#inSlices(this.ending(tx, error, abort));
  }

  /** `end`, for whoever goes on when it is over: what is left to be done for it; null: nothing. */
  ending(tx: Transaction, error = 0, abort = false): EndingJob | null {
    return this.#bareEnd(tx, error, abort, false);
  }

  /**
   * `end`, because what is stacked on it has lost its way: the handler of each hears of it (onCircuitClosing) as it ends. What the peer still
   * says there is thrown away; of its ends the handlers hear as of a loss.
   */
  cut(tx: Transaction, error = 0, abort = false): void {
    this.#inSlices(this.cutting(tx, error, abort));
  }

  /** `cut`, as `ending` is `end`. */
  cutting(tx: Transaction, error = 0, abort = false): EndingJob | null {
    return this.#bareEnd(tx, error, abort, true);
  }

  /** All that is ending with what it is stacked on, for whoever goes on when nothing is any more. In slices. */
  settling(): EndingJob {
    return this.#ends.settling();
  }

  /**
   * Closes our direction, and that of everything stacked on `tx`, without sending anything. The linkid dialect's
   * routing needs this for messages that are thrown away. The transaction leaves the table with the peer's DELETE.
   */
  abandon(tx: Transaction): void {
    if (this.#isClosed(tx)) return;
    const ended = tx.firstChild === null ? [] : this.#table.leavesFirst(tx).filter(closeSilently);
    closeSilently(tx);
    for (const child of ended) this.#ends.finish(child);
    this.#ends.finish(tx);
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
    if (this.#isLost || (circuit !== null && this.#takesNothing(circuit))) {
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
    if (this.#isLost || (circuit !== null && this.#takesNothing(circuit))) {
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
    allAtOnce(this.losing(error));
  }

  /**
   * As `lost`, in slices. When this returns, the link is lost: nothing can be sent or opened on it. The handlers are
   * told while the caller iterates. Each `yield` gives how many were told since the one before.
   */
  losing(error: number): EndingJob {
    const isFirst = !this.#isLost;
    this.#isLost = true;
    return isFirst ? this.#tellingLost(error) : nobodyIsTold();
  }

  *#tellingLost(error: number): EndingJob {
    const failures = new Failures();
    let told = 0;
    for (let tx = this.#table.firstLeaf(); tx !== null; tx = this.#table.firstLeaf()) {
      this.#table.remove(tx);
      tellLost(tx, error, failures);
      if (++told < ENDED_AT_ONCE) continue;
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
    // There never is a transaction 0, so these are messages for one that is not there.
    if (circuit === undefined || (cmd & ABORT) !== 0 || (circuit !== null && this.#isCut(circuit))) {
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
    return (frame.cmd & REVCIRC) !== 0 ? this.findOwn(circuitLo, circuitHi) : this.findPeers(circuitLo, circuitHi);
  }

  /** What the peer says on something that is cut goes nowhere; its end is one. */
  #receiveCut(tx: Transaction, cmd: number): void {
    if ((cmd & DELETE) === 0) {
      this.dropped++;
      return;
    }
    tx.handler.onLost(tx, ErrorCode.LOSTLINK);
    this.#ends.finish(tx);
  }

  #accept(frame: Frame, circuit: Transaction | null): void {
    if (this.#table.peerCount >= this.#maxTransactions) {
      this.#ends.step(() => this.#table.peerCount < this.#maxTransactions);
      if (this.#table.peerCount >= this.#maxTransactions) {
        throw new DmsgError(ErrorCode.PARAM, 'too many open transactions', { limit: this.#maxTransactions });
      }
      // The link may have been lost for that, or the circuit have ended.
      if (this.#isLost) {
        this.dropped++;
        return;
      }
      if (circuit?.ended === true) {
        this.#receiveOnGoneCircuit(frame);
        return;
      }
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
    if (this.#ends.size !== 0) this.#unlist(frame);
    const isLate = circuit !== null && this.#takesNothing(circuit);
    this.#table.add(tx, isLate);
    if (isLate) {
      // Before its circuit's end, which may be waiting for others to end first.
      this.refusedCircuit++;
      this.#ends.abort(tx);
      return;
    }
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
    if (this.#table.size >= this.#maxOpen) this.#ends.step(() => this.#table.size < this.#maxOpen);
    if (this.#table.size >= this.#maxOpen) {
      throw new DmsgError(ErrorCode.PARAM, 'too many open transactions', { limit: this.#maxOpen });
    }
    if (this.#isLost || (circuit !== null && this.#takesNothing(circuit))) {
      throw new DmsgError(ErrorCode.LOSTLINK, 'the circuit has ended');
    }
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

  #sent(tx: Transaction, cmd: number): void {
    if ((cmd & DELETE) === 0) {
      tx.state |= TX_CREATED;
      return;
    }
    closeSilently(tx);
    this.#ends.finish(tx);
  }

  /** Nothing can be sent in it: our direction is closed, or is going to be, or what it is stacked on ends. */
  #isClosed(tx: Transaction): boolean {
    return (
      this.#isLost ||
      (tx.state & (TX_DELETED | ENDING | GONE)) !== 0 ||
      (this.#ends.size !== 0 && tx.circuit !== null && isBelowEnding(tx))
    );
  }

  /** Nothing can be opened or sent on it. */
  #takesNothing(circuit: Transaction): boolean {
    return (circuit.state & ENDING) !== 0 || circuit.ended || (this.#ends.size !== 0 && isBelowEnding(circuit));
  }

  #isCut(circuit: Transaction): boolean {
    return this.#ends.size !== 0 && ((circuit.state & CUT) !== 0 || isBelowCut(circuit));
  }

  /** What is gone with what it was stacked on is not there for anybody, told or not. */
  #unlessGone(tx: Transaction | undefined): Transaction | undefined {
    return tx !== undefined && this.#ends.size !== 0 && isBelowGone(tx) ? undefined : tx;
  }

  /** The peer opens a transaction: what had the msgid before is gone, but it may not have been told. */
  #unlist({ msgidLo, msgidHi }: Frame): void {
    const before = this.#table.findPeers(msgidLo, msgidHi);
    if (before !== undefined) this.#table.unlist(before);
  }

  #inSlices(job: EndingJob | null): void {
    if (job !== null) this.#ends.inSlices(job);
  }

  #bareEnd(tx: Transaction, error: number, abort: boolean, isCut: boolean): EndingJob | null {
    if (this.#isClosed(tx)) return null;
    const cmd = (abort ? LNK_ERROR | DELETE | ABORT : LNK_ERROR | DELETE) >>> 0;
    if (tx.firstChild !== null) return this.#ends.endBare(tx, cmd, error, isCut);
    this.#writer.write(tx, cmd, error, null, null);
    this.#sent(tx, cmd);
    return null;
  }
}

function* nobodyIsTold(): EndingJob {}

function allAtOnce(job: EndingJob): void {
  while (job.next().done !== true);
}
