import {
  BASE_MASK,
  BLK_CLOSE,
  BLK_ERROR,
  BLK_FLUSH,
  BLK_FREEBLKS,
  BLK_OPEN,
  BLK_READ,
  BLK_WRITE,
  DELETE,
} from '@spanmesh/dmsg/command';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import type { Frame } from '@spanmesh/dmsg/frame';
import {
  BLK_ERROR_BYTES,
  BLK_MODE_READ,
  BLK_MODE_WRITE,
  type BlkIo,
  decodeBlkIo,
  decodeBlkOpen,
  encodeBlkError,
} from '@spanmesh/dmsg/payload/blk';
import type { LnkSpan } from '@spanmesh/dmsg/payload/lnk-span';
import type { Transaction, TransactionHandler } from '@spanmesh/dmsg/transaction';
import { type BlockBudget, BlockStore } from './block-store.ts';
import { MEDIA_BLOCK_BYTES, MEDIA_BYTES } from './cast.ts';
import type { ServedLink } from './span-service.ts';

/**
 * When more bytes than this wait for the router, reads are refused. If an end node stopped reading instead, two of them
 * could wait for each other.
 */
export const MAX_QUEUED_BYTES = 16 * 1024 * 1024;
const BOTH_MODES = BLK_MODE_READ | BLK_MODE_WRITE;

/** The medium that a transaction uses. */
interface BlkUse {
  readonly store: BlockStore;
  readonly link: ServedLink;
  /** Modes set by BLK_OPEN; before it, and without one, reading and writing. */
  modes: number;
}

/** The answer to one message. */
interface Answer {
  readonly error: number;
  readonly text: string;
  /** Bytes of the request that were not read or written. */
  readonly resid: number;
  readonly data: Uint8Array | null;
}

/**
 * The block protocol of a simulated peer (protocol.md, "Payloads", BLK), on media in memory, one for each span. Any
 * number of messages may come in one transaction; each is answered with BLK_ERROR, and the answer to one with DELETE
 * has DELETE too. Transactions stacked on one that BLK_OPEN opened have its modes.
 */
export class BlockService {
  readonly #budget: BlockBudget;
  readonly #stores = new Map<string, BlockStore>();

  constructor(budget: BlockBudget) {
    this.#budget = budget;
  }

  /** Takes a transaction that a message of the block protocol has opened; false: it was another message. */
  onOpen(tx: Transaction, frame: Frame, span: LnkSpan, link: ServedLink): boolean {
    if (!isBlk(frame.cmd)) return false;
    const below = tx.circuit?.data as BlkUse | null | undefined;
    const use: BlkUse = { store: this.#storeOf(span), link, modes: below?.modes ?? BOTH_MODES };
    tx.data = use;
    tx.handler = this.#handler;
    answer(tx, frame, use);
    return true;
  }

  readonly #handler: TransactionHandler = {
    onMessage: (tx, frame) => {
      if (isBlk(frame.cmd)) answer(tx, frame, tx.data as BlkUse);
      else if ((frame.cmd & DELETE) !== 0) tx.endpoint.end(tx);
    },
    onLost() {},
  };

  #storeOf({ nodeId }: LnkSpan): BlockStore {
    let store = this.#stores.get(nodeId);
    if (store === undefined) {
      store = new BlockStore({ bytes: Number(MEDIA_BYTES), blockBytes: MEDIA_BLOCK_BYTES }, this.#budget);
      this.#stores.set(nodeId, store);
    }
    return store;
  }
}

function isBlk(cmd: number): boolean {
  switch (cmd & BASE_MASK) {
    case BLK_OPEN:
    case BLK_CLOSE:
    case BLK_READ:
    case BLK_WRITE:
    case BLK_FLUSH:
    case BLK_FREEBLKS:
      return true;
    default:
      return false;
  }
}

function answer(tx: Transaction, frame: Frame, use: BlkUse): void {
  const base = frame.cmd & BASE_MASK;
  const last = frame.cmd & DELETE;
  const payload = new Uint8Array(BLK_ERROR_BYTES);
  let result: Answer;
  if (base === BLK_OPEN || base === BLK_CLOSE) {
    result = changeModes(base, decodeBlkOpen(frame).modes, use);
    encodeBlkError({ keyidLo: 0, keyidHi: 0, resid: 0, text: result.text }, payload, 0);
  } else {
    const io = decodeBlkIo(frame);
    result = runIo(base, io, frame, tx.endpoint.rules.auxLimit, use);
    const { keyidLo, keyidHi } = io;
    encodeBlkError({ keyidLo, keyidHi, resid: result.resid, text: result.text }, payload, 0);
  }
  tx.endpoint.send(tx, BLK_ERROR | last, result.error, payload, result.data);
}

function changeModes(base: number, modes: number, use: BlkUse): Answer {
  if (base === BLK_CLOSE) use.modes &= ~modes;
  else if ((modes & BOTH_MODES) === 0) return refuse(ErrorCode.PARAM, 'neither read nor write', 0);
  else use.modes = modes & BOTH_MODES;
  return DONE;
}

function runIo(base: number, io: BlkIo, frame: Frame, auxLimit: number, { store, link, modes }: BlkUse): Answer {
  const { offsetLo, offsetHi, bytes } = io;
  const wanted = base === BLK_READ ? BLK_MODE_READ : BLK_MODE_WRITE;
  if (base === BLK_FLUSH) return DONE;
  if ((modes & wanted) === 0) return refuse(ErrorCode.PARAM, 'not open for this', bytes);
  // protocol.md, "Message": Limits. A longer range could not be answered, or cannot have come, in one message.
  if (base !== BLK_FREEBLKS && bytes > auxLimit) return refuse(ErrorCode.PARAM, 'more than a message holds', bytes);
  const fault = store.check(offsetLo, offsetHi, bytes);
  if (fault === 'outside') return refuse(ErrorCode.PARAM, 'past the end of the medium', bytes);
  if (fault === 'unaligned') return refuse(ErrorCode.PARAM, 'not whole blocks', bytes);
  if (base === BLK_READ) {
    if (link.queuedBytes > MAX_QUEUED_BYTES) return refuse(ErrorCode.IO, 'too much asked for at once', bytes);
    return { ...DONE, data: store.read(offsetLo, offsetHi, bytes) };
  }
  if (base === BLK_FREEBLKS) {
    store.free(offsetLo, offsetHi, bytes);
    return DONE;
  }
  if (frame.auxBytes < bytes) return refuse(ErrorCode.PARAM, 'less data than bytes', bytes);
  const start = frame.off + frame.headBytes;
  if (store.write(offsetLo, offsetHi, frame.buf.subarray(start, start + bytes)) === 'full') {
    return refuse(ErrorCode.IO, 'the memory for blocks is used up', bytes);
  }
  return DONE;
}

const DONE: Answer = { error: 0, text: '', resid: 0, data: null };

function refuse(error: number, text: string, resid: number): Answer {
  return { error, text, resid, data: null };
}
