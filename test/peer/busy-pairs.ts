import type { CryptKeys } from './crypt.ts';
import { LivePeer } from './live-peer.ts';
import { testUuid } from './payloads.ts';
import { CREATE, DELETE, type Dialect, type Message, type Outgoing, REPLY, REVCIRC, REVTRANS } from './wire.ts';

/** A command that only these peers understand: of protocol BLK, with a header of 128 bytes, so 64 bytes of payload. */
const ASK = 0x00500302;
const BASE = 0x00ffff00;
const PAYLOAD = 64;

export interface BusyPairsOptions {
  /** Of all peers, or of peer `n`, owners first. */
  readonly port: number | ((n: number) => number);
  readonly dialect: Dialect;
  /** Number of pairs: as many owners as askers. */
  readonly pairs: number;
  /** Local address of peer `n`; the owners are counted first. */
  readonly addressOf: (n: number) => string;
  /** Keys of peer `n`; undefined: plaintext. */
  readonly cryptOf?: (n: number) => CryptKeys | undefined;
  /** peer_type of their spans, and the only one that they ask for; default: any. */
  readonly peerType?: number;
  /** Number of the first owner's node; default: that of `ownerNode`. */
  readonly firstNode?: number;
}

/** The node of owner `n`. */
export function ownerNode(n: number, firstNode = 0xb00): string {
  return testUuid(firstNode + n);
}

/** A peer that asks, with its open transaction and its counts. */
interface Asker {
  readonly peer: LivePeer;
  /** msgids of the relays that it holds, and (linkid) of its own span. */
  readonly relays: bigint[];
  readonly span: bigint;
  /** The open transaction and the payload that must answer it; null: none is open. */
  awaited: { msgid: bigint; payload: Buffer } | null;
  asked: number;
  answered: number;
}

/**
 * Peers that route transactions to each other. Half of them own a span and echo the payload of each transaction; the
 * other half ask, each of them all owners in turn, one transaction at a time. Anything unexpected is recorded in
 * `faults`.
 */
export class BusyPairs {
  readonly peers: LivePeer[] = [];
  readonly faults: string[] = [];
  readonly #askers: Asker[] = [];
  #timer: NodeJS.Timeout | undefined;
  #onIdle: (() => void) | null = null;

  static async start({
    port,
    dialect,
    pairs,
    addressOf,
    cryptOf,
    peerType,
    firstNode,
  }: BusyPairsOptions): Promise<BusyPairs> {
    const made = new BusyPairs();
    const asksFor = peerType !== undefined && { peerMask: 1n << BigInt(peerType) };
    const gives = peerType !== undefined && { peerType };
    const connect = async (n: number) => {
      const crypt = cryptOf?.(n);
      const where = { port: typeof port === 'number' ? port : port(n), dialect, localAddress: addressOf(n) };
      const peer = await LivePeer.connect({ ...where, name: `busy ${n}`, ...(crypt && { crypt }) });
      made.peers.push(peer);
      await peer.openConn({ label: `busy${n}`, ...asksFor });
      return peer;
    };
    for (let n = 0; n < pairs; n++) {
      const owner = await connect(n);
      const span = owner.openSpan({ node: ownerNode(n, firstNode), nodeLabel: `owner${n}`, ...gives });
      made.#serve(owner, span);
    }
    for (let n = 0; n < pairs; n++) {
      const peer = await connect(pairs + n);
      // linkid: messages name the span of their sender as source.
      const span =
        dialect === 'linkid' ? peer.openSpan({ node: testUuid(0xc00 + n), nodeLabel: `asker${n}`, ...gives }) : 0n;
      const relays: bigint[] = [];
      for (let m = 0; m < pairs; m++) {
        relays.push((await peer.relay(({ nodeLabel }) => nodeLabel === `owner${m}`)).msgid);
      }
      const asker: Asker = { peer, relays, span, awaited: null, asked: 0, answered: 0 };
      made.#askers.push(asker);
      made.#listen(asker);
    }
    return made;
  }

