import { describe, expect, it } from 'vitest';
import {
  ABORT,
  BLK_OPEN,
  BLK_READ,
  BLK_WRITE,
  CREATE,
  DELETE,
  LNK_ERROR,
  LNK_PING,
  LNK_SPAN,
  REPLY,
  REVCIRC,
  REVTRANS,
} from '../command.ts';
import { CIRCUIT } from '../dialect.ts';
import { ErrorCode } from '../error-code.ts';
import { FrameReader } from '../wire/framing.ts';
import { encodeMessage, type MessageFields } from '../wire/message.ts';
import { idOf, RecordingSide } from './recording-side.fixture.ts';
import { ENDED_AT_ONCE } from './stacked-ends.ts';
import { type EndingJob, type Transaction, TX_DELETED } from './transaction.ts';

const NEW = { lo: 1, hi: 9 };
/** Our end of what is stacked on something that ends, and of that itself. */
const ABORTED = (DELETE | ABORT | LNK_ERROR) >>> 0;
const ENDED = (DELETE | LNK_ERROR) >>> 0;

/**
 * A side whose slices are done when the test says so, with a transaction of its own that `count` are stacked on,
 * answered.
 */
function stacked(count: number, options: { endedAtOnce?: number; maxTransactions?: number } = {}) {
  const jobs: EndingJob[] = [];
  const side = new RecordingSide({ rules: CIRCUIT, ...options }, { inSlices: (job) => void jobs.push(job) });
  const top = side.endpoint.open(LNK_SPAN, null, side.handler);
  const answer = (tx: Transaction) => side.hear(LNK_ERROR | CREATE | REPLY | REVTRANS | revOf(tx), fieldsOf(tx));
  answer(top);
  const children = Array.from({ length: count }, () => side.endpoint.open(BLK_OPEN, top, side.handler));
  for (const tx of children) answer(tx);
  side.said();
  side.heard();
  const work = () => {
    for (const job of jobs.splice(0)) while (job.next().done !== true);
  };
  return { side, jobs, top, children, answer, work };
}

/** The peer's last message in one of ours. */
function endOf(side: RecordingSide, tx: Transaction): void {
  side.hear(LNK_ERROR | DELETE | REPLY | REVTRANS | revOf(tx), fieldsOf(tx));
}

/** Of a message in one of ours, on one of ours or on the link. */
function fieldsOf(tx: Transaction): Partial<MessageFields> {
  return { msgid: idOf(tx), ...(tx.circuit !== null && { circuit: idOf(tx.circuit) }) };
}

function revOf({ circuit }: Transaction): number {
  return circuit === null ? 0 : REVCIRC;
}

