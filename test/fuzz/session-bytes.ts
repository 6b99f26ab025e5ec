import { BASE_MASK } from '@spanmesh/dmsg/command';
import { rulesOf } from '@spanmesh/dmsg/dialect';
import type { Frame } from '@spanmesh/dmsg/frame';
import { CMD_AT, MSGID_AT } from '@spanmesh/dmsg/header';
import { readU32, writeU32 } from '@spanmesh/dmsg/words';
import { connBody, connFields, PEER, spanBody, spanFields, testUuid } from '../peer/payloads.ts';
import {
  BLK_OPEN,
  CREATE,
  DBG_SHELL,
  DELETE,
  type Dialect,
  encode,
  LNK_CONN,
  LNK_ERROR,
  LNK_PING,
  LNK_SPAN,
  LNK_VOLCONF,
  type Outgoing,
  REPLY,
  REVCIRC,
  REVTRANS,
  textAux,
} from '../peer/wire.ts';
import type { Grower } from './grow.ts';
import { mend, messageBytes, mutate, mutateInside } from './mutate.ts';
import type { Random } from './random.ts';
import { type RecordedStream, recordedStreams } from './recordings.ts';

/** Longest burst of messages, in bytes. */
const BURST_BYTES = 16 * 1024;
const SHELL_TEXTS = ['', 'tree', 'help', 'span 127.0.0.1:1', 'span', 'nonsense', 'tree '.repeat(300)];
const TYPES = [PEER.NONE, PEER.ROUTER, PEER.BLOCK, PEER.HAMMER2, PEER.CLIENT, 64, 255];
const LABELS = ['', 'a', 'disk0', 'x'.repeat(127), 'x'.repeat(255), '\x01\xff%s', 'ä'];

/** Messages of the reference implementations' clients, by dialect. */
const CLIENT_STREAMS = recordedStreams().filter(({ fromClient }) => fromClient);

/**
 * The fields that all messages of a transaction have besides the msgid: its circuit (circuit), or its source and target
 * (linkid).
 */
interface Address {
  readonly flags: number;
  readonly circuit: bigint;
  readonly target: bigint;
}

const ON_THE_LINK: Address = { flags: 0, circuit: 0n, target: 0n };
/** The most transactions of the router that are remembered. */
const MAX_ROUTERS = 24;

/**
 * Makes the bytes that a hostile peer sends on one connection, in bursts: a recorded session with few changes, or
 * messages of its own, most of which are allowed. It knows which transactions the router has opened, so that it can
 * answer them and stack others on them.
 */
export class SessionBytes {
  /** msgids of the router's open transactions: the first one is its LNK_CONN, the others are relays. */
  readonly routers: bigint[] = [];
  /** msgids of the router's relays, and of the peer's own spans. */
  readonly #relays: bigint[] = [];
  readonly #spans: bigint[] = [];
  /** Addresses of transactions that do not run on the link itself, by msgid: own ones, and the router's. */
  readonly #ownAddress = new Map<bigint, Address>();
  readonly #routersAddress = new Map<bigint, Address>();
  readonly #answered = new Set<bigint>();
  /** The recorded session that is sent from its beginning; null: own messages are sent. */
  readonly #recorded: RecordedStream | null;
  #recordedNext = 0;
  readonly #conns: bigint[] = [];
  readonly #dialect: Dialect;
  readonly #random: Random;
  readonly #grower: Grower;
  readonly #own: bigint[] = [];
  readonly #buf = new Uint8Array(BURST_BYTES);
  #sent = 0;
  #nextId = 0x10n;

  constructor(dialect: Dialect, random: Random, grower: Grower) {
    this.#dialect = dialect;
    this.#random = random;
    this.#grower = grower;
    const fitting = CLIENT_STREAMS.filter(({ rules }) => rules.dialect === dialect);
    this.#recorded = random.oneIn(3) ? random.pick(fitting) : null;
  }

  /** The router has opened a transaction. */
  opened({ cmd, msgidLo, msgidHi, circuitLo, circuitHi, targetLo, targetHi }: Frame): void {
    if (this.routers.length >= MAX_ROUTERS) return;
    const msgid = idOf(msgidLo, msgidHi);
    this.routers.push(msgid);
    if ((cmd & BASE_MASK) === LNK_SPAN) this.#relays.push(msgid);
    const circuit = idOf(circuitLo, circuitHi);
    const target = idOf(targetLo, targetHi);
    if (circuit === 0n && target === 0n) return;
    // The answer has the source and the target exchanged.
    const answer: Address =
      this.#dialect === 'linkid'
        ? { flags: 0, circuit: target, target: circuit }
        : { flags: (cmd & REVCIRC) === 0 ? REVCIRC : 0, circuit, target: 0n };
    this.#routersAddress.set(msgid, answer);
  }

