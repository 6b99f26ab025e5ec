import { BASE_MASK, BLK_ERROR, BLK_FREEBLKS, BLK_READ, BLK_WRITE, DELETE } from '@spanmesh/dmsg/command';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import type { Frame } from '@spanmesh/dmsg/frame';
import { BLK_IO_BYTES, decodeBlkError, encodeBlkIo } from '@spanmesh/dmsg/payload/blk';
import type { LnkSpan } from '@spanmesh/dmsg/payload/lnk-span';
import type { Transaction, TransactionHandler } from '@spanmesh/dmsg/transaction';
import type { Random } from '@spanmesh/runtime/random';
import { seededRandom } from './seeded-random.ts';

/** Places in which a requester keeps data, each on one node at a time. They limit the memory that it uses on others. */
export const PLACES = 32;
/** Bytes of a place: two blocks. */
export const PLACE_BYTES = 1024;
/**
 * Longest wait for an answer, in milliseconds; after it a transaction counts as lost. It is as long as a router may
 * stall.
 */
export const ANSWER_WAIT_MS = 10_000;
/** Of the requests to a place with data, the parts that write it anew and that free it; the others read it. */
const REWRITE_PART = 0.25;
const FREE_PART = 0.1;

/** Outcomes of transactions. */
export interface LoadCounts {
  /** Answered correctly; data that was read is equal to data that was written. */
  ok: number;
  /** The route was lost, or no answer came in time. */
  lost: number;
  /** Answered with an error, or with data that differs from what was written. */
  errors: number;
}

/** Opens transactions on relays. */
export interface RequestPort {
  /**
   * Opens a transaction that consists of one message; null if that is not possible now. `relay`: as given to `onRelay`.
   */
  request(
    relay: Transaction,
    cmd: number,
    handler: TransactionHandler,
    payload: Uint8Array,
    aux: Uint8Array | null,
  ): Transaction | null;
}

export interface RequesterOptions {
  /** Number of the requester: no two requesters write to the same place of a medium. */
  readonly number: number;
}

export interface RequesterDependencies {
  readonly random: Random;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Outcomes are counted here, for several requesters together. */
  readonly counts: LoadCounts;
  /** Whether it may use the node of a span. It writes there, so it must never be somebody's real disk. */
  readonly isTarget: (span: LnkSpan) => boolean;
}

/** A node that can be reached, over one relay or more (in linkid, two links of a node are relayed). */
interface Target {
  readonly nodeId: string;
  readonly relays: Relayed[];
}

interface Relayed {
  readonly target: Target;
  readonly relay: Transaction;
  readonly port: RequestPort;
}

interface Place {
  readonly n: number;
  /** The node on which the place is; empty: none. */
  nodeId: string;
  /** The data written last and acknowledged; null: unknown. */
  data: Uint8Array | null;
  /** Number of writes so far: it makes each write's data different. */
  writes: number;
  /** A request to this place is open: no other may be sent to it. */
  busy: boolean;
}

interface Request {
  readonly cmd: number;
  readonly place: Place;
  readonly relay: Transaction;
  /** The data that is written, or that must be read. */
  readonly data: Uint8Array | null;
  readonly sentAt: number;
  /** Its outcome has been counted. */
  isSettled: boolean;
}

/**
 * The part of a simulated peer that uses other peers: it writes to places on the media of nodes that are relayed to it,
 * reads them back and compares, rewrites and frees them. One transaction per `run`.
 */
export class Requester {
  readonly #options: RequesterOptions;
  readonly #deps: RequesterDependencies;
  readonly #targets = new Map<string, Target>();
  /** The targets as a list, to draw from. */
  readonly #list: Target[] = [];
  readonly #relayed = new Map<Transaction, Relayed>();
  readonly #places: Place[];
  /** Requests whose outcome is not counted, oldest first. */
  readonly #requests = new Map<Transaction, Request>();

  constructor(options: RequesterOptions, deps: RequesterDependencies) {
    this.#options = options;
    this.#deps = deps;
    this.#places = Array.from({ length: PLACES }, (_, n) => ({ n, nodeId: '', data: null, writes: 0, busy: false }));
  }

  /** Transactions that are neither answered nor lost. */
  get pending(): number {
    return this.#requests.size;
  }

