import { ABORT, BASE_MASK, BLK_READ, DELETE, LNK_ERROR } from '@spanmesh/dmsg/command';
import { DmsgError } from '@spanmesh/dmsg/dmsg-error';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import type { Frame } from '@spanmesh/dmsg/frame';
import { CORE_HEADER_BYTES } from '@spanmesh/dmsg/header';
import { keepFrame } from '@spanmesh/dmsg/kept-frame';
import type { EndingJob, Transaction, TransactionEndpoint } from '@spanmesh/dmsg/transaction';
import type { GatewayMetrics } from '../../metrics.ts';
import type { Link } from '../../peers/peer.ts';
import { bytesOf, type RouteClasses } from '../route-class.ts';
import type { RoutedSample } from '../routed-sample.ts';
import { type BlkRequest, mayWrite, requestOf, requestOfFrame } from './blk-request.ts';
import { type BlockRange, EVERYTHING } from './block-range.ts';
import { MAX_COPIED_BYTES, MAX_KEPT_BYTES, MAX_WAITING_READS } from './limits.ts';
import type { NodeBlocks } from './node-blocks.ts';
import { type Noted, ReadJoined } from './read-joined.ts';
import { SharedRead, WaitingRead } from './shared-read.ts';
import { type Asks, WaitingReads } from './waiting-reads.ts';

/** Bytes of a BLK_READ that this gateway sends to the node itself. */
const READ_BYTES = 2 * CORE_HEADER_BYTES;

const NO_PAYLOAD: Uint8Array = Buffer.alloc(0);

export interface LinkReadsDependencies {
  readonly metrics: GatewayMetrics;
  readonly sample: RoutedSample;
  readonly classes: RouteClasses;
  /** Bytes of partial answers kept, for all consolidated links of this gateway together. */
  readonly kept: { bytes: number };
  /** Runs the job, which ends things of this principal: some at once, the rest in later turns of the event loop. */
  readonly inSlices: (principal: string, job: EndingJob) => void;
}

/**
 * A read that was sent to the node and whose answer others may wait for. `on`: the open that it is stacked on; null:
 * none.
 */
interface SentRead {
  readonly kind: 'read';
  readonly read: SharedRead;
  readonly on: SentOpen | null;
}

/** A BLK_OPEN that was sent to the node. */
interface SentOpen {
  readonly kind: 'open';
  /**
   * The open's payload; null: the open was not granted, or more messages were sent in it, so reads on it are equal to
   * no other reads.
   */
  payload: string | null;
  granted: boolean;
  /** The open is ending, and so are the transactions stacked on it. */
  isClosing: boolean;
  /** The reads on it that others may wait for; null: there has been none. */
  reads: Set<Transaction> | null;
}

/** A transaction that was opened with the node. */
type Sent = SentRead | SentOpen | { readonly kind: 'write' };

/**
 * Consolidated reads of the node at the end of one link (architecture.md, "Consolidated reads"). The first asker of a
 * block asks the node as usual; askers that read the same meanwhile wait for a copy of the whole answer. When there
 * will be no answer for them, one of them asks the node.
 */
export class LinkReads implements Noted, Asks {
  /** Handlers of the askers' transactions, used in place of those of Joins. */
  readonly toPeer: ReadJoined;
  readonly fromTrunk: ReadJoined;
  /** The endpoint of the link's connection, on which the node's transactions are. */
  readonly endpoint: TransactionEndpoint;

  readonly #link: Transaction;
  readonly #number: number;
  readonly #principal: string;
  readonly #blocks: NodeBlocks<SharedRead>;
  readonly #deps: LinkReadsDependencies;
  readonly #sent = new Map<Transaction, Sent>();
  readonly #waitingReads = new WaitingReads(this);
  #closed = false;

  constructor({ id, tx, connection }: Link, blocks: NodeBlocks<SharedRead>, deps: LinkReadsDependencies) {
    this.#link = tx;
    this.#number = id;
    this.#principal = connection.principal;
    this.endpoint = tx.endpoint;
    this.#blocks = blocks;
    this.#deps = deps;
    const { metrics, sample } = deps;
    const { local, trunk } = deps.classes;
    this.toPeer = new ReadJoined(this, { metrics, sample, routes: local, passed: local.out });
    this.fromTrunk = new ReadJoined(this, { metrics, sample, routes: trunk, passed: trunk.in });
    const toTrunk = new ReadJoined(this, { metrics, sample, routes: trunk, passed: trunk.out });
    this.fromTrunk.other = toTrunk;
    toTrunk.other = this.fromTrunk;
  }

  /** Number of the node's transactions that are noted here. */
  get size(): number {
    return this.#sent.size;
  }

