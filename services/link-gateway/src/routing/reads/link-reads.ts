import { ABORT, BASE_MASK, BLK_READ, DELETE, LNK_ERROR } from '@spanmesh/dmsg/command';
import { DmsgError } from '@spanmesh/dmsg/dmsg-error';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import type { Frame } from '@spanmesh/dmsg/frame';
import { CORE_HEADER_BYTES } from '@spanmesh/dmsg/header';
import { keepFrame } from '@spanmesh/dmsg/kept-frame';
import type { Transaction, TransactionEndpoint } from '@spanmesh/dmsg/transaction';
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

/** BLK_READ as it goes to the node once more. */
const READ_BYTES = 2 * CORE_HEADER_BYTES;

const NO_PAYLOAD: Uint8Array = Buffer.alloc(0);

export interface LinkReadsDependencies {
  readonly metrics: GatewayMetrics;
  readonly sample: RoutedSample;
  readonly classes: RouteClasses;
  /** Of all consolidated links of this gateway: bytes of answers that are kept. */
  readonly kept: { bytes: number };
}

/** What is known of a transaction that the node has been sent. */
type Sent =
  | { readonly kind: 'read'; readonly read: SharedRead }
  /** BLK_OPEN, as far as it is known what it is: `payload` says for what; null: it is not known, or not granted. */
  | { readonly kind: 'open'; payload: string | null; granted: boolean }
  | { readonly kind: 'write' };

/**
 * Consolidated reads of the node at the end of one link (architecture.md, "Consolidated reads"). Whoever reads first asks the node, as if
 * there were nobody else; who reads the same meanwhile waits for a copy of the whole answer, and asks himself as soon as there will be none.
 */
export class LinkReads implements Noted, Asks {
  /** Handlers, as those of Joins. */
  readonly toPeer: ReadJoined;
  readonly fromTrunk: ReadJoined;
  /** The side of the link's connection that the node is on. */
  readonly endpoint: TransactionEndpoint;

  readonly #link: Transaction;
  readonly #number: number;
  readonly #blocks: NodeBlocks<SharedRead>;
  readonly #deps: LinkReadsDependencies;
  readonly #sent = new Map<Transaction, Sent>();
  readonly #waitingReads = new WaitingReads(this);
  #closed = false;

  constructor({ id, tx }: Link, blocks: NodeBlocks<SharedRead>, deps: LinkReadsDependencies) {
    this.#link = tx;
    this.#number = id;
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

  /** Transactions that the node has been sent and that mean something here. */
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

  /** Somebody in this process has opened `far` with the node. */
  opened(far: Transaction, cmd: number, error: number, payload: Uint8Array | null, auxBytes: number): void {
    this.#note(far, requestOf(cmd, error, payload ?? NO_PAYLOAD, auxBytes));
  }

  said(far: Transaction, cmd: number): void {
    const sent = this.#sent.get(far);
    if (sent?.kind === 'read') {
      // Once it has said all in order, an asker is as one who never said more than the read.
      if ((cmd & (BASE_MASK | DELETE | ABORT)) !== (LNK_ERROR | DELETE)) this.#askAgain(sent.read);
    } else if (sent?.kind === 'open') {
      sent.payload = null;
      if ((cmd & DELETE) !== 0) this.#closing(far);
    }
    if (mayWrite(cmd)) this.#write(far, EVERYTHING);
  }

  saidOneWay(cmd: number): void {
    // Nothing will ever say that it is done.
    if (mayWrite(cmd)) this.#blocks.writeSent(this.#blocks, EVERYTHING);
  }

  answered(far: Transaction, frame: Frame): void {
    const sent = this.#sent.get(far);
    if (sent?.kind === 'read') this.#readAnswered(sent.read, frame);
    else if (sent?.kind === 'open') {
      // Granted by one answer without an error; whatever comes then is more than is known here.
      if (sent.granted || frame.error !== 0) sent.payload = null;
      sent.granted = true;
    }
  }

  lost(far: Transaction): void {
    const sent = this.#sent.get(far);
    if (sent?.kind === 'read') this.#askAgain(sent.read);
    else if (sent?.kind === 'open') {
      sent.payload = null;
      this.#closing(far);
    }
  }

  gone(far: Transaction): void {
    const sent = this.#sent.get(far);
    if (sent === undefined) return;
    this.#sent.delete(far);
    if (sent.kind === 'read') this.#askAgain(sent.read);
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

  /** What reads that may wait for each other have in common; null: it waits for none, and none for it. */
  #keyOf(payload: Buffer, target: Transaction, last: boolean): string | null {
    // One link only: who else says that he is the same node shall not answer for it.
    // And who has said all does not wait for one who has not: a node may.
    const key = `${this.#number} ${last} ${payload.toString('latin1')}`;
    if (target === this.#link) return key;
    const sent = this.#sent.get(target);
    // Whether one may read is what the node has said to his BLK_OPEN: only what was asked for and granted alike is alike.
    if (sent?.kind !== 'open' || sent.payload === null || !sent.granted || target.circuit !== this.#link) return null;
    return key + sent.payload;
  }

  #lead(far: Transaction, read: SharedRead): void {
    // Even if nobody may wait for it any more: some may do so already.
    if (this.#blocks.readSent(read) || read.waiting.size > 0) this.#sent.set(far, { kind: 'read', read });
  }

  #note(far: Transaction, request: BlkRequest): void {
    if (request.kind === 'write') this.#write(far, request.range);
    else if (request.kind === 'open') {
      this.#sent.set(far, { kind: 'open', payload: request.payload, granted: false });
    }
  }

  #write(far: Transaction, range: BlockRange): void {
    this.#sent.set(far, { kind: 'write' });
    this.#blocks.writeSent(far, range);
  }

  #wait(waits: WaitingRead): void {
    waits.tx.bind<WaitingRead>(this.#waitingReads, waits);
    waits.joined.routes.opened();
    this.#deps.metrics.readsConsolidated++;
  }

  /** What is stacked on an open of one asker ends with it: whoever waits for a read there asks for himself. */
  #closing(far: Transaction): void {
    for (const stacked of far.endpoint.stackedOn(far)) {
      const sent = this.#sent.get(stacked);
      if (sent?.kind === 'read') this.#askAgain(sent.read);
    }
  }

