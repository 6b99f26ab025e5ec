import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ABORT, BLK_READ, CREATE, DELETE, LNK_ERROR, LNK_SPAN, REPLY, REVCIRC, REVTRANS } from '../command.ts';
import { CIRCUIT } from '../dialect.ts';
import { ErrorCode } from '../error-code.ts';
import type { Id64 } from '../wire/message.ts';
import { idOf, RecordingSide } from './recording-side.fixture.ts';
import { ENDED, type EndingJob, GONE, type Transaction } from './transaction.ts';

/** What is ending goes on only with `work` and `settle`, one end at a time; or it is over at once. */
class ComparedSide extends RecordingSide {
  /** Every transaction, in the order in which they were opened. */
  readonly known: Transaction[] = [];
  /** Those whose DELETE we have sent, by their place in `known`. */
  readonly deleted: number[] = [];
  /** Our DELETEs: of which, with which command and error. */
  readonly ends = new Map<number, string>();
  readonly #jobs: EndingJob[];

  constructor(isSliced: boolean) {
    const jobs: EndingJob[] = [];
    super({ rules: CIRCUIT, endedAtOnce: 1, maxDepth: 6 }, isSliced ? { inSlices: (job) => void jobs.push(job) } : {});
    this.#jobs = jobs;
    this.onOpen = (tx) => void this.known.push(tx);
  }

  work(pick: number): void {
    const at = pick % Math.max(1, this.#jobs.length);
    if (this.#jobs[at]?.next().done === true) this.#jobs.splice(at, 1);
  }

  settle(pick: number): void {
    for (let i = pick; this.#jobs.length > 0; i++) this.work(i);
    for (const frame of this.saidFrames()) {
      if ((frame.cmd & DELETE) === 0) continue;
      const { msgidLo: lo, msgidHi: hi } = frame;
      const isPeers = (frame.cmd & REVTRANS) !== 0;
      const at = this.known.findLastIndex(
        (tx) => tx.openedByPeer === isPeers && tx.msgidLo === lo && tx.msgidHi === hi,
      );
      // Leaves first: what something is stacked on never ends before it.
      expect(this.known.every(({ circuit }, i) => circuit !== this.known[at] || this.deleted.includes(i))).toBe(true);
      this.deleted.push(at);
      this.ends.set(at, `${frame.cmd.toString(16)} ${frame.error}`);
    }
  }

  /** A message of the peer in a transaction. */
  hearIn(tx: Transaction, cmd: number): void {
    const { circuit, openedByPeer, rxCreated } = tx;
    const flags = (openedByPeer ? 0 : REPLY | REVTRANS) | (circuit !== null && !circuit.openedByPeer ? REVCIRC : 0);
    const msgid = idOf(tx);
    this.hear(cmd | flags | (rxCreated ? 0 : CREATE), { msgid, ...(circuit !== null && { circuit: idOf(circuit) }) });
  }

  /** The peer opens one, on `circuit`. */
  hearOpened(msgid: Id64, circuit: Transaction | null): void {
    const flags = circuit !== null && !circuit.openedByPeer ? CREATE | REVCIRC : CREATE;
    this.hear(LNK_SPAN | flags, { msgid, ...(circuit !== null && { circuit: idOf(circuit) }) });
  }

  /** Lowest msgid that the peer may use. */
  get free(): Id64 {
    const used = new Set(this.known.filter((tx) => tx.openedByPeer && (tx.state & GONE) === 0).map((tx) => tx.msgidLo));
    let lo = 1;
    while (used.has(lo)) lo++;
    return { lo, hi: 7 };
  }

  get summary() {
    return {
      // Of one that is gone the peer's own end may have come first, where it was told later.
      states: this.known.map(({ state }) => ((state & GONE) === 0 ? state & ENDED : GONE)),
      finals: this.known.map((tx) => this.finals.get(tx) ?? 0),
      gone: this.known.map((tx) => this.gone.get(tx) ?? 0),
      deleted: [...this.deleted].sort((a, b) => a - b),
      ends: this.ends,
      open: [this.endpoint.openCount, this.endpoint.peerCount],
      ending: [...this.endpoint.settling()],
      waiting: this.out.waitingBytes,
    };
  }
}

const step = fc.record({
  // Mostly what makes trees: what ends takes all that is stacked on it away.
  what: fc.oneof(
    { arbitrary: fc.constantFrom('open', 'open', 'peerOpen'), weight: 6 },
    { arbitrary: fc.constantFrom('data', 'peerEnd', 'end', 'last', 'cut'), weight: 4 },
    { arbitrary: fc.constant('all'), weight: 1 },
  ),
  pick: fc.nat(),
  isSettled: fc.nat(3).map((n) => n === 0),
  work: fc.array(fc.nat(), { maxLength: 6 }),
});

/** One step of a side, by what `model` shows, whose ends go out at once; false: nothing was done. */
function act(side: ComparedSide, model: ComparedSide, what: string, at: number, isQuiet: boolean, free: Id64): unknown {
  const { endpoint } = side;
  const tx = side.known[at];
  const shown = model.known[at];
  switch (what) {
    case 'open': {
      if (shown !== undefined && (shown.txDeleted || shown.ended)) return false;
      const opened = endpoint.open(LNK_SPAN, tx === undefined || tx.depth > 4 ? null : tx, side.handler);
      side.known.push(opened);
      return true;
    }
    case 'peerOpen': {
      // On something that ends it is refused earlier in slices.
      const isOn = isQuiet && tx !== undefined && shown?.ended === false && !shown.txDeleted && tx.depth < 5;
      if (isQuiet) side.hearOpened(free, isOn ? tx : null);
      return isQuiet;
    }
    case 'data':
      return tx !== undefined && endpoint.send(tx, BLK_READ);
    case 'last':
      return tx !== undefined && endpoint.send(tx, BLK_READ | DELETE, 3, Buffer.alloc(20, 1));
    case 'peerEnd':
      if (tx !== undefined && !tx.rxDeleted && !tx.ended) side.hearIn(tx, LNK_ERROR | DELETE | ABORT);
      return true;
    case 'end':
    case 'cut':
      if (tx !== undefined) endpoint[what](tx, 1);
      return true;
    case 'all':
      for (const one of [...side.known]) if (one.circuit === null) endpoint.end(one);
      return true;
    default:
      return false;
  }
}

describe('ends of what is stacked, in slices', () => {
  it('come to the same as at once', () => {
    let longest = 0;
    const script = fc.array(step, { minLength: 10, maxLength: 100, size: 'max' });
    fc.assert(
      fc.property(script, (steps) => {
        const [once, sliced] = [new ComparedSide(false), new ComparedSide(true)];
        let isQuiet = true;
        for (const { what, pick, isSettled, work } of steps) {
          const at = pick % (once.known.length + 1);
          const { free } = once;
          const done = [once, sliced].map((side) => act(side, once, what, at, isQuiet, free));
          expect(done[1]).toEqual(done[0]);
          for (const one of work) sliced.work(one);
          isQuiet = isSettled;
          if (!isSettled) continue;
          for (const side of [once, sliced]) side.settle(pick);
          expect(sliced.summary).toEqual(once.summary);
        }
        for (const side of [once, sliced]) {
          side.settle(0);
          side.endpoint.lost(ErrorCode.EOF);
          side.settle(0);
        }
        expect(sliced.summary).toEqual(once.summary);
        expect(sliced.summary.open).toEqual([0, 0]);
        longest = Math.max(longest, sliced.known.length);
      }),
      { numRuns: 300, seed: 1 },
    );
    expect(longest).toBeGreaterThan(20);
  });
});