  /** The next bytes, in memory of their own. `first`: the session's beginning, which is mostly valid. */
  burst(first: boolean): Buffer {
    const random = this.#random;
    const rules = rulesOf(this.#dialect);
    const buf = this.#buf;
    const end = this.#recorded === null ? this.#make(first) : this.#replay(this.#recorded);
    if (end === 0) return Buffer.alloc(0);
    this.#spoil(end);
    disarm(buf, end);
    const count = mend(buf, 0, end, rules, this.#sent);
    this.#sent += count;
    // A few bursts have changed framing, or are cut.
    if (random.oneIn(40)) mutate(random, buf, random.below(end), end);
    if (random.oneIn(40)) return Buffer.from(buf.subarray(0, 1 + random.below(end)));
    return Buffer.from(buf.subarray(0, end));
  }

  #make(first: boolean): number {
    const random = this.#random;
    let end = first && !random.oneIn(10) ? this.#add(this.#conn(), 0) : 0;
    const pieces = random.few(12, 200);
    for (let i = 0; i < pieces; i++) end = random.oneIn(40) ? this.#noise(end) : this.#add(this.#message(), end);
    return end;
  }

  /** The next messages of the recorded session. */
  #replay({ messages }: RecordedStream): number {
    const random = this.#random;
    let end = 0;
    for (let i = random.few(12, 200); i > 0 && this.#recordedNext < messages.length; i--) {
      const message = messages[this.#recordedNext++]!;
      if (random.oneIn(40) || message.length > BURST_BYTES - end) continue;
      this.#buf.set(message, end);
      end += message.length;
    }
    this.#readdress(0, end);
    return end;
  }

  #add(message: Outgoing, at: number): number {
    const bytes = encode(this.#dialect, message, 0);
    if (at + bytes.length > BURST_BYTES) return at;
    this.#buf.set(bytes, at);
    return at + bytes.length;
  }

  /** A recorded message at a wrong time. */
  #noise(at: number): number {
    const random = this.#random;
    const end = this.#grower.messages(random, random.pick(CLIENT_STREAMS), random.few(4), this.#buf, at, BURST_BYTES);
    this.#readdress(at, end);
    return end;
  }

