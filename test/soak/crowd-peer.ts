import { Random } from '../fuzz/random.ts';
import { drawConn, drawSpan } from '../peer/drawn-peers.ts';
import { type HeldRelay, LivePeer } from '../peer/live-peer.ts';
import { type ConnFields, isGatewaySpan, type SpanFields } from '../peer/payloads.ts';
import { Asker, Responder } from '../peer/routed-traffic.ts';
import { type Dialect, describeMessage, type Outgoing } from '../peer/wire.ts';
import { SPANS } from './plan.ts';
import { standing, unfinished } from './unfinished.ts';

/** Number of nodes that all peers' spans offer: most nodes have links of several peers. */
const NODES = 30;
/**
 * A peer without a connection waits this long, and up to as long again at random, before it tries another gateway, ms.
 */
const RETRY_MS = 100;
/** A peer whose LNK_CONN is not answered for this long tries another gateway, ms. */
const ANSWER_MS = 3_000;
/** Most open transactions of a peer of the crowd, and most messages in a transaction of any peer. */
const MOST_OPEN = 4;
export const MOST_MESSAGES = 4;

/** The listener of a gateway for peers of one dialect. */
export interface Door {
  readonly host: string;
  readonly port: number;
}

/** The properties of a peer, drawn from the seed; they stay the same all its life. */
export interface Part {
  readonly dialect: Dialect;
  readonly conns: readonly Partial<ConnFields>[];
  readonly spans: readonly Partial<SpanFields>[];
  /** Most transactions that the peer has open itself, on the relays that it holds; 0: it opens none. */
  readonly mostOpen: number;
}

export interface CrowdPeerOptions {
  readonly name: string;
  /** Local address, which no other peer has. */
  readonly address: string;
  readonly part: Part;
  readonly random: Random;
  /** The listeners that it may connect to. */
  readonly doors: (dialect: Dialect) => readonly Door[];
}

/**
 * A peer of a soak. It connects to some gateway whenever it has no connection, offers its spans, answers transactions
 * on them, and opens transactions itself. It has an address of its own.
 */
export class CrowdPeer {
  readonly name: string;
  /** Transactions done and lost, on all connections so far. */
  done = 0;
  lost = 0;
  /** Number of connections so far. */
  connections = 0;
  /** The spans of the relays that it has refused on the present connection. */
  refused: SpanFields[] = [];
  readonly faults: string[] = [];
  readonly part: Part;
  readonly #random: Random;
  readonly #address: string;
  readonly #doors: (dialect: Dialect) => readonly Door[];
  #live: LivePeer | null = null;
  #gateway = '';
  #asker: Asker | null = null;
  #responder: Responder | null = null;
  /** msgids of its open spans, by index; absent: withdrawn, or not connected. */
  readonly #open = new Map<number, bigint>();
  readonly #withdrawn = new Set<number>();
  /** All messages that it has sent on the present connection. */
  #sent: Outgoing[] = [];
  #isAway = true;
  #isStopped = false;
  #comesBack: (() => void) | null = null;

  constructor({ name, address, part, random, doors }: CrowdPeerOptions) {
    this.name = name;
    this.part = part;
    this.#random = random;
    this.#address = address;
    this.#doors = doors;
    void this.#run();
  }

  /** Number `n` of a crowd. */
  static draw(n: number, { seed, doors }: { seed: number; doors: CrowdPeerOptions['doors'] }): CrowdPeer {
    const random = new Random(seed, 0x10000 + n);
    return new CrowdPeer({ name: `peer-${n}`, address: `127.0.2.${n + 1}`, part: drawPart(n, random), random, doors });
  }