  open(joined: ReadJoined, tx: Transaction, target: Transaction, frame: Frame): void {
    const request = requestOfFrame(frame);
    const key = request.kind === 'read' ? this.#keyOf(request.payload, target, tx.rxDeleted) : null;
    if (key !== null) {
      const found = this.#blocks.find(key);
      if (found !== null && found.waiting.size < MAX_WAITING_READS) {
        this.#wait(new WaitingRead(tx, target, joined, found));
        return;
      }
    }
    const far = joined.stackAlone(tx, target, frame);
    if (far === null) return;
    if (request.kind === 'read') {
      if (key !== null) this.#lead(far, new SharedRead({ ...request, key }));
    } else {
      this.#note(far, request);
    }
  }

  /** A client in this process has opened `far` with the node. */
  opened(far: Transaction, cmd: number, error: number, payload: Uint8Array | null, auxBytes: number): void {
    this.#note(far, requestOf(cmd, error, payload ?? NO_PAYLOAD, auxBytes));
  }

  said(far: Transaction, cmd: number): void {
    const sent = this.#sent.get(far);
    if (sent?.kind === 'read') {
      // An asker that closes its direction in order has sent no more than the read. Anything else it sends may change
      // the answer.
      if ((cmd & (BASE_MASK | DELETE | ABORT)) !== (LNK_ERROR | DELETE)) this.#askAgain(far, sent);
    } else if (sent?.kind === 'open') {
      sent.payload = null;
      if ((cmd & DELETE) !== 0) this.#closing(sent);
    }
    if (mayWrite(cmd)) this.#write(far, EVERYTHING);
  }

  saidOneWay(cmd: number): void {
    // A one-way message has no end: from now on it counts as a write of everything under way.
    if (mayWrite(cmd)) this.#blocks.writeSent(this.#blocks, EVERYTHING);
  }

  answered(far: Transaction, frame: Frame): void {
    const sent = this.#sent.get(far);
    if (sent?.kind === 'read') this.#readAnswered(far, sent, frame);
    else if (sent?.kind === 'open') {
      // The open is granted by its first answer, if that has no error. A further answer may mean anything.
      if (sent.granted || frame.error !== 0) sent.payload = null;
      sent.granted = true;
    }
  }

  lost(far: Transaction): void {
    const sent = this.#sent.get(far);
    if (sent?.kind === 'read') this.#askAgain(far, sent);
    else if (sent?.kind === 'open') {
      sent.payload = null;
      this.#closing(sent);
    }
  }

  gone(far: Transaction): void {
    const sent = this.#sent.get(far);
    if (sent === undefined) return;
    this.#sent.delete(far);
    if (sent.kind === 'read') this.#askAgain(far, sent);
    else if (sent.kind === 'write') this.#blocks.writeOver(far);
  }

  /** The link is about to close. */
  close(): void {
    this.#closed = true;
  }

  askAlone(waits: WaitingRead): Transaction<Transaction> | null {
    if (waits.read === null) return null;
    const { payload } = waits.read;
    waits.leave();
    return this.#ask(waits, payload, false);
  }

  /** Key that is equal for reads that may wait for each other; null: this read waits for none, and none for it. */
  #keyOf(payload: Buffer, target: Transaction, last: boolean): string | null {
    // Only reads over the same link: another peer that claims to be the same node must not answer for this one. Only
    // reads that are equally complete (`last`): the node may wait for the rest of an incomplete one.
    const key = `${this.#number} ${last} ${payload.toString('latin1')}`;
    if (target === this.#link) return key;
    const sent = this.#sent.get(target);
    // The node's answer to a BLK_OPEN decides who may read: reads under opens count as alike only if the opens asked
    // for the same and were granted.
    if (sent?.kind !== 'open' || sent.payload === null || !sent.granted || target.circuit !== this.#link) return null;
    return key + sent.payload;
  }

  #lead(far: Transaction, read: SharedRead): void {
    // The read is noted even if no further read may wait for it: some may wait for it already.
    if (!this.#blocks.readSent(read) && read.waiting.size === 0) return;
    const on = far.circuit === null ? undefined : this.#sent.get(far.circuit);
    const open = on?.kind === 'open' ? on : null;
    this.#sent.set(far, { kind: 'read', read, on: open });
    if (open === null) return;
    open.reads ??= new Set();
    open.reads.add(far);
  }

  #note(far: Transaction, request: BlkRequest): void {
    if (request.kind === 'write') this.#write(far, request.range);
    else if (request.kind === 'open') {
      const { payload } = request;
      this.#sent.set(far, { kind: 'open', payload, granted: false, isClosing: false, reads: null });
    }
  }

