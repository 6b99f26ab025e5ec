import { ABORT, BLK_READ, CREATE, DELETE, LNK_ERROR, LNK_PING, LNK_SPAN, REPLY } from '@spanmesh/dmsg/command';
import type { DialectRules } from '@spanmesh/dmsg/dialect';
import { DmsgError } from '@spanmesh/dmsg/dmsg-error';
import { Endpoint, type EndpointHandler } from '@spanmesh/dmsg/endpoint';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import type { Frame } from '@spanmesh/dmsg/frame';
import type { Outbox } from '@spanmesh/dmsg/outbox';
import {
  type EndingJob,
  GONE,
  type LinkAddress,
  type Transaction,
  type TransactionHandler,
  TX_DELETED,
} from '@spanmesh/dmsg/transaction';
import { viewOf } from '@spanmesh/dmsg/words';
import { expectThat, Finding } from './target.ts';

/** The bytes that an endpoint has sent, in a buffer that its reader empties. */
export class Tape implements Outbox {
  buf: Uint8Array = new Uint8Array(64 * 1024);
  view = viewOf(this.buf);
  at = 0;
  end = 0;

  reserve(bytes: number): void {
    this.at = this.end;
    this.end += bytes;
    if (this.end > this.buf.length) {
      const larger = new Uint8Array(2 * this.end);
      larger.set(this.buf);
      this.buf = larger;
      this.view = viewOf(larger);
    }
    // An Outbox need not contain zeros.
    this.buf.fill(0xa5, this.at, this.end);
  }

  pass(buf: Uint8Array, start: number, end: number): void {
    this.reserve(end - start);
    this.buf.set(buf.subarray(start, end), this.at);
  }

  hold(): void {}
}

/** The notifications of a transaction so far. */
interface Heard {
  finals: number;
  gone: number;
}

const PAYLOAD = new Uint8Array(64);
const ADDRESS: LinkAddress = { sourceLo: 3, sourceHi: 1, targetLo: 2, targetHi: 0 };
/**
 * The most transactions that reactions and steps may open in one run, and the most reactions, so that each run ends.
 */
const MAX_OPENS = 60;
const MAX_REACTIONS = 400;

/** The first notification while a message was received. */
export type FirstEvent = 'none' | 'open' | 'message' | 'oneWay';

/**
 * The user of an endpoint. Its handlers do what a stream of bytes says, whatever that is and however deep they are
 * called. It checks that it is notified of everything exactly once.
 */
export class Actor implements EndpointHandler {
  readonly tape = new Tape();
  readonly endpoint: Endpoint;
  /** All transactions that it opened or was offered, in order. */
  readonly known: Transaction[] = [];
  /** The transactions that it opened. */
  readonly own: Transaction[] = [];
  firstEvent: FirstEvent = 'none';
  /** Numbers of the acts that it never does. */
  withoutActs: readonly number[] = [];
  /** Called just before our direction of `tx` is closed without a message. */
  onAbandon: (tx: Transaction) => void = () => {};

  readonly #rules: DialectRules;
  #lcg = 1;
  #quiet = false;
  /** The bytes of the present frame have been passed on. */
  #passed = false;
  /** What is ending with what it is stacked on: jobs that are not over. */
  #endings = 0;
  #opensLeft = MAX_OPENS;
  #reactionsLeft = MAX_REACTIONS;
  readonly #ownIds = new Set<number>();

