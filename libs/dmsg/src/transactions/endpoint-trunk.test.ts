import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ABORT,
  BLK_READ,
  BLK_WRITE,
  CREATE,
  DBG_SHELL,
  DELETE,
  LNK_ERROR,
  LNK_SPAN,
  REPLY,
  REVCIRC,
  REVTRANS,
} from '../command.ts';
import { CIRCUIT, type DialectRules, LINKID, TRUNK } from '../dialect.ts';
import { DmsgError } from '../dmsg-error.ts';
import type { Frame } from '../wire/frame.ts';
import { FrameReader } from '../wire/framing.ts';
import { keepFrame } from '../wire/kept-frame.ts';
import { encodeMessage, type Id64 } from '../wire/message.ts';
import { carry, RecordingSide } from './recording-side.fixture.ts';
import type { LinkAddress, Transaction } from './transaction.ts';

const SPAN: Id64 = { lo: 0x5a, hi: 1 };
const ROUTE = 0x00e00109;
/** Source and target as linkid peers send them, and (ADDRESS) as this router does. */
const PEER_ROUTE = { circuit: { lo: 11, hi: 1 }, target: { lo: 12, hi: 1 } };
const ADDRESS: LinkAddress = { sourceLo: 21, sourceHi: 2, targetLo: 22, targetHi: 2 };

const join = {
  onMessage: (tx: Transaction, frame: Frame) => {
    const partner = tx.data as Transaction | null;
    if (partner !== null) partner.endpoint.forward(partner, frame);
  },
  onLost: (tx: Transaction, error: number) => {
    const partner = tx.data as Transaction | null;
    partner?.endpoint.end(partner, error, true);
  },
};

/**
 * Where messages of a side are passed on to: another side, and the circuit there for messages that are on the link
 * itself here.
 */
interface Way {
  readonly side: RecordingSide;
  readonly base: Transaction | null;
}

/** Passes transactions that are opened on `from`, and its one-way messages, on to `to`. */
function connectSides(from: RecordingSide, to: Way): void {
  const circuitThere = (circuit: Transaction | null): Transaction | null =>
    to.side.rules.stacked ? ((circuit?.data as Transaction | null) ?? to.base) : null;
  const address = to.side.rules.stacked ? null : ADDRESS;
  from.onOpen = (tx, frame) => {
    const base = tx.endpoint.rules.stacked && tx.circuit === null;
    if (base) return;
    tx.handler = join;
    const partner = to.side.endpoint.openForwarded(circuitThere(tx.circuit), join, frame, address);
    tx.data = partner;
    partner.data = tx;
  };
  from.onOneWay = (frame, circuit) => to.side.endpoint.forwardOneWay(frame, circuitThere(circuit), address);
}

interface Chain {
  /** `p`: the side towards the requester, `q`: towards the owner of the span. */
  readonly p: RecordingSide;
  readonly q: RecordingSide;
  pump(): void;
}

function chain(rules: DialectRules, withTrunk: boolean): Chain {
  const p = new RecordingSide({ rules });
  const q = new RecordingSide({ rules });
  let relay: Transaction | null = null;
  let link: Transaction | null = null;
  if (rules.stacked) {
    relay = p.endpoint.open(LNK_SPAN, null, join);
    q.hear(LNK_SPAN | CREATE, { msgid: SPAN });
    link = q.opened[0]!;
    q.endpoint.send(link, LNK_ERROR);
    p.said();
    q.said();
  }
  if (!withTrunk) {
    connectSides(p, { side: q, base: link });
    connectSides(q, { side: p, base: relay });
    return { p, q, pump() {} };
  }
  const near = new RecordingSide({ rules: TRUNK });
  const far = new RecordingSide({ rules: TRUNK });
  const nearRoute = near.endpoint.open(ROUTE, null, join);
  carry(near, far);
  const farRoute = far.opened[0]!;
  connectSides(p, { side: near, base: nearRoute });
  connectSides(near, { side: p, base: relay });
  connectSides(far, { side: q, base: link });
  connectSides(q, { side: far, base: farRoute });
  return {
    p,
    q,
    pump() {
      while (near.out.bytes + far.out.bytes > 0) {
        carry(near, far);
        carry(far, near);
      }
    },
  };
}

