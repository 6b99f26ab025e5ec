import { Random } from '../fuzz/random.ts';
import { LivePeer } from '../peer/live-peer.ts';
import { ALL_TYPES, type ConnFields, PEER, type SpanFields, testUuid } from '../peer/payloads.ts';
import { Asker, Responder } from '../peer/routed-traffic.ts';
import { CREATE, DELETE, type Dialect, describeMessage, type Outgoing, REPLY } from '../peer/wire.ts';
import { SPANS } from './plan.ts';

/** Nodes that the spans of all peers together name: most have links of several peers. */
const NODES = 30;
const CLUSTERS = 4;
/** Pause before a peer that is not connected tries another gateway, ms, and as much again at random. */
const RETRY_MS = 100;
/** How long a peer waits for a gateway's answer to its LNK_CONN before it tries another one, ms. */
const ANSWER_MS = 3_000;
/** Transactions that a peer has open at most, and messages in one. */
const MOST_OPEN = 4;
const MOST_MESSAGES = 4;

/** Where a gateway takes peers. */
export interface Door {
  readonly host: string;
  readonly port: number;
}

/** What a peer is all its life, drawn from the seed. */
interface Part {
  readonly dialect: Dialect;
  readonly conns: readonly Partial<ConnFields>[];
  readonly spans: readonly Partial<SpanFields>[];
  /** It opens transactions on what it holds. */
  readonly asks: boolean;
}

/**
 * A peer of a soak: connects to one gateway or another whenever it has no connection, offers what it has, answers what is asked of
 * its spans, and asks. Its address is its own.
 */
export class CrowdPeer {
  readonly name: string;
  /** Transactions done and lost, on all connections so far. */
  done = 0;
  lost = 0;
  /** Connections so far. */
  connections = 0;
  /** What it has refused on the present connection. */
  refused: SpanFields[] = [];
  readonly faults: string[] = [];
  readonly #part: Part;
  readonly #random: Random;
  readonly #address: string;
  readonly #doors: (dialect: Dialect) => readonly Door[];
  #live: LivePeer | null = null;
  #gateway = '';
  #asker: Asker | null = null;
  #responder: Responder | null = null;
  /** Where its spans are open, by their index; absent: withdrawn, or not connected. */
  readonly #open = new Map<number, bigint>();
  readonly #withdrawn = new Set<number>();
  /** Everything that was sent on the present connection. */
  #sent: Outgoing[] = [];
  #isAway = true;
  #isStopped = false;
  #comesBack: (() => void) | null = null;

  constructor(n: number, { seed, doors }: { seed: number; doors: (dialect: Dialect) => readonly Door[] }) {
    this.name = `peer-${n}`;
    this.#random = new Random(seed, 0x10000 + n);
    this.#part = drawPart(n, this.#random);
    this.#address = `127.0.2.${n + 1}`;
    this.#doors = doors;
    void this.#run();
  }

