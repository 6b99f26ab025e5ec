import { Exchange } from './exchange.ts';
import type { HeldRelay, LivePeer } from './live-peer.ts';
import {
  ABORT,
  CREATE,
  DELETE,
  ERROR,
  LNK_ERROR,
  type Message,
  type Outgoing,
  REPLY,
  REVCIRC,
  REVTRANS,
} from './wire.ts';

/** A command that only these peers understand: of protocol DBG, with a header of 128 bytes, so 64 bytes of payload. */
export const ASK = 0x00100202;
const BASE_MASK = 0x00ffff00;

const isLast = ({ cmd }: Message) => (cmd & DELETE) !== 0;
const isAbort = ({ cmd }: Message) => (cmd & ABORT) !== 0;
/** The command without flags and header size. */
export const baseOf = (cmd: number): number => cmd & BASE_MASK;

/** Makes a peer answer every message of a transaction on its spans with the same command, payload and DELETE flag. */
export class Responder {
  /** The open transactions: msgid → the span that it is on. */
  readonly open = new Map<bigint, bigint>();
  readonly #peer: LivePeer;

  constructor(peer: LivePeer) {
    this.#peer = peer;
    const then = peer.raw.intercept;
    peer.raw.intercept = (message) => this.#take(message) || then(message);
    void peer.raw.ended.then(() => this.open.clear());
  }

  /**
   * Number of transactions that should have ended if nobody asks any more. circuit: those on a closed span have ended
   * by themselves.
   */
  get hanging(): number {
    const { dialect, spans } = this.#peer;
    return [...this.open.values()].filter((span) => dialect === 'linkid' || spans.has(span)).length;
  }

  #take(message: Message): boolean {
    const { cmd, msgid, circuit, target, body } = message;
    if (msgid === 0n || (cmd & REPLY) !== 0) return false;
    const isCircuit = this.#peer.dialect === 'circuit';
    const span = isCircuit ? circuit : target;
    if (span === 0n) return false;
    const isOpening = (cmd & CREATE) !== 0;
    const send = (out: Outgoing) => this.#peer.raw.send(isCircuit ? out : { ...out, circuit: target, target: circuit });
    const flags = REPLY | (isCircuit ? REVTRANS : 0) | (isLast(message) ? DELETE : 0);
    const isKnown = this.open.has(msgid);
    if (!isKnown && !this.#peer.spans.has(span)) {
      // The peer has closed the span and the router did not know that yet (protocol.md, "Transactions", stacking): it
      // waits for an answer.
      const flags = isCircuit ? ABORT | REVTRANS : 0;
      const lost = CREATE | DELETE | REPLY | LNK_ERROR | flags;
      if (isOpening) send({ cmd: lost, msgid, circuit, error: ERROR.LOSTLINK });
      return true;
    }
    if (!isKnown && !isOpening) return true;
    if (isLast(message)) this.open.delete(msgid);
    else this.open.set(msgid, span);
    const first = isKnown ? 0 : CREATE;
    const base = isAbort(message) ? LNK_ERROR : baseOf(cmd);
    send({ cmd: flags | first | base, msgid, circuit, body: isAbort(message) ? Buffer.alloc(0) : body });
    return true;
  }
}

/** A transaction that was opened and has not ended. */
interface Asked {
  readonly relay: bigint;
  readonly exchange: Exchange;
  /** The test may break its route. Then it is not counted as lost. */
  readonly mayBeLost: boolean;
}

/** Makes a peer open transactions on relays that it holds, send their messages one by one, and compare the answers. */
export class Asker {
  /** Transactions that were answered completely, and those that ended before because their route was lost. */
  done = 0;
  lost = 0;
  /** Anything that must not happen. */
  readonly faults: string[] = [];
  readonly open = new Map<bigint, Asked>();
  readonly #peer: LivePeer;
  /** linkid: the msgid of the peer's own span, the source of its messages. */
  readonly #source: bigint;
  #asked = 0;

