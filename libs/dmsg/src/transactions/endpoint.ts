import { ABORT, BASE_MASK, CREATE, DELETE, REPLY, REVTRANS } from '../command.ts';
import type { DialectRules } from '../dialect.ts';
import type { Frame } from '../wire/frame.ts';
import type { MessageTemplate } from '../wire/message-template.ts';
import { OwnLastMessage, PassedLastMessage } from './last-message.ts';
import { LooseMessages } from './loose-messages.ts';
import { Openings, type OpeningsOptions } from './openings.ts';
import { advance, checkReplyFlags, keepsAddress, runsOn, violation } from './receive-rules.ts';
import { StackedEnds, type StackedEndsOptions } from './stacked-ends.ts';
import {
  ENDING,
  type EndingJob,
  type EndpointHandler,
  GONE,
  type LinkAddress,
  type Transaction,
  type TransactionEndpoint,
  type TransactionHandler,
  TX_CREATED,
  TX_DELETED,
} from './transaction.ts';
import { TransactionTable } from './transaction-table.ts';
import { TransactionWriter, type TransactionWriterDependencies } from './transaction-writer.ts';

export { DEFAULT_MAX_DEPTH, DEFAULT_MAX_TRANSACTIONS } from './openings.ts';
export type { EndpointHandler } from './transaction.ts';

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

export interface EndpointOptions extends OpeningsOptions, StackedEndsOptions {
  /**
   * First value of the upper halves of our msgids, an unsigned 32-bit number; default 0. With a random one, answers
   * recorded on another connection do not fit this one (protocol.md, "Crypto": a recorded handshake can be played
   * again).
   */
  readonly generation?: number;
}

export interface EndpointDependencies extends TransactionWriterDependencies {
  readonly handler: EndpointHandler;
  /**
   * Takes what is to be done where much is stacked on something that ends: some of it at once, or nothing, and the rest
   * in later turns of the event loop. Default: all of it at once.
   */
  readonly inSlices?: (job: EndingJob) => void;
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
  awaited = 0;

  readonly #stacked: boolean;
  readonly #writer: TransactionWriter;
  readonly #table: TransactionTable;
  readonly #ends: StackedEnds;
  readonly #openings: Openings;
  readonly #loose: LooseMessages;
  #isLost = false;