  /**
   * Answers in recordings contain the recorded daemon's msgids, which are replaced by those of this router's
   * transactions.
   */
  #readdress(start: number, end: number): void {
    if (this.routers.length === 0) return;
    const buf = this.#buf;
    for (let at = start; end - at >= 64; at += messageBytes(buf, at, end, rulesOf(this.#dialect)) || 64) {
      const cmd = readU32(buf, at + CMD_AT);
      const toRouter = this.#dialect === 'linkid' ? cmd & REPLY : cmd & REVTRANS;
      if (toRouter === 0 || (readU32(buf, at + MSGID_AT) | readU32(buf, at + MSGID_AT + 4)) === 0) continue;
      if (this.routers.length === 0) return;
      const id = this.#random.pick(this.routers);
      const created = this.#answered.has(id);
      this.#answered.add(id);
      if ((cmd & DELETE) !== 0) this.routers.splice(this.routers.indexOf(id), 1);
      writeU32(buf, at + CMD_AT, created ? cmd & ~CREATE : cmd | CREATE);
      writeU32(buf, at + MSGID_AT, Number(id & 0xffffffffn));
      writeU32(buf, at + MSGID_AT + 4, Number(id >> 32n));
    }
  }

  /** Changes messages; mostly it changes none. */
  #spoil(end: number): void {
    const random = this.#random;
    const rules = rulesOf(this.#dialect);
    for (let at = 0; at < end; ) {
      const bytes = messageBytes(this.#buf, at, end, rules) || 64;
      if (random.oneIn(60)) mutateInside(random, this.#buf, at, Math.min(end, at + bytes));
      at += bytes;
    }
  }

  #conn(): Outgoing {
    const random = this.#random;
    const body = connBody(
      this.#dialect,
      connFields({
        media: testUuid(random.below(4)),
        cluster: testUuid(random.below(4)),
        node: testUuid(random.below(8)),
        peerMask: random.oneIn(3) ? BigInt(random.u32()) : 0xffffffffffffffffn,
        peerType: random.oneIn(3) ? random.pick(TYPES) : PEER.ROUTER,
        label: random.pick(LABELS),
      }),
    );
    const msgid = this.#newId();
    this.#conns.push(msgid);
    return { cmd: CREATE | LNK_CONN[this.#dialect], msgid, body };
  }

  #span(): Outgoing['body'] {
    const random = this.#random;
    return spanBody(
      this.#dialect,
      spanFields({
        cluster: testUuid(random.below(6)),
        node: testUuid(random.below(16)),
        peerType: random.pick(TYPES),
        dist: random.oneIn(3) ? random.pick([1, 15, 16, 17, 0x7fffffff, -1]) : 0,
        rnss: random.u32(),
        status: random.u32(),
        clusterLabel: random.pick(LABELS),
        nodeLabel: random.pick(LABELS),
      }),
    );
  }

  #message(): Outgoing {
    const random = this.#random;
    const isCircuit = this.#dialect === 'circuit';
    const rev = isCircuit ? REVTRANS : 0;
    const own = this.#own.length === 0 ? 0n : random.pick(this.#own);
    const routers = this.routers.length === 0 ? 0n : random.pick(this.routers);
    const relay = this.#relays.length === 0 || random.oneIn(16) ? routers : random.pick(this.#relays);
    const ping: Outgoing = { cmd: LNK_PING };
    switch (random.below(20)) {
      case 0:
        return isCircuit && !random.oneIn(8) ? ping : this.#conn();
      case 1:
      case 2:
      case 3:
      case 4:
        this.#spans.push(this.#newId());
        return {
          cmd: (random.oneIn(12) ? CREATE | DELETE : CREATE) | LNK_SPAN,
          msgid: this.#spans.at(-1)!,
          body: this.#span(),
        };
      case 5:
        return own === 0n ? ping : this.#inside(own, LNK_SPAN, this.#span());
      case 6:
        return own === 0n ? ping : this.#inside(this.#forget(own), DELETE | LNK_ERROR);
      case 7:
      case 8: {
        if (routers === 0n) return ping;
        const { flags, ...address } = this.#routersAddress.get(routers) ?? ON_THE_LINK;
        return { cmd: this.#answer(routers) | REPLY | rev | flags | LNK_ERROR, msgid: routers, ...address };
      }
      case 9:
        return { cmd: DBG_SHELL, aux: textAux(random.pick(SHELL_TEXTS)) };
      case 10:
        return { cmd: CREATE | DBG_SHELL, msgid: this.#newId(), aux: textAux(random.pick(SHELL_TEXTS)) };
      case 11:
        return ping;
      case 12:
        return { cmd: CREATE | DELETE | LNK_PING, msgid: this.#newId() };
      case 13:
        return this.#conns.length === 0
          ? ping
          : { cmd: LNK_VOLCONF, msgid: random.pick(this.#conns), body: this.#volconf() };
      case 14:
      case 15:
      case 16:
      case 17:
        // A transaction on a relay, or (linkid) to the relay's span: it must be routed.
        if (relay === 0n) return ping;
        return this.#open(isCircuit ? { flags: REVCIRC, circuit: relay, target: 0n } : this.#between(relay));
      case 18:
        // A one-way message to the same.
        if (isCircuit) return { cmd: LNK_PING | (relay === 0n ? 0 : REVCIRC), circuit: relay };
        return { cmd: LNK_PING, ...this.#between(relay) };
      default:
        // A transaction on one of its own.
        return this.#open(isCircuit ? { flags: 0, circuit: own, target: 0n } : this.#between(own));
    }
  }

  /** The linkid address from an own span to a relay's span. */
  #between(target: bigint): Address {
    return { flags: 0, circuit: this.#spans.length === 0 ? 0n : this.#random.pick(this.#spans), target };
  }

  #open(address: Address): Outgoing {
    const msgid = this.#newId();
    const { flags, ...where } = address;
    this.#ownAddress.set(msgid, address);
    const last = this.#random.oneIn(4) ? DELETE : 0;
    return { cmd: CREATE | BLK_OPEN | flags | last, msgid, ...where, body: Buffer.alloc(64) };
  }

  /** A message in one of its own transactions. */
  #inside(msgid: bigint, cmd: number, body: Outgoing['body'] = undefined): Outgoing {
    const { flags, ...address } = this.#ownAddress.get(msgid) ?? ON_THE_LINK;
    return { cmd: cmd | flags, msgid, ...address, ...(body === undefined ? {} : { body }) };
  }

  /** The flags of an answer that the router's transaction allows: it stays open, or ends. */
  #answer(id: bigint): number {
    const first = this.#answered.has(id) ? 0 : CREATE;
    this.#answered.add(id);
    if (!this.#random.oneIn(3)) return first;
    this.routers.splice(this.routers.indexOf(id), 1);
    return first | DELETE;
  }

  #volconf(): Buffer {
    const random = this.#random;
    const body = Buffer.alloc(448);
    body.writeUInt8(random.below(3), 0);
    if (!random.oneIn(4)) body.write('span:127.0.0.1:1', 64, 'latin1');
    body.writeInt32LE(random.oneIn(4) ? random.u32() | 0 : random.below(256), 128);
    return body;
  }

  #newId(): bigint {
    const id = this.#random.oneIn(200) && this.#own.length > 0 ? this.#own[0]! : this.#nextId;
    this.#nextId += 0x10n;
    this.#own.push(id);
    return id;
  }

  #forget(id: bigint): bigint {
    for (const list of [this.#own, this.#conns, this.#spans]) {
      const at = list.indexOf(id);
      if (at >= 0) list.splice(at, 1);
    }
    return id;
  }
}

function idOf(lo: number, hi: number): bigint {
  return (BigInt(hi) << 32n) | BigInt(lo);
}

/** Replaces the addresses after `span` in texts by one of the loopback, so that no other host is dialled. */
function disarm(buf: Uint8Array, end: number): void {
  const bytes = Buffer.from(buf.buffer, 0, end);
  for (let at = bytes.indexOf('span'); at >= 0; at = bytes.indexOf('span', at + 4)) {
    const after = bytes[at + 4];
    if (after !== undefined && (after === 0x3a || after <= 0x20) && after !== 0)
      bytes.write('127.0.0.1:1\0', at + 5, 'latin1');
  }
}
