import { ABORT, CREATE, DELETE, LNK_ERROR, REPLY, REVCIRC, REVTRANS } from '@spanmesh/dmsg/command';
import type { DialectRules } from '@spanmesh/dmsg/dialect';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import type { Frame } from '@spanmesh/dmsg/frame';
import { expectThat, Finding } from './target.ts';

/** A transaction. Its state is the same for both sides, because no message is under way. */
export interface Known {
  /** Whether the endpoint opened it. */
  readonly own: boolean;
  readonly lo: number;
  readonly hi: number;
  readonly circuit: Known | null;
  readonly depth: number;
  readonly children: Set<Known>;
  /** linkid: offsets 16 and 24 of the endpoint's messages in it. */
  readonly from: number;
  readonly to: number;
  rxCreated: boolean;
  rxDeleted: boolean;
  txCreated: boolean;
  txDeleted: boolean;
  over: boolean;
}

/** What an endpoint must do with a message. */
export type Expected = 'trans' | 'limit' | 'drop' | 'deliver' | 'accept' | 'too deep' | 'gone circuit' | 'one-way';

/**
 * A second, independent model of protocol.md, "Transactions" and "stacking", as plain as the text. It says what an
 * endpoint must do with each message of its peer, and whether the peer may refuse a message of the endpoint.
 */
export class Conversation {
  /** Transactions that are open in at least one direction. */
  open = 0;
  readonly #rules: DialectRules;
  readonly #maxDepth: number;
  readonly #maxPeers: number;
  readonly #own = new Map<number, Known>();
  readonly #peers = new Map<number, Known>();
  readonly #ownIdsUsed = new Set<number>();
  /** The answer that the endpoint must send to a CREATE on a circuit that is gone. */
  #refusal: { lo: number; hi: number; circuit: number; revcirc: boolean } | null = null;
  #refusalDepth: Known | null = null;
  /**
   * Transactions that have ended in this turn. The user may not have been notified yet, and its messages in them are
   * dropped by the peer.
   */
  readonly #endedNow: Known[] = [];

  constructor(rules: DialectRules, maxDepth: number, maxPeers: number) {
    this.#rules = rules;
    this.#maxDepth = maxDepth;
    this.#maxPeers = maxPeers;
  }