  #write(far: Transaction, range: BlockRange): void {
    this.#sent.set(far, { kind: 'write' });
    this.#blocks.writeSent(far, range);
  }

  #wait(waits: WaitingRead): void {
    waits.tx.bind<WaitingRead>(this.#waitingReads, waits);
    waits.joined.routes.opened();
    waits.tx.endpoint.awaited++;
    this.#deps.metrics.readsConsolidated++;
  }

  /** An asker's open ends, and so do the reads stacked on it: askers that wait for one of these reads ask again. */
  #closing(open: SentOpen): void {
    open.isClosing = true;
    if (open.reads !== null) this.#inSlices(this.#askingAgain(open.reads));
  }

  #readAnswered(far: Transaction, sent: SentRead, frame: Frame): void {
    const { read } = sent;
    this.#blocks.seal(read);
    if (read.waiting.size === 0) this.#forget(far, sent);
    // An abort or LOSTLINK concerns the first asker only: the others ask again.
    else if ((frame.cmd & ABORT) !== 0 || frame.error === ErrorCode.LOSTLINK) this.#askAgain(far, sent);
    else if ((frame.cmd & DELETE) !== 0) this.#copyToAll(far, sent, frame);
    else this.#keep(far, sent, frame);
  }

  #keep(far: Transaction, sent: SentRead, frame: Frame): void {
    const { read } = sent;
    const bytes = bytesOf(frame);
    const { kept } = this.#deps;
    if (kept.bytes + bytes > MAX_KEPT_BYTES) {
      this.#forget(far, sent);
      this.#inSlices(this.#asking(read, { together: false }));
      return;
    }
    kept.bytes += bytes;
    read.keptBytes += bytes;
    read.kept.push(keepFrame(frame));
  }

  /** The answer is complete with `frame`: copies it to all that wait. Past MAX_COPIED_BYTES the rest ask once more. */
  #copyToAll(far: Transaction, sent: SentRead, frame: Frame): void {
    const { read } = sent;
    const { kept } = read;
    const bytes = read.keptBytes + bytesOf(frame);
    this.#forget(far, sent);
    for (let left = Math.max(1, Math.floor(MAX_COPIED_BYTES / bytes)); left > 0; left--) {
      const waits = read.next();
      if (waits === null) return;
      for (const part of kept) copyTo(waits, part);
      copyTo(waits, frame);
    }
    this.#inSlices(this.#asking(read, { together: true }));
  }

  /**
   * There will be no answer in `far` for those that wait for its read: the first of them asks the node, and the others
   * wait for its answer.
   */
  #askAgain(far: Transaction, sent: SentRead): void {
    this.#forget(far, sent);
    if (sent.read.waiting.size > 0) this.#inSlices(this.#asking(sent.read, { together: true }));
  }

  *#askingAgain(reads: ReadonlySet<Transaction>): EndingJob {
    for (const far of reads) {
      const sent = this.#sent.get(far);
      if (sent?.kind !== 'read') continue;
      this.#forget(far, sent);
      yield 1;
      yield* this.#asking(sent.read, { together: true });
    }
  }

  /**
   * Askers wait for a read that is not sent to the node any more: they send their own. `together`: one of them sends it
   * for all.
   */
  *#asking(read: SharedRead, { together }: { readonly together: boolean }): EndingJob {
    for (let waits = read.next(); waits !== null; waits = read.next()) {
      const asked = this.#ask(waits, read.payload, waits.tx.rxDeleted);
      if (asked !== null && together) {
        this.#lead(asked.data, read);
        return;
      }
      yield 1;
    }
  }

  /**
   * From now on, messages in `far` are for its own asker only. The other askers go on waiting for the read; no part of
   * its answer is kept.
   */
  #forget(far: Transaction, { read, on }: SentRead): void {
    this.#blocks.seal(read);
    this.#sent.delete(far);
    on?.reads?.delete(far);
    this.#deps.kept.bytes -= read.keptBytes;
    read.keptBytes = 0;
    read.kept = [];
  }

  #inSlices(job: EndingJob): void {
    this.#deps.inSlices(this.#principal, job);
  }

  /**
   * Asks the node on behalf of one asker that waited, and joins the two transactions; `last`: the asker sends nothing
   * more. null: the node cannot be asked, and the asker's transaction is aborted.
   */
  #ask(waits: WaitingRead, payload: Buffer, last: boolean): Transaction<Transaction> | null {
    const { target, joined } = waits;
    const on = this.#sent.get(target);
    if (this.#closed || target.ended || target.txDeleted || (on?.kind === 'open' && on.isClosing)) {
      joined.refuse(waits.tx);
      return null;
    }
    let far: Transaction<Transaction>;
    try {
      far = this.endpoint.open(last ? BLK_READ | DELETE : BLK_READ, target, joined.other, payload);
    } catch (error) {
      if (!(error instanceof DmsgError)) throw error;
      waits.tx.endpoint.end(waits.tx, error.code, true);
      return null;
    }
    this.#deps.metrics.readsAskedAgain++;
    this.endpoint.awaited++;
    joined.passed.add(READ_BYTES);
    waits.tx.bind<Transaction>(joined, far);
    far.data = waits.tx;
    return waits.tx;
  }
}

function copyTo({ tx, joined }: WaitingRead, frame: Frame): void {
  if (tx.endpoint.forwardCopy(tx, frame)) joined.other.passed.add(bytesOf(frame));
}