  constructor(options: EndpointOptions, deps: EndpointDependencies) {
    this.rules = options.rules;
    this.#stacked = options.rules.stacked;
    const { handler, inSlices = allAtOnce } = deps;
    const table = new TransactionTable(options.generation);
    const writer = new TransactionWriter(options.rules, deps);
    const ends = new StackedEnds(options, { endpoint: this, table, writer, inSlices });
    const openings = new Openings(options, { endpoint: this, table, ends, writer, handler });
    this.#table = table;
    this.#writer = writer;
    this.#ends = ends;
    this.#openings = openings;
    this.#loose = new LooseMessages(options.rules, { table, ends, openings, handler });
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

  /** CREATEs refused because they were stacked too deep. */
  get refusedDepth(): number {
    return this.#openings.refusedDepth;
  }

  /** CREATEs refused because their circuit was gone. */
  get refusedCircuit(): number {
    return this.#openings.refusedCircuit;
  }

  /** Whether `lost` or `losing` was called. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** From now on, refuses every transaction that the peer opens, with this error. */
  refuseOpens(error: number): void {
    this.#openings.refusal = error;
  }

  /** A copy of the table, children before parents. */
  transactions(): Transaction[] {
    return this.#table.leavesFirst(null);
  }

  /** A transaction that we opened, by its msgid. */
  findOwn(lo: number, hi: number): Transaction | undefined {
    return this.#ends.unlessGone(this.#table.findOwn(lo, hi));
  }

  /** A transaction that the peer opened, by its msgid. */
  findPeers(lo: number, hi: number): Transaction | undefined {
    return this.#ends.unlessGone(this.#table.findPeers(lo, hi));
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
      if (!this.#loose.oneWay(frame)) this.dropped++;
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
      if (!this.#loose.other(frame, tx)) this.dropped++;
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
    if (this.#ends.isBelowCut(tx)) {
      if (!this.#ends.heardBelowCut(tx, cmd)) this.dropped++;
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
    const tx = this.#openings.make(circuit, handler, address);
    this.#writer.write(tx, ((cmd & CALLERS_BITS) | CREATE) >>> 0, error, payload, aux);
    this.#openings.opened(tx, cmd);
    return tx;
  }

  /** As `open`, on the link itself, with a message that has CREATE out of a template. Throws as `open`. */
  openLike<Data>(handler: TransactionHandler<Data>, template: MessageTemplate): Transaction<Data> {
    const tx = this.#openings.make(null, handler, null);
    this.#writer.writeLike(tx, template);
    this.#openings.opened(tx, template.cmd);
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
    const tx = this.#openings.make(circuit, handler, address);
    const { cmd } = frame;
    this.#writer.pass(tx, frame);
    this.#openings.opened(tx, cmd);
    return tx;
  }

  /**
   * Sends a message in a transaction. `cmd` is a command, with DELETE if it is our last one, with ABORT if it is not an
   * orderly end; the other flags follow from the state. DELETE ends first what is stacked on `tx`, as `end` does, and
   * goes out after that. False, and counted as dropped, if our direction is deleted.
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
   * Closes our direction with a bare LNK_ERROR|DELETE; everything stacked on it is ended first, leaves first, with
   * ABORT and LOSTLINK (protocol.md, "stacking"). Nothing happens if it is closed already. Nothing is sent in it, or on
   * it at any depth, once this returns, though the ends may go out in slices.
   */
  end(tx: Transaction, error = 0, abort = false): void {
    this.#inSlices(this.ending(tx, error, abort));
  }

  /** `end`, for whoever goes on when it is over: what is left to be done for it; null: nothing. */
  ending(tx: Transaction, error = 0, abort = false): EndingJob | null {
    return this.#isClosed(tx) ? null : this.#ends.endBare(tx, error, abort, false);
  }

  /**
   * `end`, because what is stacked on it has lost its way: the handler of each hears of it (onCircuitClosing) as it
   * ends. What the peer still says there is thrown away; of its ends the handlers hear as of a loss.
   */
  cut(tx: Transaction, error = 0, abort = false): void {
    this.#inSlices(this.cutting(tx, error, abort));
  }

  /** `cut`, as `ending` is `end`. */
  cutting(tx: Transaction, error = 0, abort = false): EndingJob | null {
    return this.#isClosed(tx) ? null : this.#ends.endBare(tx, error, abort, true);
  }

  /** What is ending, or being told of an end, at this call: for whoever goes on when that is over. */
  settling(): EndingJob {
    return this.#ends.settling();
  }

  /**
   * Closes our direction, and that of everything stacked on `tx`, without sending anything. The linkid dialect's
   * routing needs this for messages that are thrown away. The transaction leaves the table with the peer's DELETE.
   */
  abandon(tx: Transaction): void {
    if (!this.#isClosed(tx)) this.#ends.abandon(tx);
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
    if (this.#isLost || (circuit !== null && this.#ends.takesNothing(circuit))) {
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
    if (this.#isLost || (circuit !== null && this.#ends.takesNothing(circuit))) {
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
    return isFirst ? this.#ends.losing(error) : nobodyIsTold();
  }

  #sent(tx: Transaction, cmd: number): void {
    if ((cmd & DELETE) === 0) tx.state |= TX_CREATED;
    else this.#ends.close(tx);
  }

  /** Nothing can be sent in it: our direction is closed, or is going to be, or what it is stacked on ends. */
  #isClosed(tx: Transaction): boolean {
    return this.#isLost || (tx.state & (TX_DELETED | ENDING | GONE)) !== 0 || this.#ends.isBelowEnding(tx);
  }

  #inSlices(job: EndingJob | null): void {
    if (job !== null) this.#ends.inSlices(job);
  }
}

function* nobodyIsTold(): EndingJob {}

function allAtOnce(job: EndingJob): void {
  while (job.next().done !== true);
}