  /** Number of transactions that were answered, on all connections. */
  get answered(): number {
    return this.done + (this.#asker?.done ?? 0);
  }

  /** Number of transactions that were lost with their routes, on all connections. */
  get allLost(): number {
    return this.lost + (this.#asker?.lost ?? 0);
  }

  /** The connection, once its LNK_CONNs and spans are open; null: there is none. */
  get live(): LivePeer | null {
    return this.#live;
  }

  /** The names of the gateways whose own spans it holds relays of. */
  get gatewaySpans(): string[] {
    const relays = this.#live?.relays() ?? [];
    return relays.flatMap(({ span }) => (isGatewaySpan(span) ? [span.nodeLabel] : []));
  }

  /** The host of the gateway that it is connected to. */
  get gateway(): string {
    return this.#gateway;
  }

  /** Number of unfinished transactions: opened by it, opened by others, or closed and not yet answered. */
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

  /** Takes back one of the peer's spans. Not the first: in linkid it is the source of the peer's messages. */
  withdraw(span: number): void {
    if (span === 0) return;
    this.#withdrawn.add(span);
    const msgid = this.#open.get(span);
    if (msgid === undefined) return;
    this.#open.delete(span);
    // Not awaited: whether the router has answered shows in its counts of open transactions.
    this.#live?.close(msgid).catch(() => {});
  }

  offer(span: number): void {
    this.#withdrawn.delete(span);
    this.#offer(span);
  }

  /** Refuses one of the relays that it holds. A peer that asks keeps them, because its transactions run on them. */
  refuse(nth: number): void {
    const live = this.#live;
    const relays = this.#nodes();
    const relay = relays[nth % relays.length];
    if (live === null || relay === undefined || this.#asker !== null) return;
    this.refused.push(relay.span);
    // Not awaited: whether the router has answered shows in its counts of open transactions.
    live.refuse(relay).catch(() => {});
  }

  /** Stops or resumes reading the socket. */
  read(reads: boolean): void {
    if (reads) this.#live?.raw.socket.resume();
    else this.#live?.raw.socket.pause();
  }

  /** Transactions on its connection that one side or both have not ended, except those that stay. */
  unfinished(): string[] {
    return this.#live === null ? [] : unfinished(this.#live, this.#sent).map((text) => `${this.name}: ${text}`);
  }

  /** Begins a transaction. False: this peer does not ask, has enough open, or has no relay to ask on. */
  ask(): boolean {
    const asker = this.#asker;
    if (asker === null || asker.open.size >= this.part.mostOpen) return false;
    const relays = this.#nodes();
    if (relays.length === 0) return false;
    asker.ask(this.#random.pick(relays), 1 + this.#random.below(MOST_MESSAGES));
    return true;
  }

  /** Forgets the messages of transactions that are over. For when everything is quiet. */
  forget(): void {
    const live = this.#live;
    if (live === null) return;
    const { peer, router } = standing(live);
    const isKept = ({ msgid = 0n }: { msgid?: bigint }) => peer.has(msgid) || router.has(msgid);
    this.#sent = this.#sent.filter(isKept);
    const { log } = live.raw;
    log.splice(0, log.length, ...log.filter(isKept));
  }

  /** Faults, and messages that should not be there when everything is quiet. */
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
    const { dialect, conns, spans, mostOpen } = this.part;
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
    // linkid: messages name the span of their sender as source; a leaf's have source 0.
    if (mostOpen > 0) this.#asker = new Asker(peer, this.#open.get(0) ?? 0n);
    return peer;
  }

  /** The relays that it holds of other peers' spans. */
  #nodes(): HeldRelay[] {
    return this.#live?.relays().filter(({ span }) => !isGatewaySpan(span)) ?? [];
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
    const span = this.part.spans[n];
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

/**
 * A third of the peers offers spans, a third asks for them, a third does both. All have LNK_CONNs; in linkid some have
 * two.
 */
function drawPart(n: number, random: Random): Part {
  const dialect: Dialect = n % 2 === 0 ? 'linkid' : 'circuit';
  const role = Math.floor(n / 2) % 3;
  const conns = [drawConn(dialect, `peer-${n}`, random)];
  if (dialect === 'linkid' && random.oneIn(4)) conns.push(drawConn(dialect, `peer-${n}-b`, random));
  const count = role === 1 ? 0 : 1 + random.below(SPANS);
  const spans = Array.from({ length: count }, () => drawSpan(dialect, NODES, random));
  // linkid: one without spans would be a leaf, and does not ask.
  const asks = role !== 0 && (dialect === 'circuit' || count > 0);
  return { dialect, conns, spans, mostOpen: asks ? MOST_OPEN : 0 };
}