  /** For each asker: transactions that were answered correctly. */
  get answered(): number[] {
    return this.#askers.map(({ answered }) => answered);
  }

  /** For each asker: transactions that it has begun. */
  get asked(): number[] {
    return this.#askers.map(({ asked }) => asked);
  }

  /** From now on every asker begins a transaction every `everyMs`, unless its last one is still open. */
  run(everyMs: number): void {
    this.#timer = setInterval(() => {
      for (const asker of this.#askers) if (asker.awaited === null) this.#ask(asker);
    }, everyMs);
  }

  /** Begins no more transactions. Resolves with true when none is open, or with false if one still is after `ms`. */
  async finish(ms: number): Promise<boolean> {
    clearInterval(this.#timer);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(resolve, ms, false);
    });
    const idle = new Promise<boolean>((resolve) => {
      this.#onIdle = () => this.#askers.every(({ awaited }) => awaited === null) && resolve(true);
      this.#onIdle();
    });
    const result = await Promise.race([late, idle]);
    clearTimeout(timer);
    return result;
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const { raw } of this.peers) raw.destroy();
  }

  #ask(asker: Asker): void {
    const { peer, relays, span } = asker;
    const relay = relays[asker.asked % relays.length]!;
    const payload = Buffer.alloc(PAYLOAD);
    payload.write(`${peer.raw.name} ${asker.asked++}`);
    const msgid = peer.newId();
    asker.awaited = { msgid, payload };
    const where = peer.dialect === 'circuit' ? { circuit: relay } : { circuit: span, target: relay };
    const cmd = CREATE | DELETE | ASK | (peer.dialect === 'circuit' ? REVCIRC : 0);
    peer.raw.send({ cmd, msgid, body: payload, ...where });
  }

  #listen(asker: Asker): void {
    const { raw } = asker.peer;
    this.#watch(asker.peer);
    raw.intercept = intercepting(raw.intercept, (message) => {
      const { awaited } = asker;
      if (awaited === null || message.msgid !== awaited.msgid) return false;
      const isEnd = (message.cmd & (DELETE | REPLY)) >>> 0 === (DELETE | REPLY) >>> 0;
      const isRight = isEnd && (message.cmd & BASE) === (ASK & BASE) && message.body.equals(awaited.payload);
      if (!isRight) this.faults.push(`${raw.name}: a wrong answer, ${message.cmd.toString(16)} error ${message.error}`);
      asker.answered++;
      asker.awaited = null;
      this.#onIdle?.();
      return true;
    });
  }

  #serve(owner: LivePeer, span: bigint): void {
    const { raw, dialect } = owner;
    this.#watch(owner);
    raw.intercept = intercepting(raw.intercept, (message) => {
      const isRequest = (message.cmd & (CREATE | REPLY)) >>> 0 === CREATE && (message.cmd & BASE) === (ASK & BASE);
      if (!isRequest) return false;
      if ((dialect === 'circuit' ? message.circuit : message.target) !== span) {
        this.faults.push(`${raw.name}: a request for another span`);
      }
      raw.send(answerTo(dialect, message));
      return true;
    });
  }

  #watch({ raw }: LivePeer): void {
    void raw.ended.then((how) => {
      if (!raw.socket.destroyed) this.faults.push(`${raw.name}: the connection has ended (${how}) ${raw.fault ?? ''}`);
    });
  }
}

function answerTo(dialect: Dialect, { msgid, circuit, target, body }: Message): Outgoing {
  const cmd = CREATE | DELETE | REPLY | ASK;
  return dialect === 'circuit'
    ? { cmd: cmd | REVTRANS, msgid, circuit, body }
    : // protocol.md, "Routing, linkid": a reply swaps source and target.
      { cmd, msgid, circuit: target, target: circuit, body };
}

type Interceptor = (message: Message) => boolean;

/** An interceptor that asks `first`, and then, if that does not take the message, `then`. */
function intercepting(then: Interceptor, first: Interceptor): Interceptor {
  return (message) => first(message) || then(message);
}