  find(own: boolean, lo: number, hi: number): Known | undefined {
    return (own ? this.#own : this.#peers).get(idOf(lo, hi));
  }

  /** Begins a turn: all users have been notified of the transactions that have ended so far. */
  nextTurn(): void {
    this.#endedNow.length = 0;
  }

  /** The peer sends a message; returns what the endpoint must do. */
  hear(m: Frame): Expected {
    this.#refusal = null;
    this.#refusalDepth = null;
    const has = (flag: number) => (m.cmd & flag) !== 0;
    const { stacked } = this.#rules;
    if (!stacked && has(REVTRANS)) return 'trans';
    const circuit = this.#circuitOf(m);
    if (idOf(m.msgidLo, m.msgidHi) === 0) {
      if (has(CREATE)) return 'trans';
      if (circuit === 'gone' || has(ABORT)) return 'drop';
      if (has(DELETE) || (stacked && has(REVTRANS))) return 'trans';
      return 'one-way';
    }
    // "The circuit is looked up before anything else".
    if (circuit === 'gone') {
      if (!has(CREATE) || has(REPLY)) return 'drop';
      const circuit = idOf(m.circuitLo, m.circuitHi);
      // The answer goes in the other direction.
      this.#refusal = { lo: m.msgidLo, hi: m.msgidHi, circuit, revcirc: !has(REVCIRC) };
      return 'gone circuit';
    }
    if (stacked && has(REPLY) !== has(REVTRANS)) return 'trans';
    const known = this.find(has(REPLY), m.msgidLo, m.msgidHi);
    if (known === undefined) return this.#hearUnknown(m, circuit, has);
    if (stacked && known.circuit !== circuit) return 'trans';
    if (!stacked && (idOf(m.circuitLo, m.circuitHi) !== known.to || idOf(m.targetLo, m.targetHi) !== known.from)) {
      return 'drop';
    }
    return this.#hearKnown(known, has);
  }

  /** The endpoint closes its direction without a message. */
  abandon(own: boolean, lo: number, hi: number): void {
    const known = this.find(own, lo, hi);
    if (known === undefined || known.txDeleted) return;
    known.txDeleted = true;
    this.#endIfOver(known);
  }

  /** The endpoint sends a message; throws if it may not. */
  say(m: Frame): void {
    const has = (flag: number) => (m.cmd & flag) !== 0;
    const { stacked } = this.#rules;
    const bad = (why: string) => new Finding(`sent cmd ${(m.cmd >>> 0).toString(16)}: ${why}`);
    if (!stacked && (has(REVTRANS) || has(REVCIRC))) throw bad('a flag of the other dialect');
    if (stacked && (m.targetLo | m.targetHi) !== 0) throw bad('link_verifier is not 0');
    if (this.#isRefusal(m)) return;
    const circuit = this.#circuitOf({ ...m, cmd: (m.cmd ^ REVCIRC) >>> 0 } as Frame);
    if (idOf(m.msgidLo, m.msgidHi) === 0) {
      if (has(CREATE) || has(DELETE) || has(ABORT) || has(REVTRANS)) throw bad('flags of a transaction without one');
      if (circuit === 'gone' && !this.#endedJustNow(m)) throw bad('one-way on a circuit that is gone');
      if (circuit === null && stacked && has(REVCIRC)) throw bad('REVCIRC without a circuit');
      return;
    }
    if (stacked && has(REPLY) !== has(REVTRANS)) throw bad('REPLY and REVTRANS differ');
    const known = this.find(!has(REPLY), m.msgidLo, m.msgidHi);
    if (known === undefined) {
      if (has(REPLY) || !has(CREATE)) {
        // Its circuit has ended in this very turn: the peer drops the message.
        if (circuit === 'gone') return;
        throw bad('a transaction that is not there');
      }
      if (circuit === 'gone') {
        if (!this.#endedJustNow(m)) throw bad('CREATE on a circuit that is gone');
        this.#takeId(m, bad);
        return;
      }
      this.#sayNew(m, circuit, bad);
      return;
    }
    if (stacked && known.circuit !== circuit) throw bad('the wrong circuit');
    if (known.circuit === null && has(REVCIRC)) throw bad('REVCIRC without a circuit');
    if (!stacked && (idOf(m.circuitLo, m.circuitHi) !== known.from || idOf(m.targetLo, m.targetHi) !== known.to)) {
      throw bad('another address');
    }
    if (has(CREATE) === known.txCreated) throw bad(known.txCreated ? 'CREATE again' : 'no CREATE yet');
    if (known.txDeleted) throw bad('after DELETE');
    known.txCreated = true;
    if (has(DELETE)) this.#sayLast(known, bad);
  }

  /** Checks, after each message of the peer, that every required answer was sent. */
  checkAnswered(): void {
    expectThat(this.#refusal === null, 'a CREATE on a gone circuit was not answered');
    expectThat(this.#refusalDepth?.txDeleted !== false, 'a CREATE stacked too deep was not refused');
  }

  #hearUnknown(m: Frame, circuit: Known | null, has: (flag: number) => boolean): Expected {
    const { stacked } = this.#rules;
    if (has(CREATE) && !has(REPLY)) {
      if (this.#peers.size >= this.#maxPeers) return 'limit';
      const known = this.#add(m, false, circuit, idOf(m.targetLo, m.targetHi), idOf(m.circuitLo, m.circuitHi));
      known.rxCreated = true;
      known.rxDeleted = has(DELETE);
      if (known.depth <= this.#maxDepth) return 'accept';
      this.#refusalDepth = known;
      return 'too deep';
    }
    // linkid, routed: "A message whose source or target is unknown or whose route is gone is thrown away".
    const routed = !stacked && (m.circuitLo | m.circuitHi | m.targetLo | m.targetHi) !== 0;
    if (has(ABORT) || routed || !(has(DELETE) || has(CREATE))) return 'drop';
    return 'trans';
  }

  #hearKnown(known: Known, has: (flag: number) => boolean): Expected {
    if (has(CREATE)) {
      if (known.rxCreated) return 'trans';
      known.rxCreated = true;
    } else if (!known.rxCreated || known.rxDeleted) {
      if (has(ABORT)) return 'drop';
      return known.rxDeleted || has(DELETE) ? 'trans' : 'drop';
    }
    if (has(DELETE)) {
      known.rxDeleted = true;
      this.#endIfOver(known);
    }
    return 'deliver';
  }

  #sayNew(m: Frame, circuit: Known | null, bad: (why: string) => Finding): void {
    this.#takeId(m, bad);
    if (circuit === null && (m.cmd & REVCIRC) !== 0) throw bad('REVCIRC without a circuit');
    const known = this.#add(m, true, circuit, idOf(m.circuitLo, m.circuitHi), idOf(m.targetLo, m.targetHi));
    if (known.depth > this.#maxDepth) throw bad('stacked too deep');
    known.txCreated = true;
    if ((m.cmd & DELETE) !== 0) this.#sayLast(known, bad);
  }

  #takeId(m: Frame, bad: (why: string) => Finding): void {
    const id = idOf(m.msgidLo, m.msgidHi);
    if (this.#ownIdsUsed.has(id)) throw bad('a msgid used before');
    this.#ownIdsUsed.add(id);
  }

  /** Whether the circuit that the message names has ended in this turn. */
  #endedJustNow(m: Frame): boolean {
    return this.#endedNow.some(({ own, lo, hi }) => {
      return own === ((m.cmd & REVCIRC) === 0) && lo === m.circuitLo && hi === m.circuitHi;
    });
  }

  /** "We send the ends of what is stacked first, leaves first, and the circuit's own DELETE last". */
  #sayLast(known: Known, bad: (why: string) => Finding): void {
    for (const child of known.children) if (!child.txDeleted) throw bad('DELETE before the ends of what is stacked');
    known.txDeleted = true;
    this.#endIfOver(known);
  }

  #add(m: Frame, own: boolean, circuit: Known | null, from: number, to: number): Known {
    const known: Known = {
      own,
      lo: m.msgidLo,
      hi: m.msgidHi,
      circuit,
      depth: circuit === null ? 0 : circuit.depth + 1,
      children: new Set(),
      from,
      to,
      rxCreated: false,
      rxDeleted: false,
      txCreated: false,
      txDeleted: false,
      over: false,
    };
    (own ? this.#own : this.#peers).set(idOf(m.msgidLo, m.msgidHi), known);
    circuit?.children.add(known);
    this.open++;
    return known;
  }

  /**
   * "It is gone when both directions have been created and deleted"; "everything stacked on it ends too, by itself".
   */
  #endIfOver(known: Known): void {
    if (known.over || !known.rxDeleted || !known.txDeleted) return;
    const ending = [known];
    for (const one of ending) {
      one.over = true;
      this.#endedNow.push(one);
      ending.push(...one.children);
      (one.own ? this.#own : this.#peers).delete(idOf(one.lo, one.hi));
      this.open--;
    }
    known.circuit?.children.delete(known);
  }

  /** REVCIRC from the view of the receiver of the peer's message: the endpoint opened the circuit. */
  #circuitOf(m: Frame): Known | null | 'gone' {
    if (!this.#rules.stacked || idOf(m.circuitLo, m.circuitHi) === 0) return null;
    return this.find((m.cmd & REVCIRC) !== 0, m.circuitLo, m.circuitHi) ?? 'gone';
  }

  #isRefusal(m: Frame): boolean {
    const due = this.#refusal;
    const flags = CREATE | DELETE | ABORT | REPLY | REVTRANS | LNK_ERROR;
    if (due === null || (m.cmd & ~REVCIRC) >>> 0 !== flags >>> 0) return false;
    if (m.msgidLo !== due.lo || m.msgidHi !== due.hi || idOf(m.circuitLo, m.circuitHi) !== due.circuit) return false;
    if (m.error !== ErrorCode.LOSTLINK || due.revcirc !== ((m.cmd & REVCIRC) !== 0)) return false;
    this.#refusal = null;
    return true;
  }
}

/** Two halves of an id as one number. It is exact, as the ids used here have small upper halves. */
function idOf(lo: number, hi: number): number {
  return hi * 2 ** 32 + lo;
}