  constructor(peer: LivePeer, source = 0n) {
    this.#peer = peer;
    this.#source = source;
    const then = peer.raw.intercept;
    peer.raw.intercept = (message) => {
      if (this.#take(message)) return true;
      const taken = then(message);
      if (isLast(message)) this.#forgetRoutes();
      return taken;
    };
    void peer.raw.ended.then(() => {
      for (const asked of this.open.values()) this.#lose(asked);
      this.open.clear();
    });
  }

  /** Opens a transaction of `messages` messages. `mayBeLost`: it is never counted as lost. */
  ask(relay: HeldRelay, messages = 1, mayBeLost = false): void {
    const msgid = this.#peer.newId();
    const exchange = new Exchange(`${this.#peer.raw.name} ${this.#asked++}`, messages);
    const asked: Asked = { relay: relay.msgid, exchange, mayBeLost };
    this.open.set(msgid, asked);
    this.#send(msgid, asked, CREATE);
  }

  #send(msgid: bigint, asked: Asked, create: number): void {
    const { body, isLast } = asked.exchange.next();
    const isCircuit = this.#peer.dialect === 'circuit';
    const cmd = create | (isLast ? DELETE : 0) | ASK | (isCircuit ? REVCIRC : 0);
    const where = isCircuit ? { circuit: asked.relay } : { circuit: this.#source, target: asked.relay };
    this.#peer.raw.send({ cmd, msgid, body, ...where });
  }

  #take(message: Message): boolean {
    const { cmd, msgid, body, error } = message;
    if ((cmd & REPLY) === 0 || msgid === 0n) return false;
    const asked = this.open.get(msgid);
    const isAnswer = baseOf(cmd) === baseOf(ASK);
    if (asked === undefined) {
      // architecture.md, "What must always hold" 3: nothing is delivered after a transaction has ended.
      const { spans, conns } = this.#peer;
      if (isAnswer) this.faults.push(`${this.#peer.raw.name}: an answer to what is over`);
      return isAnswer || (isAbort(message) && !spans.has(msgid) && !conns.has(msgid));
    }
    if (isAbort(message) || !isAnswer) {
      if (error !== ERROR.LOSTLINK) this.faults.push(`${asked.exchange.text}: ended with error ${error}`);
      this.#lose(asked);
      this.open.delete(msgid);
      // protocol.md, "Transactions": a transaction closed by one side is closed by the other, too.
      if (asked.exchange.unsent > 0) this.#close(msgid, asked);
      return true;
    }
    this.faults.push(...asked.exchange.take(body, isLast(message)));
    if (isLast(message)) {
      this.open.delete(msgid);
      this.done++;
    } else if (asked.exchange.unsent > 0) this.#send(msgid, asked, 0);
    return true;
  }

  #close(msgid: bigint, asked: Asked): void {
    const isCircuit = this.#peer.dialect === 'circuit';
    const where = isCircuit ? { circuit: asked.relay } : { circuit: this.#source, target: asked.relay };
    // On a relay that is gone the message would be dropped: its transactions have ended by themselves.
    if (!this.#peer.held.has(asked.relay)) return;
    this.#peer.raw.send({ cmd: DELETE | LNK_ERROR | (isCircuit ? REVCIRC : 0), msgid, ...where });
  }

  /** Ends the transactions of relays that are gone. */
  #forgetRoutes(): void {
    for (const [msgid, asked] of this.open) {
      if (this.#peer.held.has(asked.relay)) continue;
      this.open.delete(msgid);
      this.#lose(asked);
      // protocol.md, "Routing, linkid": a message that crossed the relay's end was thrown away. Its transaction stays
      // open until we end it.
      if (this.#peer.dialect === 'linkid' && asked.exchange.unsent > 0) {
        const cmd = ABORT | DELETE | LNK_ERROR;
        this.#peer.raw.send({ cmd, msgid, circuit: this.#source, target: asked.relay, error: ERROR.LOSTLINK });
      }
    }
  }

  #lose(asked: Asked): void {
    if (!asked.mayBeLost) this.lost++;
  }
}