describe('what is stacked on a transaction that we end', () => {
  it('ends in slices, leaves first, and the transaction itself last', () => {
    const { side, jobs, top, children, work } = stacked(200);
    const below = children.slice(0, 50).map((tx) => side.endpoint.open(BLK_READ, tx, side.handler));
    side.said();
    side.endpoint.end(top);
    expect([side.said(), top.txDeleted]).toEqual([[], true]);
    const [job] = jobs;
    const order: { lo: number; cmd: number }[] = [];
    for (let step = job?.next(); step?.done === false; step = job?.next()) {
      const said = side.saidFrames();
      expect(said).toHaveLength(step.value);
      expect(said.length).toBeLessThanOrEqual(ENDED_AT_ONCE);
      order.push(...said.map(({ msgidLo: lo, cmd }) => ({ lo, cmd })));
    }
    const last = side.saidFrames();
    expect(last.map(({ msgidLo, cmd }) => [msgidLo, cmd])).toEqual([[top.msgidLo, ENDED]]);
    expect(order).toHaveLength(250);
    expect(order.every(({ cmd }) => (cmd & ~CREATE) >>> 0 === ABORTED)).toBe(true);
    const at = new Map(order.map(({ lo }, i) => [lo, i]));
    for (const tx of below) expect(at.get(tx.msgidLo)).toBeLessThan(at.get(tx.circuit?.msgidLo ?? 0) ?? -1);
    expect([...side.endpoint.settling()]).toEqual([]);
    for (const tx of children) endOf(side, tx);
    endOf(side, top);
    work();
    expect([side.endpoint.openCount, side.finals.size, side.gone.size]).toEqual([0, 251, 251]);
  });

  it('is closed for us from the beginning: nothing is sent in it, or opened on it', () => {
    const { side, top, children, work } = stacked(100);
    const [first] = children;
    if (first === undefined) throw new Error('it is there');
    side.endpoint.end(top);
    const lost = expect.objectContaining({ code: ErrorCode.LOSTLINK });
    for (const tx of [top, first]) {
      expect(side.endpoint.send(tx, BLK_READ)).toBe(false);
      expect(side.endpoint.oneWay(LNK_PING, 0, null, null, tx)).toBe(false);
      expect(() => side.endpoint.open(BLK_READ, tx, side.handler)).toThrow(lost);
      side.endpoint.end(tx);
      side.endpoint.abandon(tx);
    }
    expect(side.said()).toEqual([]);
    work();
    expect(side.said()).toHaveLength(101);
  });

  it('is refused at once if the peer opens it meanwhile, before the end of what it is on', () => {
    const { side, top, children, work } = stacked(100);
    const [first] = children;
    if (first === undefined) throw new Error('it is there');
    side.endpoint.end(top);
    side.hear(BLK_READ | CREATE | REVCIRC, { msgid: NEW, circuit: idOf(first) });
    side.hear(BLK_READ | CREATE | DELETE | REVCIRC, { msgid: { lo: 2, hi: 9 }, circuit: idOf(top) });
    const refused = (LNK_ERROR | CREATE | DELETE | ABORT | REPLY | REVTRANS) >>> 0;
    expect(side.saidFrames().map(({ cmd, error, msgidLo }) => [cmd, error, msgidLo])).toEqual([
      [refused, ErrorCode.LOSTLINK, 1],
      [refused, ErrorCode.LOSTLINK, 2],
    ]);
    expect([side.heard(), side.endpoint.refusedCircuit]).toEqual([[], 2]);
    work();
    const said = side.saidFrames();
    expect([said.length, said.at(-1)?.msgidLo]).toEqual([101, top.msgidLo]);
    // Once all has been said it is for whoever has that, as of any that is half closed; and it ends, too, with what is
    // below.
    side.hear(BLK_READ | CREATE | REVCIRC, { msgid: { lo: 3, hi: 9 }, circuit: idOf(first) });
    expect(side.heard()).toHaveLength(1);
    const late = side.opened.at(-1);
    endOf(side, top);
    work();
    expect([late !== undefined && side.gone.has(late), side.endpoint.openCount]).toEqual([true, 0]);
  });

  it('still hears what the peer says in it, unless it is cut: then its end alone, as a loss', () => {
    for (const isCut of [false, true]) {
      const { side, top, children, work } = stacked(3);
      const [first, second] = children;
      if (first === undefined || second === undefined) throw new Error('they are there');
      const closing: number[] = [];
      first.handler = { ...side.handler, onCircuitClosing: (tx) => void closing.push(tx.msgidLo) };
      if (isCut) side.endpoint.cut(top);
      else side.endpoint.end(top);
      side.hear(BLK_READ | REPLY | REVTRANS | REVCIRC, fieldsOf(first));
      side.hear(LNK_PING | REPLY | REVCIRC, { circuit: idOf(first) });
      endOf(side, second);
      const heard = side.heard().map((line) => line.split(' ')[0]);
      expect(heard).toEqual(isCut ? ['lost'] : ['message', 'oneway', 'message']);
      expect([second.ended, side.finals.get(second), side.gone.has(second)]).toEqual([false, 1, false]);
      work();
      expect(closing).toEqual(isCut ? [first.msgidLo] : []);
      expect([side.gone.get(second), side.finals.get(second)]).toEqual([1, 1]);
      expect(side.said()).toHaveLength(4);
    }
  });

  it('may end by parts, one within another, each with its own last message', () => {
    const { side, jobs, top, children } = stacked(3, { endedAtOnce: 1 });
    const [middle] = children;
    if (middle === undefined) throw new Error('it is there');
    for (let i = 0; i < 5; i++) side.endpoint.open(BLK_READ, middle, side.handler);
    side.said();
    side.endpoint.send(middle, BLK_WRITE | DELETE, 7);
    side.endpoint.end(top);
    const [inner, outer] = jobs;
    inner?.next();
    outer?.next();
    inner?.next();
    expect(side.saidFrames()).toHaveLength(3);
    while (outer?.next().done === false);
    while (inner?.next().done === false);
    const said = side.saidFrames();
    expect(said).toHaveLength(2 + 3 + 1);
    expect(said.at(-1)?.msgidLo).toBe(top.msgidLo);
    // It was said before its circuit was ended.
    const end = said.filter(({ msgidLo }) => msgidLo === middle.msgidLo);
    expect(end.map(({ cmd, error }) => [(cmd & ~CREATE) >>> 0, error])).toEqual([[(BLK_WRITE | DELETE) >>> 0, 7]]);
    expect([[...side.endpoint.settling()], side.out.waitingBytes]).toEqual([[], 0]);
  });

  it('is gone on with by whoever waits for all of it', () => {
    const { side, jobs, top } = stacked(100);
    side.endpoint.end(top);
    let units = 0;
    for (const done of side.endpoint.settling()) units += done;
    expect([units, side.said().length]).toEqual([100, 101]);
    expect(jobs[0]?.next().done).toBe(true);
  });

  it('is waited for if it is under way at the call, not if it begins to end later', () => {
    const { side, top, work } = stacked(100);
    const later = side.endpoint.open(LNK_SPAN, null, side.handler);
    for (let i = 0; i < 100; i++) side.endpoint.open(BLK_OPEN, later, side.handler);
    side.said();
    const none = side.endpoint.settling();
    side.endpoint.end(top);
    const first = side.endpoint.settling();
    expect([...none]).toEqual([]);
    first.next();
    side.endpoint.end(later);
    for (let step = first.next(); step.done !== true; step = first.next());
    const isOf = (tx: Transaction) => (one: Transaction) => one === tx || one.circuit === tx;
    const ended = side.endpoint.transactions().filter(({ state }) => (state & TX_DELETED) !== 0);
    expect([ended.length, ended.every(isOf(top)), side.said().length]).toEqual([101, true, 101]);
    work();
    expect([side.said().length, [...side.endpoint.settling()]]).toEqual([101, []]);
  });

  it('is told once if the link is lost meanwhile, and nothing more is said', () => {
    const { side, jobs, top } = stacked(150);
    side.endpoint.send(top, LNK_SPAN | DELETE, 0, Buffer.alloc(64, 1));
    expect(side.out.waitingBytes).toBe(64);
    const [job] = jobs;
    job?.next();
    expect(side.said()).toHaveLength(ENDED_AT_ONCE);
    side.endpoint.lost(ErrorCode.EOF);
    expect([side.finals.size, side.gone.size, side.endpoint.openCount]).toEqual([151, 151, 0]);
    expect(job?.next().done).toBe(true);
    expect([side.said(), [...side.endpoint.settling()], side.out.waitingBytes]).toEqual([[], [], 0]);
    expect([...side.finals.values(), ...side.gone.values()].every((times) => times === 1)).toBe(true);
  });

  it('tells all though one handler throws, which is thrown when it is over', () => {
    const { side, jobs, top, children } = stacked(100);
    for (const tx of children) endOf(side, tx);
    side.onGone = () => {
      throw new Error('a fault of ours');
    };
    side.endpoint.end(top);
    const [job] = jobs;
    expect(() => {
      while (job?.next().done === false);
    }).toThrow('a fault of ours');
    expect([side.gone.size, side.said().length, [...side.endpoint.settling()]]).toEqual([100, 101, []]);
  });

  it('is over, and thrown, though the end of one cannot be written', () => {
    let unwritable: Transaction | null = null;
    const sending = (on: Transaction | null) => {
      if (on !== null && on === unwritable) throw new Error('a fault of ours');
    };
    const side = new RecordingSide({ rules: CIRCUIT }, { sending });
    const top = side.endpoint.open(LNK_SPAN, null, side.handler);
    const children = Array.from({ length: 3 }, () => side.endpoint.open(BLK_OPEN, top, side.handler));
    unwritable = children[1] ?? null;
    side.said();
    expect(() => side.endpoint.end(top)).toThrow('a fault of ours');
    expect([side.said().length, [...side.endpoint.settling()]]).toEqual([3, []]);
  });

  it('is gone though its handler throws when it hears that it is lost', () => {
    const { side, top, work } = stacked(3);
    endOf(side, top);
    side.onLost = () => {
      throw new Error('a fault of ours');
    };
    side.endpoint.abandon(top);
    for (const error of ['telling', 'lost']) {
      if (error === 'telling') expect(work).toThrow('a fault of ours');
      else side.endpoint.lost(ErrorCode.EOF);
      expect([side.finals.size, side.gone.size]).toEqual([4, 4]);
    }
  });
});