  #readAnswered(read: SharedRead, frame: Frame): void {
    this.#blocks.seal(read);
    if (read.waiting.size === 0) return;
    // It ends for a reason that is the first asker's.
    if ((frame.cmd & ABORT) !== 0 || frame.error === ErrorCode.LOSTLINK) this.#askAgain(read);
    else if ((frame.cmd & DELETE) !== 0) this.#copyToAll(read, frame);
    else this.#keep(read, frame);
  }

  #keep(read: SharedRead, frame: Frame): void {
    const bytes = bytesOf(frame);
    const { kept } = this.#deps;
    if (kept.bytes + bytes > MAX_KEPT_BYTES) {
      const { payload } = read;
      for (const waits of this.#take(read)) this.#ask(waits, payload, waits.tx.rxDeleted);
      return;
    }
    kept.bytes += bytes;
    read.keptBytes += bytes;
    read.kept.push(keepFrame(frame));
  }

  /** The answer is complete with `frame`. */
  #copyToAll(read: SharedRead, frame: Frame): void {
    const { kept } = read;
    const bytes = read.keptBytes + bytesOf(frame);
    const waiting = this.#take(read);
    const reached = Math.max(1, Math.floor(MAX_COPIED_BYTES / bytes));
    for (const waits of waiting.slice(0, reached)) {
      for (const part of kept) copyTo(waits, part);
      copyTo(waits, frame);
    }
    if (waiting.length > reached) this.#askFor(read, waiting.slice(reached));
  }

  /** There will be no answer for those who wait: one of them asks, and the others wait for his. */
  #askAgain(read: SharedRead): void {
    this.#blocks.seal(read);
    this.#askFor(read, this.#take(read));
  }

  #askFor({ payload, range, key }: SharedRead, waiting: readonly WaitingRead[]): void {
    for (const [n, waits] of waiting.entries()) {
      const asked = this.#ask(waits, payload, waits.tx.rxDeleted);
      if (asked === null) continue;
      const read = new SharedRead({ payload, range, key });
      for (const other of waiting.slice(n + 1)) other.waitFor(read);
      this.#lead(asked.data, read);
      return;
    }
  }

  /** Those who wait for it, in the order in which they came; they do not any more. */
  #take(read: SharedRead): WaitingRead[] {
    const waiting = [...read.waiting];
    for (const waits of waiting) waits.leave();
    this.#deps.kept.bytes -= read.keptBytes;
    read.keptBytes = 0;
    read.kept = [];
    return waiting;
  }

  /** Has the node asked for what one waits for; `last`: he says nothing more. */
  #ask(waits: WaitingRead, payload: Buffer, last: boolean): Transaction<Transaction> | null {
    const { target, joined } = waits;
    if (this.#closed || target.ended || target.txDeleted) {
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
    joined.passed.add(READ_BYTES);
    waits.tx.bind<Transaction>(joined, far);
    far.data = waits.tx;
    return waits.tx;
  }
}

function copyTo({ tx, joined }: WaitingRead, frame: Frame): void {
  if (tx.endpoint.forwardCopy(tx, frame)) joined.other.passed.add(bytesOf(frame));
}
