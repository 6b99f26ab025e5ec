import { DELETE } from '../command.ts';
import type { DialectRules } from '../dialect.ts';
import { DmsgError } from '../dmsg-error.ts';
import { ErrorCode } from '../error-code.ts';
import type { Frame } from '../wire/frame.ts';
import { isOpening } from './receive-rules.ts';
import type { StackedEnds } from './stacked-ends.ts';
import {
  DISCARD,
  type EndpointHandler,
  type LinkAddress,
  RX_CREATED,
  RX_DELETED,
  Transaction,
  type TransactionEndpoint,
  type TransactionHandler,
  TX_CREATED,
  TX_DELETED,
} from './transaction.ts';
import type { TransactionTable } from './transaction-table.ts';
import type { TransactionWriter } from './transaction-writer.ts';

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

export interface OpeningsOptions {
  readonly rules: DialectRules;
  /** Default: DEFAULT_MAX_DEPTH. */
  readonly maxDepth?: number;
  /** Default: DEFAULT_MAX_TRANSACTIONS. */
  readonly maxTransactions?: number;
  /** Most transactions, the peer's included, that may be open before we open another one; default: any number. */
  readonly maxOpen?: number;
}

export interface OpeningsDependencies {
  readonly endpoint: TransactionEndpoint;
  readonly table: TransactionTable;
  readonly ends: StackedEnds;
  readonly writer: TransactionWriter;
  readonly handler: EndpointHandler;
}

/** Opens transactions of one endpoint, the peer's and ours, within its limits. */
export class Openings {
  /** CREATEs refused because they were stacked too deep. */
  refusedDepth = 0;
  /** CREATEs refused because their circuit was gone. */
  refusedCircuit = 0;
  /** The error with which transactions that the peer opens are refused; 0: they are accepted. */
  refusal = 0;

  readonly #stacked: boolean;
  readonly #maxDepth: number;
  readonly #maxTransactions: number;
  readonly #maxOpen: number;
  readonly #endpoint: TransactionEndpoint;
  readonly #table: TransactionTable;
  readonly #ends: StackedEnds;
  readonly #writer: TransactionWriter;
  readonly #handler: EndpointHandler;

  constructor(options: OpeningsOptions, { endpoint, table, ends, writer, handler }: OpeningsDependencies) {
    this.#stacked = options.rules.stacked;
    this.#maxDepth = options.maxDepth ?? DEFAULT_MAX_DEPTH;
    this.#maxTransactions = options.maxTransactions ?? DEFAULT_MAX_TRANSACTIONS;
    this.#maxOpen = options.maxOpen ?? Number.POSITIVE_INFINITY;
    this.#endpoint = endpoint;
    this.#table = table;
    this.#ends = ends;
    this.#writer = writer;
    this.#handler = handler;
  }

  /**
   * The peer opens a transaction on `circuit`. False: its frame is thrown away.
   * @throws DmsgError PARAM: too many transactions.
   */
  accept(frame: Frame, circuit: Transaction | null): boolean {
    if (this.#table.peerCount >= this.#maxTransactions) {
      this.#ends.step(() => this.#table.peerCount < this.#maxTransactions);
      if (this.#table.peerCount >= this.#maxTransactions) throw tooMany(this.#maxTransactions);
      // The link may have been lost for that, or the circuit have ended.
      if (this.#endpoint.isLost) return false;
      if (circuit?.ended === true) return this.refuseCircuit(frame);
    }
    const stacked = this.#stacked;
    const tx = new Transaction(
      this.#endpoint,
      frame.msgidLo,
      frame.msgidHi,
      true,
      circuit,
      DISCARD,
      stacked,
      stacked ? null : answering(frame),
    );
    tx.state = (frame.cmd & DELETE) === 0 ? RX_CREATED : RX_CREATED | RX_DELETED;
    if (this.#ends.size !== 0) this.#unlist(frame);
    const isLate = circuit !== null && this.#ends.takesNothing(circuit);
    this.#table.add(tx, isLate);
    if (isLate) {
      // Before its circuit's end, which may be waiting for others to end first.
      this.refusedCircuit++;
      this.#ends.abort(tx);
    } else if (tx.depth > this.#maxDepth) {
      // The refused transaction stays in the table until the peer's DELETE, which would otherwise be a protocol error.
      this.refusedDepth++;
      this.#endpoint.end(tx, ErrorCode.CANTCIRC);
    } else if (this.refusal !== 0) this.#endpoint.end(tx, this.refusal);
    else if (circuit?.handler.onStacked === undefined) this.#handler.onOpen(tx, frame);
    else circuit.handler.onStacked(circuit, tx, frame);
    return true;
  }

  /**
   * protocol.md, "stacking": a message on a circuit that is gone is dropped quietly (false), but a CREATE is answered,
   * so that its sender does not wait for ever.
   */
  refuseCircuit(frame: Frame): boolean {
    if (!isOpening(frame)) return false;
    this.refusedCircuit++;
    this.#writer.refuseCircuit(frame);
    return true;
  }

  /** Makes a transaction of ours, without putting it into the table. @throws DmsgError as `Endpoint.open`. */
  make<Data>(
    circuit: Transaction | null,
    handler: TransactionHandler<Data>,
    address: LinkAddress | null,
  ): Transaction<Data> {
    if (this.#table.size >= this.#maxOpen) this.#ends.step(() => this.#table.size < this.#maxOpen);
    if (this.#table.size >= this.#maxOpen) throw tooMany(this.#maxOpen);
    if (this.#endpoint.isLost || (circuit !== null && this.#ends.takesNothing(circuit))) {
      throw new DmsgError(ErrorCode.LOSTLINK, 'the circuit has ended');
    }
    if (circuit !== null && (circuit.endpoint !== this.#endpoint || !this.#stacked)) {
      throw new DmsgError(ErrorCode.PARAM, 'not a circuit of this link');
    }
    if (circuit !== null && circuit.depth >= this.#maxDepth) {
      throw new DmsgError(ErrorCode.CANTCIRC, 'stacked too deep', { limit: this.#maxDepth });
    }
    const { nextLo, nextHi } = this.#table;
    const own = circuit === null ? address : null;
    return new Transaction(this.#endpoint, nextLo, nextHi, false, circuit, handler, this.#stacked, own);
  }

  /** The first message of one that `make` has made, `cmd`, is sent: puts it into the table. */
  opened(tx: Transaction, cmd: number): void {
    tx.state = (cmd & DELETE) === 0 ? TX_CREATED : TX_CREATED | TX_DELETED;
    this.#table.add(tx);
  }

  /** The peer opens a transaction: what had the msgid before is gone, but it may not have been told. */
  #unlist({ msgidLo, msgidHi }: Frame): void {
    const before = this.#table.findPeers(msgidLo, msgidHi);
    if (before !== undefined) this.#table.unlist(before);
  }
}

/** linkid: an answer swaps source and target; null: both are 0. */
function answering({ circuitLo, circuitHi, targetLo, targetHi }: Frame): LinkAddress | null {
  if ((circuitLo | circuitHi | targetLo | targetHi) === 0) return null;
  return { sourceLo: targetLo | 0, sourceHi: targetHi | 0, targetLo: circuitLo | 0, targetHi: circuitHi | 0 };
}

function tooMany(limit: number): DmsgError {
  return new DmsgError(ErrorCode.PARAM, 'too many open transactions', { limit });
}