describe('the last message of a transaction that much is stacked on', () => {
  it('goes out after all ends as it was, passed on or our own, though its memory is used again; what waits is counted', () => {
    for (const isPassed of [false, true]) {
      const { side, top, work } = stacked(100);
      const aux = Buffer.alloc(300, 'a1b2');
      if (isPassed) pass(side, top, { cmd: LNK_SPAN | DELETE, aux });
      else {
        const bytes = Buffer.from(aux);
        expect(side.endpoint.send(top, LNK_SPAN | DELETE, 0, null, bytes)).toBe(true);
        bytes.fill(0);
      }
      expect(side.out.waitingBytes).toBeGreaterThanOrEqual(300);
      work();
      const said = side.saidFrames();
      const last = said.at(-1);
      if (last === undefined) throw new Error('it was said');
      expect([said.length, last.msgidLo, last.auxBytes]).toEqual([101, top.msgidLo, 300]);
      const start = last.off + last.headBytes;
      expect(Buffer.from(last.buf.subarray(start, start + 300)).equals(aux)).toBe(true);
      expect(side.out.waitingBytes).toBe(0);
    }
  });
});

/** Passes a message on in `tx`, out of memory that is overwritten afterwards. */
function pass(side: RecordingSide, tx: Transaction, fields: Partial<MessageFields> & { cmd: number }): void {
  const bytes = encodeMessage({ rules: CIRCUIT, salt: 0, msgid: { lo: 5, hi: 5 }, ...fields, cmd: fields.cmd >>> 0 });
  new FrameReader({ rules: CIRCUIT }).push(bytes, {
    onFrame: (frame) => {
      expect(side.endpoint.forward(tx, frame)).toBe(true);
      frame.buf.fill(0, frame.off, frame.off + frame.headBytes + frame.auxPadded);
    },
  });
}