  readonly #handler: TransactionHandler = {
    onMessage: (tx, frame) => {
      if (this.firstEvent === 'none') this.firstEvent = 'message';
      const heard = heardOf(tx);
      expectThat(heard.finals === 0 && heard.gone === 0, 'a message after the final notification');
      if ((frame.cmd & DELETE) !== 0) heard.finals++;
      this.#react(tx, frame);
    },
    onLost: (tx) => {
      const heard = heardOf(tx);
      expectThat(heard.gone === 0 && ++heard.finals === 1, 'a second final notification');
      expectThat((tx.state & GONE) !== 0, 'lost, and still in the table');
      this.#react(tx, null);
    },
    onGone: (tx) => {
      const heard = heardOf(tx);
      expectThat(heard.finals === 1 && ++heard.gone === 1, 'gone before the final notification, or twice');
      expectThat((tx.state & GONE) !== 0, 'gone, and still in the table');
      this.#react(tx, null);
    },
  };

  constructor(rules: DialectRules, maxDepth: number, maxTransactions: number) {
    this.#rules = rules;
    this.endpoint = new Endpoint(
      { rules, maxDepth, maxTransactions },
      { out: this.tape, handler: this, salts: new CountingSalts(), inSlices: (job) => this.#atOnce(job) },
    );
  }

  onOpen(tx: Transaction, frame: Frame): void {
    if (this.firstEvent === 'none') this.firstEvent = 'open';
    tx.data = { finals: (frame.cmd & DELETE) === 0 ? 0 : 1, gone: 0 } satisfies Heard;
    tx.handler = this.#handler;
    this.known.push(tx);
    this.#react(tx, frame);
  }

  onOneWay(frame: Frame, circuit: Transaction | null): void {
    if (this.firstEvent === 'none') this.firstEvent = 'oneWay';
    this.#react(circuit, frame);
  }

  /** Gives a message to the endpoint. */
  receive(frame: Frame): void {
    this.firstEvent = 'none';
    this.#passed = false;
    this.endpoint.receive(frame);
  }

  /** Seeds the following reactions. They do not depend on earlier ones, so that an input can be made smaller. */
  seed(seed: number): void {
    this.#lcg = Math.imul(seed + 1, 2654435761) >>> 0;
  }

  /** From now on handlers do nothing. */
  quiet(): void {
    this.#quiet = true;
  }

  /** The transactions that are not gone. */
  *live(): Iterable<Transaction> {
    for (const tx of this.known) if ((tx.state & GONE) === 0) yield tx;
  }

  /** Any transaction there ever was; later ones are more likely. */
  some(choice: number): Transaction | null {
    const { known } = this;
    if (known.length === 0) return null;
    return known[choice < 192 ? known.length - 1 - (choice % Math.min(known.length, 12)) : choice % known.length]!;
  }

  /** Checks, after `lost`, that no transaction is left, and that each got its final notification once. */
  checkEmpty(): void {
    const { endpoint } = this;
    expectThat(endpoint.openCount === 0 && endpoint.transactions().length === 0, 'not empty after lost()');
    for (const tx of this.known) {
      const { finals, gone } = heardOf(tx);
      expectThat(finals === 1 && gone === 1, () => `${finals} final notifications, gone ${gone} times`);
      expectThat(tx.firstChild === null || (tx.firstChild.state & GONE) !== 0, 'a gone transaction carries a live one');
    }
  }

  /** Does one of the things that a user may do at any time. `tx`: the transaction concerned; null: the link itself. */
  act(what: number, tx: Transaction | null, frame: Frame | null): void {
    const { endpoint } = this;
    const stacked = this.#rules.stacked;
    const act = what % 24;
    if (this.withoutActs.includes(act)) return;
    switch (act) {
      case 0:
      case 1:
        if (tx !== null) endpoint.send(tx, LNK_ERROR);
        break;
      case 2:
        if (tx !== null) endpoint.end(tx);
        break;
      case 3:
        if (tx !== null) endpoint.end(tx, ErrorCode.IO, true);
        break;
      case 4:
        if (tx !== null && tx.circuit !== null) endpoint.end(tx.circuit, 0, (what & 32) !== 0);
        break;
      case 5:
      case 6:
        this.#open(LNK_SPAN, tx);
        break;
      case 7:
        this.#open(LNK_SPAN, null);
        break;
      case 8:
        this.#open(BLK_READ | DELETE, tx);
        break;
      case 9:
        if (tx !== null) endpoint.send(tx, BLK_READ | DELETE, 0, PAYLOAD, PAYLOAD.subarray(0, what & 63));
        break;
      case 10:
        if (tx !== null) endpoint.send(tx, LNK_PING | ABORT);
        break;
      case 11:
        endpoint.oneWay((what & 32) === 0 ? LNK_PING : LNK_PING | REPLY, 0, null, null, stacked ? tx : null);
        break;
      case 12:
      case 13:
        this.#forward(what, frame);
        break;
      case 14:
        this.#openForwarded(tx, frame);
        break;
      case 15: {
        const other = this.some(what);
        if (other !== null) endpoint.end(other);
        break;
      }
      case 16:
        if (!stacked && tx !== null && (tx.state & (TX_DELETED | GONE)) === 0) {
          this.onAbandon(tx);
          endpoint.abandon(tx);
        }
        break;
      case 17:
        if ((this.#next() & 15) === 0) endpoint.lost(ErrorCode.EOF);
        break;
      case 18:
        this.#checkLists(tx);
        break;
    }
  }

  #react(tx: Transaction | null, frame: Frame | null): void {
    if (this.#quiet || this.#reactionsLeft-- <= 0) return;
    const what = this.#next();
    // A third of the reactions does nothing; a few do two things.
    if (what % 3 === 0) return;
    this.act(what >>> 2, tx, frame);
    if ((what & 0xf000) === 0) this.act(this.#next(), this.some(this.#next() & 0xff), frame);
  }

  #next(): number {
    this.#lcg = (Math.imul(this.#lcg, 1664525) + 1013904223) >>> 0;
    return this.#lcg >>> 8;
  }

  #open(cmd: number, circuit: Transaction | null): void {
    if (this.#opensLeft-- <= 0) return;
    const { stacked } = this.#rules;
    const address = !stacked && (this.#next() & 3) === 0 ? ADDRESS : null;
    this.#opened(() =>
      this.endpoint.open(cmd, stacked ? circuit : null, this.#handler, PAYLOAD.subarray(0, 32), 0, null, address),
    );
  }

  #openForwarded(circuit: Transaction | null, frame: Frame | null): void {
    if (frame === null || (frame.cmd & CREATE) === 0 || this.#passed) return;
    if (this.#opensLeft-- <= 0) return;
    this.#opened(() => {
      const tx = this.endpoint.openForwarded(this.#rules.stacked ? circuit : null, this.#handler, frame);
      this.#passed = true;
      return tx;
    });
  }

  #opened(open: () => Transaction): void {
    let tx: Transaction;
    try {
      tx = open();
    } catch (error) {
      if (error instanceof DmsgError && (error.code === ErrorCode.LOSTLINK || error.code === ErrorCode.CANTCIRC))
        return;
      throw error;
    }
    tx.data = { finals: 0, gone: 0 } satisfies Heard;
    // Own msgids are never reused, not even after the transaction was closed. This is stricter than architecture.md,
    // "What must always hold" 1.
    const id = tx.msgidHi * 2 ** 32 + tx.msgidLo;
    expectThat(id !== 0 && !this.#ownIds.has(id), () => `own msgid ${id} used twice`);
    this.#ownIds.add(id);
    this.known.push(tx);
    this.own.push(tx);
  }

  /** Passes the present frame on in another transaction or, if it is one-way, on another circuit. */
  #forward(what: number, frame: Frame | null): void {
    if (frame === null || this.#passed) return;
    const { stacked } = this.#rules;
    const other = this.some((what >>> 5) & 0xff);
    const sent =
      (frame.msgidLo | frame.msgidHi) === 0
        ? this.endpoint.forwardOneWay(frame, stacked ? other : null, stacked ? null : ADDRESS)
        : other !== null && this.endpoint.forward(other, frame);
    if (sent) this.#passed = true;
  }

  /** Does what might be done in slices. */
  #atOnce(job: EndingJob): void {
    this.#endings++;
    try {
      while (job.next().done !== true);
    } finally {
      this.#endings--;
    }
  }

  #checkLists(tx: Transaction | null): void {
    const { endpoint } = this;
    // What is stacked on something that has just ended is told of it one by one.
    if (this.#endings > 0) return;
    const all = endpoint.transactions();
    expectThat(all.length === endpoint.openCount, 'transactions() and openCount differ');
    if (tx === null || (tx.state & GONE) !== 0) return;
    const found = tx.openedByPeer
      ? endpoint.findPeers(tx.msgidLo, tx.msgidHi)
      : endpoint.findOwn(tx.msgidLo, tx.msgidHi);
    expectThat(found === tx, 'a live transaction is not found');
    const seen = new Set<Transaction>();
    for (const one of all) {
      expectThat(one.circuit === null || !seen.has(one.circuit), 'not leaves first');
      seen.add(one);
    }
  }
}

/** Salts that consist of their counter only. */
class CountingSalts {
  #count = 0;

  next(): number {
    return this.#count++ & 0xff;
  }
}

function heardOf(tx: Transaction): Heard {
  if (tx.data === null) throw new Finding('called for a transaction before open() has returned');
  return tx.data as Heard;
}
