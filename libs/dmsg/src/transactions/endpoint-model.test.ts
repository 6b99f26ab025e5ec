import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ABORT,
  BLK_READ,
  CREATE,
  DELETE,
  LNK_ERROR,
  LNK_PING,
  LNK_SPAN,
  REPLY,
  REVCIRC,
  REVTRANS,
} from '../command.ts';
import { CIRCUIT, type DialectRules, LINKID } from '../dialect.ts';
import { DmsgError } from '../dmsg-error.ts';
import { ErrorCode } from '../error-code.ts';
import { carry, RecordingSide } from './recording-side.fixture.ts';
import type { EndingJob, Transaction } from './transaction.ts';

const dialects: [string, DialectRules][] = [
  ['linkid', LINKID],
  ['circuit', CIRCUIT],
];

/** One step of a side; `pick` chooses among the transactions or circuits that the side knows. */
const step = fc.record({
  side: fc.nat(1),
  what: fc.constantFrom(
    'open',
    'open',
    'open',
    'send',
    'send',
    'end',
    'abort',
    'last',
    'oneWay',
    'hear',
    'hear',
    'cut',
    'work',
    'work',
    'work',
    'lost',
  ),
  pick: fc.nat(),
  flag: fc.boolean(),
});

/** What a handler does when it is called. */
const reaction = fc.constantFrom('nothing', 'nothing', 'answer', 'end', 'endCircuit', 'openOn', 'openOnLink');

/**
 * One side of the model: keeps the transactions that it opened or was offered, and checks invariant 1 of the
 * architecture.
 */
class ModelSide extends RecordingSide {
  readonly known: Transaction[] = [];
  readonly ownIds = new Set<string>();
  /** What is done in slices and is not over. */
  readonly #jobs: EndingJob[];
  #reactions: readonly string[];
  #next = 0;
  /** Reactions open transactions too, so there must be a limit for the test to end. */
  #opensLeft = 40;

  /** `isSliced`: what ends because something else does ends one by one, as `work` is called. */
  constructor(
    rules: DialectRules,
    maxDepth: number,
    reactions: readonly string[],
    isSliced = false,
    maxTransactions?: number,
  ) {
    const jobs: EndingJob[] = [];
    super(
      { rules, maxDepth, endedAtOnce: 1, ...(maxTransactions !== undefined && { maxTransactions }) },
      isSliced ? { inSlices: (job) => void jobs.push(job) } : {},
    );
    this.#jobs = jobs;
    this.#reactions = reactions;
    this.onOpen = (tx) => {
      this.known.push(tx);
      this.#react(tx);
    };
    this.onMessage = (tx) => this.#react(tx);
    this.onLost = (tx) => {
      this.endpoint.end(tx);
      this.#react(tx);
    };
    this.onGone = (tx) => {
      if (!tx.openedByPeer) expect(this.ownIds.delete(`${tx.msgidLo},${tx.msgidHi}`)).toBe(true);
    };
  }

  get isWorking(): boolean {
    return this.#jobs.length > 0;
  }