  /** Transactions that were answered, those of the present connection included. */
  get answered(): number {
    return this.done + (this.#asker?.done ?? 0);
  }

  /** Connected, LNK_CONNs and spans open; null: not. */
  get live(): LivePeer | null {
    return this.#live;
  }

  /** The host of the gateway that it is connected to. */
  get gateway(): string {
    return this.#gateway;
  }

  /** Transactions that it has asked for, or is asked in, or has closed, and which are not over. */
  get hanging(): number {
    return (this.#asker?.open.size ?? 0) + (this.#responder?.hanging ?? 0) + (this.#live?.closing ?? 0);
  }

  come(): void {
    this.#isAway = false;
    this.#comesBack?.();
  }

  go(how: 'leave' | 'reset'): void {
    this.#isAway = true;
    if (how === 'leave') this.#live?.raw.end();
    else this.#live?.raw.reset();
  }

  /** Not its first one: in linkid that is where its messages come from. */
  withdraw(span: number): void {
    if (span === 0) return;
    this.#withdrawn.add(span);
    const msgid = this.#open.get(span);
    if (msgid === undefined) return;
    this.#open.delete(span);
    // Whether the router has answered its end is seen by what it counts as open.
    this.#live?.close(msgid).catch(() => {});
  }

  offer(span: number): void {
    this.#withdrawn.delete(span);
    this.#offer(span);
  }

  /** One of the relays that it holds; the asking peer keeps them, because its transactions run on them. */
  refuse(nth: number): void {
    const live = this.#live;
    const relays = live?.relays() ?? [];
    const relay = relays[nth % relays.length];
    if (live === null || relay === undefined || this.#asker !== null) return;
    this.refused.push(relay.span);
    // Whether the router has answered is seen by what it counts as open.
    live.refuse(relay).catch(() => {});
  }

  /** Takes nothing off its socket any more, or again. */
  read(reads: boolean): void {
    if (reads) this.#live?.raw.socket.resume();
    else this.#live?.raw.socket.pause();
  }

  /** Transactions on its connection that one side has not ended, or neither, besides the ones that stay: to look for one too many. */
  unfinished(): string[] {
    const live = this.#live;
    if (live === null) return [];
    const open = new Map<string, { peer: number; router: number; opened: number; text: string }>();
    const note = (by: 'peer' | 'router', { cmd, msgid = 0n }: { cmd: number; msgid?: bigint }) => {
      if (msgid === 0n) return;
      const opener = ((cmd & REPLY) === 0) === (by === 'peer') ? 'peer' : 'router';
      const name = `${opener} ${msgid.toString(16)}`;
      const one = open.get(name) ?? { peer: 0, router: 0, opened: 0, text: '' };
      if (opener === by && (cmd & CREATE) !== 0) one.opened++;
      if ((cmd & DELETE) !== 0) one[by]++;
      one.text += ` ${by}:${(cmd >>> 0).toString(16)}`;
      open.set(name, one);
    };
    for (const message of this.#sent) note('peer', message);
    for (const message of live.raw.log) note('router', message);
    for (const [name, { peer, router, opened }] of open) if (Math.min(peer, router) >= opened) open.delete(name);
    for (const msgid of [...live.conns.keys(), ...live.spans.keys()]) open.delete(`peer ${msgid.toString(16)}`);
    for (const msgid of [...live.held.keys(), live.routerConn ?? 0n]) open.delete(`router ${msgid.toString(16)}`);
    return [...open].map(([name, { text }]) => `${this.name}: opened by ${name}:${text}`);
  }

  /** Begins a transaction, if it asks and has something to ask. */
  ask(): void {
    const asker = this.#asker;
    const live = this.#live;
    if (asker === null || live === null || asker.open.size >= MOST_OPEN) return;
    const relays = live.relays();
    if (relays.length > 0) asker.ask(this.#random.pick(relays), 1 + this.#random.below(MOST_MESSAGES));
  }

  /** What does not belong there although all is quiet. */
  leftovers(): string[] {
    const left = this.#live?.raw.inbox.map((message) => `${this.name}: ${describeMessage(message)} came`) ?? [];
    return [...this.faults, ...(this.#asker?.faults ?? []), ...left];
  }

  stop(): void {
    this.#isStopped = true;
    this.go('reset');
    this.#comesBack?.();
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      if (this.#isAway) {
        await new Promise<void>((resolve) => {
          this.#comesBack = resolve;
        });
        continue;
      }
      const peer = await this.#connect();
      if (peer !== null) {
        this.connections++;
        await peer.raw.ended;
        this.#ended(peer);
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS + this.#random.below(RETRY_MS)));
    }
  }

  async #connect(): Promise<LivePeer | null> {
    const { dialect, conns, spans, asks } = this.#part;
    const door = this.#random.pick(this.#doors(dialect));
    const where = { ...door, dialect, name: this.name, localAddress: this.#address };
    const peer = await LivePeer.connect(where).catch(() => null);
    if (peer === null) return null;
    this.#listen(peer);
    const late = setTimeout(() => peer.raw.reset(), ANSWER_MS);
    try {
      for (const conn of conns) await peer.openConn(conn);
    } catch {
      peer.raw.destroy();
      if (peer.raw.fault !== null) this.faults.push(String(peer.raw.fault));
      return null;
    } finally {
      clearTimeout(late);
    }
    if (this.#isAway || peer.raw.isEnded) {
      peer.raw.destroy();
      return null;
    }
    this.#live = peer;
    this.#gateway = door.host;
    if (spans.length > 0) this.#responder = new Responder(peer);
    for (const n of spans.keys()) this.#offer(n);
    // linkid: messages name the span that they come from.
    const source = this.#open.get(0);
    if (asks && (dialect === 'circuit' || source !== undefined)) this.#asker = new Asker(peer, source);
    return peer;
  }

  #listen({ raw }: LivePeer): void {
    this.#sent = [];
    const send = raw.send.bind(raw);
    raw.send = (message) => {
      this.#sent.push(message);
      send(message);
    };
  }

  #offer(n: number): void {
    const span = this.#part.spans[n];
    if (this.#live === null || span === undefined || this.#open.has(n)) return;
    if (this.#withdrawn.has(n)) return;
    this.#open.set(n, this.#live.openSpan(span));
  }

  #ended(peer: LivePeer): void {
    if (peer.raw.fault !== null) this.faults.push(String(peer.raw.fault));
    this.faults.push(...(this.#asker?.faults ?? []));
    this.done += this.#asker?.done ?? 0;
    this.lost += this.#asker?.lost ?? 0;
    this.#live = null;
    this.#asker = null;
    this.#responder = null;
    this.refused = [];
    this.#open.clear();
    peer.raw.destroy();
  }
}

/** A third gives spans, a third takes them, a third does both; all have LNK_CONNs, in linkid some have two. */
function drawPart(n: number, random: Random): Part {
  const dialect: Dialect = n % 2 === 0 ? 'linkid' : 'circuit';
  const role = Math.floor(n / 2) % 3;
  const conns = [drawConn(dialect, `peer-${n}`, random)];
  if (dialect === 'linkid' && random.oneIn(4)) conns.push(drawConn(dialect, `peer-${n}-b`, random));
  const count = role === 1 ? 0 : 1 + random.below(SPANS);
  const spans = Array.from({ length: count }, () => drawSpan(dialect, random));
  return { dialect, conns, spans, asks: role !== 0 };
}

function drawConn(dialect: Dialect, label: string, random: Random): Partial<ConnFields> {
  const peerTypes = dialect === 'linkid' ? [PEER.ROUTER, PEER.HAMMER2] : [PEER.ROUTER, PEER.ROUTER, PEER.CLIENT];
  return {
    label,
    peerType: random.pick(peerTypes),
    cluster: testUuid(0x100 + random.below(CLUSTERS)),
    peerMask: random.oneIn(6) ? ALL_TYPES ^ (1n << BigInt(PEER.BLOCK)) : ALL_TYPES,
  };
}

/** The node says all that identifies it; how far it is, each link says itself. */
function drawSpan(dialect: Dialect, random: Random): Partial<SpanFields> {
  const node = random.below(NODES);
  const cluster = node % CLUSTERS;
  return {
    node: testUuid(0x200 + node),
    cluster: testUuid(0x100 + cluster),
    peerType: cluster % 2 === 0 ? PEER.BLOCK : PEER.HAMMER2,
    clusterLabel: dialect === 'circuit' ? `cluster${cluster}` : '',
    nodeLabel: `node${node}`,
    dist: random.oneIn(8) ? 14 + random.below(4) : random.below(3),
    rnss: dialect === 'circuit' ? random.below(3) : 0,
  };
}