describe('what is stacked on a transaction that is over', () => {
  /** Of which all but `top` is the peer's. */
  function ofPeer(count: number, maxTransactions?: number) {
    const made = stacked(0, maxTransactions === undefined ? {} : { maxTransactions });
    const { side, top } = made;
    for (let lo = 1; lo <= count; lo++)
      side.hear(BLK_READ | CREATE | REVCIRC, { msgid: { lo, hi: 1 }, circuit: idOf(top) });
    const taken = [...side.opened];
    for (const tx of taken) side.endpoint.end(tx);
    side.said();
    side.heard();
    endOf(side, top);
    side.endpoint.end(top);
    // What is stacked on it was ended before: its own end is all that is said.
    const ending = made.jobs.shift();
    while (ending?.next().done === false);
    expect(side.said()).toHaveLength(1);
    return { ...made, taken };
  }

  it('is told in slices, and is not there for anybody from the beginning', () => {
    const { side, jobs, top, taken } = ofPeer(150);
    expect([side.heard().length, side.gone.has(top)]).toEqual([1, false]);
    const [telling] = jobs;
    const [first] = taken;
    if (first === undefined) throw new Error('it was there');
    expect([first.ended, side.endpoint.findPeers(1, 1)]).toEqual([true, undefined]);
    // Late: dropped quietly, but what it opens is answered.
    side.hear(BLK_READ | REVCIRC, { msgid: { lo: 2, hi: 1 }, circuit: idOf(top) });
    side.hear(BLK_READ | CREATE, { msgid: NEW, circuit: { lo: 1, hi: 1 } });
    expect(side.saidFrames().map(({ cmd, error }) => [(cmd & ABORT) !== 0, error])).toEqual([
      [true, ErrorCode.LOSTLINK],
    ]);
    side.heard();
    for (let step = telling?.next(); step?.done === false; step = telling?.next()) {
      expect(side.heard()).toHaveLength(step.value);
      expect(step.value).toBeLessThanOrEqual(ENDED_AT_ONCE);
    }
    expect([side.finals.size, side.gone.size, side.endpoint.openCount]).toEqual([151, 151, 0]);
  });

  it('leaves its msgids to the peer at once, who may use them on the link or on something new', () => {
    const { side, work, taken } = ofPeer(100);
    const ends = side.finals.size;
    side.hear(LNK_SPAN | CREATE, { msgid: { lo: 1, hi: 1 } });
    const again = side.endpoint.findPeers(1, 1);
    expect([again !== undefined, again !== taken[0], side.finals.size]).toEqual([true, true, ends]);
    side.hear(BLK_READ | CREATE, { msgid: { lo: 2, hi: 1 }, circuit: { lo: 1, hi: 1 } });
    side.hear(BLK_READ, { msgid: { lo: 2, hi: 1 }, circuit: { lo: 1, hi: 1 } });
    work();
    work();
    expect([side.endpoint.openCount, side.endpoint.findPeers(1, 1)]).toEqual([2, again]);
    expect(taken.every((tx) => side.finals.get(tx) === 1 && side.gone.get(tx) === 1)).toBe(true);
  });

  it('counts against no limit of what the peer may open', () => {
    const { side, work } = ofPeer(100, 100);
    for (let lo = 1; lo <= 100; lo++) side.hear(LNK_SPAN | CREATE, { msgid: { lo, hi: 2 } });
    expect(side.endpoint.peerCount).toBeLessThanOrEqual(100);
    expect(() => side.hear(LNK_SPAN | CREATE, { msgid: { lo: 101, hi: 2 } })).toThrow(
      expect.objectContaining({ code: ErrorCode.PARAM }),
    );
    work();
    work();
    expect(side.endpoint.openCount).toBe(100);
  });

  it('counts as open until it is told, though the peer uses its msgids again and again', () => {
    const LIMIT = 50;
    const side = stacked(0, { endedAtOnce: 1, maxTransactions: LIMIT }).side;
    for (let round = 0; round < 5; round++) {
      side.hear(LNK_SPAN | CREATE, { msgid: NEW });
      const top = side.opened.at(-1);
      for (let lo = 1; lo < LIMIT; lo++) side.hear(BLK_READ | CREATE, { msgid: { lo, hi: 1 }, circuit: NEW });
      expect(side.endpoint.peerCount).toBe(LIMIT);
      // What they were stacked on is told last, and is in no table.
      expect(side.opened.filter((tx) => !side.gone.has(tx)).length).toBeLessThanOrEqual(LIMIT + 1);
      side.hear(LNK_ERROR | DELETE, { msgid: NEW });
      if (top !== undefined) side.endpoint.abandon(top);
    }
  });
});