  /** One slice of one of those. */
  work(pick = 0): void {
    const at = pick % Math.max(1, this.#jobs.length);
    if (this.#jobs[at]?.next().done === true) this.#jobs.splice(at, 1);
  }

  stopReacting(): void {
    this.#reactions = [];
  }

  get open(): Transaction[] {
    return this.known.filter((tx) => !this.gone.has(tx));
  }

  openOne(circuit: Transaction | null, atOnce: boolean): void {
    if (this.endpoint.isLost || this.#opensLeft-- <= 0) return;
    try {
      const tx = this.endpoint.open(
        atOnce ? BLK_READ | DELETE : LNK_SPAN,
        this.rules.stacked ? circuit : null,
        this.handler,
      );
      // Invariant 1: unique until closed in both directions.
      const id = `${tx.msgidLo},${tx.msgidHi}`;
      expect(this.ownIds.has(id)).toBe(false);
      this.ownIds.add(id);
      this.known.push(tx);
    } catch (error) {
      expect(error).toBeInstanceOf(DmsgError);
      expect([ErrorCode.LOSTLINK, ErrorCode.CANTCIRC]).toContain((error as DmsgError).code);
    }
  }

  #react(tx: Transaction): void {
    switch (this.#reactions[this.#next++ % Math.max(1, this.#reactions.length)]) {
      case 'answer':
        this.endpoint.send(tx, LNK_ERROR);
        break;
      case 'end':
        this.endpoint.end(tx);
        break;
      case 'endCircuit':
        if (tx.circuit !== null) this.endpoint.end(tx.circuit, 0, true);
        break;
      case 'openOn':
        this.openOne(tx, false);
        break;
      case 'openOnLink':
        this.openOne(null, true);
        break;
    }
  }
}

function act(
  side: ModelSide,
  peer: ModelSide,
  { what, pick, flag }: { what: string; pick: number; flag: boolean },
): void {
  const { open, endpoint } = side;
  const tx = open.length === 0 ? undefined : open[pick % open.length];
  switch (what) {
    case 'open':
      side.openOne(flag ? (tx ?? null) : null, pick % 3 === 0);
      break;
    case 'send':
      if (tx !== undefined) endpoint.send(tx, flag ? LNK_ERROR | ABORT : LNK_PING);
      break;
    case 'last':
      if (tx !== undefined) endpoint.send(tx, BLK_READ | DELETE, 0, new Uint8Array(3));
      break;
    case 'end':
    case 'abort':
      if (tx !== undefined) endpoint.end(tx, 0, what === 'abort');
      break;
    case 'cut':
      if (tx !== undefined) endpoint.cut(tx);
      break;
    case 'work':
      side.work(pick);
      break;
    case 'oneWay':
      endpoint.oneWay(LNK_PING, 0, null, null, flag && side.rules.stacked ? (tx ?? null) : null);
      break;
    case 'hear':
      hearSome(side, peer, pick);
      break;
    case 'lost':
      // Rarely, so that most runs show something else.
      if (pick % 20 === 0) endpoint.lost(ErrorCode.EOF);
      break;
  }
}

/** Delivers only a part of the bytes that are on their way, cut anywhere. */
function hearSome(side: ModelSide, peer: ModelSide, pick: number): void {
  const bytes = Buffer.concat(peer.out.take());
  const cut = pick % (bytes.length + 1);
  side.reader.push(Buffer.from(bytes.subarray(0, cut)), { onFrame: (frame) => side.endpoint.receive(frame) });
  if (cut < bytes.length) {
    const rest = Buffer.from(bytes.subarray(cut));
    peer.out.pass(rest, 0, rest.length);
  }
}

function carryAll(a: ModelSide, b: ModelSide): void {
  while (a.out.bytes > 0 || b.out.bytes > 0 || a.isWorking || b.isWorking) {
    a.work();
    b.work();
    carry(a, b);
    carry(b, a);
  }
}

const ways = dialects.flatMap(([name, rules]): [string, DialectRules, boolean][] => [
  [name, rules, false],
  [`${name}, in slices`, rules, true],
]);

describe.each(ways)('two endpoints and the bytes between them (%s)', (_, rules, isSliced) => {
  it('never see a protocol error, tell everyone exactly once and keep nothing', () => {
    const steps = fc.array(step, { maxLength: 120, size: 'max' });
    fc.assert(
      fc.property(steps, fc.array(reaction), fc.array(reaction), fc.nat(3), (script, first, second, depth) => {
        const sides = [
          new ModelSide(rules, 5, first, isSliced),
          new ModelSide(rules, 2 + depth, second, isSliced),
        ] as const;
        for (const one of script) act(sides[one.side]!, sides[1 - one.side]!, one);
        const [a, b] = sides;
        for (const side of sides) side.stopReacting();
        if (a.endpoint.isLost || b.endpoint.isLost) {
          for (const side of sides) {
            side.endpoint.lost(ErrorCode.EOF);
            while (side.isWorking) side.work();
          }
        } else {
          carryAll(a, b);
          for (const side of sides) for (const tx of side.open) side.endpoint.end(tx);
          carryAll(a, b);
        }
        for (const side of sides) {
          expect([side.endpoint.openCount, [...side.endpoint.settling()], side.out.waitingBytes]).toEqual([0, [], 0]);
          expect(side.ownIds.size).toBe(0);
          expect(side.known.filter((tx) => side.finals.get(tx) !== 1)).toEqual([]);
          expect(side.known.filter((tx) => side.gone.get(tx) !== 1)).toEqual([]);
        }
      }),
      { numRuns: 400 },
    );
  });
});

describe.each(ways)('a hostile peer (%s)', (_, rules, isSliced) => {
  const id = fc.constantFrom(0, 1, 2, 3, 0xffff_ffff);
  const flags = fc
    .subarray([CREATE, DELETE, REPLY, ABORT, REVTRANS, REVCIRC])
    .map((bits) => bits.reduce((word, bit) => word | bit, 0) >>> 0);
  // Half of the words make sense; with purely random ones nearly every run would end at the first message.
  const sensible = fc.constantFrom(
    0,
    CREATE,
    CREATE | DELETE,
    REPLY | REVTRANS,
    ABORT | DELETE,
    CREATE | REVCIRC,
    DELETE,
  );
  const hostile = fc.record({
    flags: fc.oneof({ arbitrary: sensible, weight: 6 }, { arbitrary: flags, weight: 1 }),
    command: fc.constantFrom(LNK_ERROR, LNK_SPAN, LNK_PING, 0x00777701),
    msgid: fc.record({ lo: id, hi: fc.constantFrom(0, 1, 2) }),
    circuit: fc.record({ lo: fc.constantFrom(0, 0, 1, 2, 3), hi: fc.constantFrom(0, 1) }),
    slices: fc.nat(2),
  });

  it('causes a DmsgError at worst, and our messages stay well-formed', () => {
    const LIMIT = 4;
    fc.assert(
      fc.property(fc.array(hostile, { maxLength: 80, size: 'max' }), fc.array(reaction), (messages, reactions) => {
        const side = new ModelSide(rules, 3, reactions, isSliced);
        const limited = new ModelSide(rules, 3, reactions, isSliced, LIMIT);
        for (const each of [side, limited]) {
          try {
            for (const { flags, command, msgid, circuit, slices } of messages) {
              each.hear(command | flags, { msgid, circuit });
              for (let i = 0; i < slices; i++) each.work(i);
              expect(each.saidFrames().every((frame) => frame.buf.length > 0)).toBe(true);
            }
          } catch (error) {
            expect(error).toBeInstanceOf(DmsgError);
            expect([ErrorCode.TRANS, ErrorCode.PARAM]).toContain((error as DmsgError).code);
          }
          if (each === limited) expect(each.endpoint.peerCount).toBeLessThanOrEqual(LIMIT);
          each.stopReacting();
          each.endpoint.lost(ErrorCode.EOF);
          while (each.isWorking) each.work();
          expect([each.endpoint.openCount, [...each.endpoint.settling()], each.out.waitingBytes]).toEqual([0, [], 0]);
          for (const count of [...each.finals.values(), ...each.gone.values()]) expect(count).toBe(1);
        }
      }),
      { numRuns: 500 },
    );
  });
});