  /** Called when the router has opened a relay, and the peer has acknowledged it. */
  onRelay(relay: Transaction, span: LnkSpan, port: RequestPort): void {
    if (!this.#deps.isTarget(span)) return;
    let target = this.#targets.get(span.nodeId);
    if (target === undefined) {
      target = { nodeId: span.nodeId, relays: [] };
      this.#targets.set(span.nodeId, target);
      this.#list.push(target);
    }
    const relayed = { target, relay, port };
    target.relays.push(relayed);
    this.#relayed.set(relay, relayed);
  }

  /**
   * Called when a relay is gone. Transactions open on it are lost: in linkid nobody reports that (protocol.md,
   * "Routing, linkid").
   */
  onRelayGone(relay: Transaction): void {
    const relayed = this.#relayed.get(relay);
    if (relayed === undefined) return;
    this.#relayed.delete(relay);
    const { target } = relayed;
    target.relays.splice(target.relays.indexOf(relayed), 1);
    if (target.relays.length === 0) {
      this.#targets.delete(target.nodeId);
      this.#list.splice(this.#list.indexOf(target), 1);
    }
    for (const [tx, request] of this.#requests) if (request.relay === relay) this.#lose(tx, request);
  }

  /** Runs one transaction with a node drawn at random; false if there is no node, or all places are busy. */
  run(): boolean {
    const place = this.#drawPlace();
    if (place === null) return false;
    const target = this.#targets.get(place.nodeId) ?? this.#rebind(place);
    if (target === null) return false;
    const relayed = draw(target.relays, this.#deps.random);
    if (relayed === null) return false;
    const { relay, port } = relayed;
    const cmd = this.#drawCommand(place);
    const data = cmd === BLK_WRITE ? this.#newData(place) : null;
    const payload = new Uint8Array(BLK_IO_BYTES);
    const offset = (this.#options.number * PLACES + place.n) * PLACE_BYTES;
    encodeBlkIo(
      {
        keyidLo: this.#options.number,
        keyidHi: place.n,
        offsetLo: offset % 2 ** 32,
        offsetHi: Math.floor(offset / 2 ** 32),
        bytes: PLACE_BYTES,
        flags: 0,
      },
      payload,
      0,
    );
    const tx = port.request(relay, (cmd | DELETE) >>> 0, this.#handler, payload, data);
    if (tx === null) return false;
    place.busy = true;
    const expected = cmd === BLK_READ ? place.data : data;
    this.#requests.set(tx, { cmd, place, relay, data: expected, sentAt: this.#deps.now(), isSettled: false });
    return true;
  }

  /**
   * Counts transactions without an answer in time as lost. Their places stay busy until the routes go: a late write may
   * still arrive.
   */
  expire(): void {
    const before = this.#deps.now() - ANSWER_WAIT_MS;
    for (const [, request] of this.#requests) {
      if (request.sentAt > before) return;
      if (!request.isSettled) this.#deps.counts.lost++;
      request.isSettled = true;
    }
  }

  readonly #handler: TransactionHandler = {
    onMessage: (tx, frame) => {
      const request = this.#requests.get(tx);
      if (request !== undefined) this.#answered(tx, request, frame);
      if ((frame.cmd & DELETE) !== 0) tx.endpoint.end(tx);
    },
    onLost: (tx) => {
      const request = this.#requests.get(tx);
      if (request !== undefined) this.#lose(tx, request);
    },
  };

  #answered(tx: Transaction, request: Request, frame: Frame): void {
    const { cmd, place, data, isSettled } = request;
    if (frame.error === ErrorCode.LOSTLINK) {
      this.#lose(tx, request);
      return;
    }
    this.#requests.delete(tx);
    place.busy = false;
    const isOk = isGood(frame, request);
    if (cmd === BLK_WRITE) place.data = isOk ? data : null;
    if (cmd === BLK_FREEBLKS) {
      place.data = null;
      if (isOk) place.nodeId = '';
    }
    if (isSettled) return;
    if (isOk) this.#deps.counts.ok++;
    else this.#deps.counts.errors++;
  }

  /** If the place was being changed, its data is unknown from now on. */
  #lose(tx: Transaction, request: Request): void {
    if (!request.isSettled) this.#deps.counts.lost++;
    this.#requests.delete(tx);
    request.place.busy = false;
    if (request.cmd !== BLK_READ) request.place.data = null;
  }

  /** An idle place: the first one from a random place on; null: all are busy. */
  #drawPlace(): Place | null {
    const first = Math.floor(this.#deps.random() * PLACES);
    for (let i = 0; i < PLACES; i++) {
      const place = this.#places[(first + i) % PLACES];
      if (place?.busy === false) return place;
    }
    return null;
  }

  #rebind(place: Place): Target | null {
    const target = draw(this.#list, this.#deps.random);
    if (target === null) return null;
    place.nodeId = target.nodeId;
    place.data = null;
    return target;
  }

  #drawCommand(place: Place): number {
    if (place.data === null) return BLK_WRITE;
    const at = this.#deps.random();
    if (at < FREE_PART) return BLK_FREEBLKS;
    return at < FREE_PART + REWRITE_PART ? BLK_WRITE : BLK_READ;
  }

  #newData(place: Place): Uint8Array {
    const random = seededRandom(this.#options.number * PLACES + place.n, place.writes++);
    const words = Uint32Array.from({ length: PLACE_BYTES / 4 }, () => random() * 2 ** 32);
    return new Uint8Array(words.buffer);
  }
}

/** Whether the answer is correct by protocol.md, "Payloads", BLK, and the data read is equal to the data written. */
function isGood(frame: Frame, { cmd, data, place }: Request): boolean {
  if ((frame.cmd & BASE_MASK) !== BLK_ERROR || frame.error !== 0 || decodeBlkError(frame).keyidHi !== place.n) {
    return false;
  }
  if (cmd !== BLK_READ || data === null) return true;
  const start = frame.off + frame.headBytes;
  return frame.auxBytes === PLACE_BYTES && Buffer.compare(frame.buf.subarray(start, start + PLACE_BYTES), data) === 0;
}

function draw<T>(list: readonly T[], random: Random): T | null {
  return list[Math.floor(random() * list.length)] ?? null;
}