describe('room for one more of the peer where all that it may open is open', () => {
  const LIMIT = 4;

  /**
   * Something of the peer that is ending, with the half-closed one that the peer opens `NEW` on, and as many as it may
   * have open.
   */
  function full() {
    const made = stacked(0, { endedAtOnce: 1, maxTransactions: LIMIT });
    const { side } = made;
    const [circuit, below] = [
      { lo: 1, hi: 1 },
      { lo: 2, hi: 1 },
    ];
    side.hear(LNK_SPAN | CREATE, { msgid: circuit });
    side.hear(BLK_READ | CREATE | DELETE, { msgid: below, circuit });
    for (const lo of [3, 4]) side.hear(LNK_SPAN | CREATE, { msgid: { lo, hi: 1 } });
    const [first] = side.opened;
    if (first === undefined) throw new Error('it was opened');
    return { ...made, first, below };
  }

  it('may end what it is opened on: then it is refused, and nothing of it is kept', () => {
    const { side, first, below, work } = full();
    side.endpoint.end(first);
    side.hear(BLK_READ | CREATE, { msgid: NEW, circuit: below });
    const refused = (LNK_ERROR | CREATE | DELETE | ABORT | REPLY | REVTRANS) >>> 0;
    expect(side.saidFrames().map(({ cmd, msgidLo }) => [(cmd & ~REVCIRC) >>> 0, msgidLo])).toContainEqual([refused, 1]);
    expect(side.endpoint.refusedCircuit).toBe(1);
    work();
    side.endpoint.lost(ErrorCode.EOF);
    expect(side.endpoint.openCount).toBe(0);
  });

  it('is made by what is over, though something else that ends is older', () => {
    const { side, top } = stacked(50, { endedAtOnce: 1, maxTransactions: LIMIT });
    side.hear(LNK_SPAN | CREATE | DELETE, { msgid: { lo: 1, hi: 1 } });
    for (const lo of [2, 3, 4]) side.hear(BLK_READ | CREATE, { msgid: { lo, hi: 1 }, circuit: { lo: 1, hi: 1 } });
    side.endpoint.end(top);
    const [over] = side.opened;
    if (over !== undefined) side.endpoint.abandon(over);
    for (const lo of [5, 6, 7, 8]) side.hear(LNK_SPAN | CREATE, { msgid: { lo, hi: 1 } });
    expect(side.endpoint.peerCount).toBe(LIMIT);
  });
});