/** All bytes that the side has sent since the last call. */
function bytesOf(side: RecordingSide): string {
  return side
    .saidFrames()
    .map((frame) => Buffer.from(frame.buf).toString('hex'))
    .join('\n');
}

const AUX = Uint8Array.from({ length: 130 }, (_, i) => i);

describe('a message that passes a trunk', () => {
  for (const rules of [LINKID, CIRCUIT]) {
    it(`${rules.dialect}: comes out of the second hop as it went in except for ids, salt and hdr_crc`, () => {
      const { p, q, pump } = chain(rules, true);
      const isLinkid = rules === LINKID;
      const bytes = encodeMessage({
        rules,
        cmd: BLK_READ | (isLinkid ? 0 : REVCIRC),
        ...(isLinkid ? PEER_ROUTE : { circuit: { lo: 1, hi: 1 }, target: { lo: 0x1234, hi: 0x5678 } }),
        error: 7,
        payload: new Uint8Array(64).fill(0xee),
        aux: AUX,
        salt: 0x11223300,
      });
      const before = Buffer.from(bytes);
      new FrameReader({ rules }).push(bytes, { onFrame: (frame) => p.endpoint.receive(frame) });
      pump();
      const [said] = q.saidFrames();
      const after = Buffer.from(said!.buf);
      expect(after.length).toBe(before.length);
      // salt, ids, hdr_crc: the fields that each hop rewrites.
      for (const [from, to] of [
        [4, 8],
        [8, isLinkid ? 32 : 24],
        [60, 64],
      ] as const) {
        before.copy(after, from, from, to);
      }
      expect(after.equals(before)).toBe(true);
      expect([said!.auxBytes, said!.auxPadded]).toEqual([isLinkid ? 192 : 130, 192]);
    });
  }

  it('is refused by linkid if it has more aux data than linkid allows', () => {
    const far = new RecordingSide({ rules: TRUNK });
    const q = new RecordingSide({ rules: LINKID });
    far.onOneWay = (frame) => q.endpoint.forwardOneWay(frame, null, ADDRESS);
    expect(() => far.hear(DBG_SHELL, { aux: new Uint8Array(64 * 1024 + 1) })).toThrow(DmsgError);
    expect(q.out.bytes).toBe(0);
  });

  interface Step {
    readonly side: 'p' | 'q';
    readonly what: 'open' | 'stack' | 'send' | 'end' | 'abort' | 'one-way';
    readonly which: number;
    readonly aux: boolean;
    readonly last: boolean;
  }
  const steps = fc.array(
    fc.record<Step>({
      side: fc.constantFrom('p', 'q'),
      what: fc.constantFrom('open', 'stack', 'send', 'send', 'end', 'abort', 'one-way'),
      which: fc.nat(20),
      aux: fc.boolean(),
      last: fc.boolean(),
    }),
    { maxLength: 40 },
  );

  /** A peer that keeps the rules: it knows from what it has sent and received which messages it may send next. */
  class Peer {
    readonly #rules: DialectRules;
    readonly #isOwner: boolean;
    /** Transactions whose direction towards us is open: opened by the peer, and by us. */
    readonly #open: { id: Id64; ours: boolean; circuit: Id64; circuitOurs: boolean; created: boolean }[] = [];
    /** Transactions whose other direction is deleted. */
    readonly #heardEnd = new Set<string>();
    #next = 0;

    constructor(rules: DialectRules, isOwner: boolean) {
      this.#rules = rules;
      this.#isOwner = isOwner;
    }

    hears(frame: Frame): void {
      const ours = (frame.cmd & (this.#rules.stacked ? REVTRANS : REPLY)) !== 0;
      const id = { lo: frame.msgidLo, hi: frame.msgidHi };
      if ((frame.cmd & CREATE) !== 0 && !ours) {
        const circuit = { lo: frame.circuitLo, hi: frame.circuitHi };
        this.#open.push({ id, ours, circuit, circuitOurs: (frame.cmd & REVCIRC) !== 0, created: false });
      }
      if ((frame.cmd & DELETE) !== 0) this.#heardEnd.add(this.#key(id, ours));
    }

    /** The message of a step, or null if the rules do not allow one now. */
    says(step: Step, base: { circuit: Id64; ours: boolean } | null): Parameters<RecordingSide['hear']> | null {
      const aux = step.aux ? { aux: AUX } : {};
      const route = this.#rules.stacked ? {} : PEER_ROUTE;
      const on = (circuit: Id64, ours: boolean) => (this.#rules.stacked ? { circuit, rev: ours ? 0 : REVCIRC } : null);
      if (step.what === 'one-way') {
        const where = base === null ? null : on(base.circuit, base.ours);
        return [DBG_SHELL | (where?.rev ?? 0), { ...route, ...(where && { circuit: where.circuit }), ...aux }];
      }
      if (step.what === 'open' || step.what === 'stack') {
        let circuit = base;
        if (step.what === 'stack') {
          const usable = this.#open.filter(({ id, ours }) => !this.#heardEnd.has(this.#key(id, ours)));
          const parent = usable[step.which % Math.max(1, usable.length)];
          if (parent === undefined || !this.#rules.stacked) return null;
          circuit = { circuit: parent.id, ours: parent.ours };
        } else if (this.#isOwner && this.#rules.stacked) return null;
        const id = { lo: 0x1000 + this.#next++, hi: 7 };
        const where = circuit === null ? null : on(circuit.circuit, circuit.ours);
        const entry = { id, ours: true, circuit: circuit?.circuit ?? id, circuitOurs: circuit?.ours ?? true };
        if (!step.last) this.#open.push({ ...entry, created: true });
        const cmd = BLK_READ | CREATE | (step.last ? DELETE : 0) | (where?.rev ?? 0);
        return [cmd, { msgid: id, ...route, ...(where && { circuit: where.circuit }), ...aux }];
      }
      if (this.#open.length === 0) return null;
      const at = step.which % this.#open.length;
      const tx = this.#open[at]!;
      // Peers here close leaves first; other tests end circuits with transactions on them.
      const hasChildren = this.#open.some(
        (one) => one !== tx && one.circuit.lo === tx.id.lo && one.circuit.hi === tx.id.hi,
      );
      const isEnd = step.what !== 'send';
      if (isEnd && hasChildren) return null;
      let cmd = step.what === 'send' ? BLK_WRITE : LNK_ERROR;
      if (isEnd) cmd |= DELETE;
      if (step.what === 'abort') cmd |= ABORT;
      if (!tx.created) cmd |= CREATE;
      if (!tx.ours) cmd |= this.#rules.stacked ? REPLY | REVTRANS : REPLY;
      if (this.#rules.stacked && !tx.circuitOurs) cmd |= REVCIRC;
      tx.created = true;
      if (isEnd) this.#open.splice(at, 1);
      return [cmd, { msgid: tx.id, ...route, ...(this.#rules.stacked && { circuit: tx.circuit }), ...aux }];
    }

    #key({ lo, hi }: Id64, ours: boolean): string {
      return `${ours} ${lo} ${hi}`;
    }
  }

  for (const rules of [LINKID, CIRCUIT]) {
    it(`${rules.dialect}: has the same flags and bytes as without the trunk, in any transactions`, () => {
      let passed = 0;
      fc.assert(
        fc.property(steps, (all) => {
          const direct = chain(rules, false);
          const viaTrunk = chain(rules, true);
          const peers = { p: new Peer(rules, false), q: new Peer(rules, true) };
          const bases = { p: { circuit: { lo: 1, hi: 1 }, ours: false }, q: { circuit: SPAN, ours: true } };
          for (const step of all) {
            const message = peers[step.side].says(step, rules.stacked ? bases[step.side] : null);
            if (message === null) continue;
            for (const one of [direct, viaTrunk]) {
              one[step.side].hear(...message);
              one.pump();
            }
            for (const side of ['p', 'q'] as const) {
              const expected = direct[side].saidFrames().map(keepFrame);
              for (const frame of expected) peers[side].hears(frame);
              passed += expected.length;
              expect(bytesOf(viaTrunk[side])).toBe(
                expected.map((frame) => Buffer.from(frame.buf).toString('hex')).join('\n'),
              );
            }
          }
          expect(viaTrunk.p.endpoint.openCount).toBe(direct.p.endpoint.openCount);
          expect(viaTrunk.q.endpoint.openCount).toBe(direct.q.endpoint.openCount);
        }),
        { numRuns: 300 },
      );
      expect(passed).toBeGreaterThan(300);
    });
  }
});
