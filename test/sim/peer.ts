import type { Random } from '../fuzz/random.ts';
import { drawConn, drawSpan } from '../peer/drawn-peers.ts';
import { type HeldRelay, LivePeer } from '../peer/live-peer.ts';
import { ALL_TYPES, type ConnFields, PEER, type SpanFields, testUuid } from '../peer/payloads.ts';
import { Asker, Responder } from '../peer/routed-traffic.ts';
import { ABORT, DELETE, type Dialect, describeMessage } from '../peer/wire.ts';
import type { Kernel, SimProcess } from './kernel.ts';
import { DMSG_PORTS } from './processes.ts';

/** Most spans of a peer, and number of nodes that all peers' spans offer: most nodes have links of several peers. */
export const SPANS = 4;
const NODES = 24;
/**
 * A peer without a connection waits this long, and up to as long again at random, before it tries another gateway, ms.
 */
const RETRY_MS = 100;
/** A peer whose LNK_CONN is not answered for this long tries another gateway, ms. */
const ANSWER_MS = 3000;
/** How often a peer checks that the router still answers, ms. */
const PROBE_MS = 5000;
/** Most open transactions of a peer, and most messages in one. */
const MOST_OPEN = 3;
const MOST_MESSAGES = 4;
/** First number of the witnesses' nodes; no other peer has these. */
const WITNESS_NODE = 0x1000;

/** The properties of a peer, drawn from the seed; they stay the same all its life. */
export interface Part {
  readonly dialect: Dialect;
  readonly conns: readonly Partial<ConnFields>[];
  readonly spans: readonly Partial<SpanFields>[];
  readonly asks: boolean;
  /**
   * A witness stays at one gateway and changes nothing of its own. Whatever happens to its spans and relays must have a
   * reason.
   */
  readonly witness: { readonly gateway: string } | null;
}

/** Told of events that a witness did not cause. */
export interface PeerWatch {
  /** The router has closed a witness's relay of another witness's span. */
  relayClosed(peer: SimPeer, relay: HeldRelay): void;
  /**
   * A witness's transaction ended because its route was lost; `relay`: on which it was opened, if that is still known.
   */
  transactionLost(peer: SimPeer, relay: HeldRelay): void;
}

/**
 * A peer that connects to some gateway whenever it has no connection, offers spans, answers, asks, refuses relays, and
 * checks every received byte.
 */
export class SimPeer {
  readonly name: string;
  readonly part: Part;
  readonly process: SimProcess;
  done = 0;
  lost = 0;
  connections = 0;
  /** The times at which its connections ended, ms of the simulation. */
  readonly endedAt: number[] = [];
  readonly faults: string[] = [];
  /** The spans of the relays that it has refused on the present connection. */
  refused: SpanFields[] = [];
  readonly #kernel: Kernel;
  readonly #gateways: readonly string[];
  readonly #watch: PeerWatch;
  #live: LivePeer | null = null;
  #gateway = '';
  #asker: Asker | null = null;
  #responder: Responder | null = null;
  readonly #open = new Map<number, bigint>();
  readonly #withdrawn = new Set<number>();
  /** Number of lost transactions that were seen before, to find out which are new.  */
  #lostSeen = 0;
  #isAway = true;
  #comesBack: (() => void) | null = null;

  /** `gateways`: their hosts. */
  constructor(
    { name, host, part, gateways }: { name: string; host: string; part: Part; gateways: readonly string[] },
    { kernel, watch }: { kernel: Kernel; watch: PeerWatch },
  ) {
    this.name = name;
    this.part = part;
    this.process = kernel.process(name, host);
    this.#kernel = kernel;
    this.#gateways = gateways;
    this.#watch = watch;
    kernel.at(this.process, kernel.now, () => void this.#run());
  }

  get live(): LivePeer | null {
    return this.#live;
  }

  /** Host of the gateway that the peer is connected to. */
  get gateway(): string {
    return this.#gateway;
  }

  get answered(): number {
    return this.done + (this.#asker?.done ?? 0);
  }

  get hanging(): number {
    return (this.#asker?.open.size ?? 0) + (this.#responder?.hanging ?? 0) + (this.#live?.closing ?? 0);
  }

  come(): void {
    this.#do(() => {
      this.#isAway = false;
      this.#comesBack?.();
    });
  }

  go(how: 'leave' | 'reset'): void {
    this.#do(() => {
      this.#isAway = true;
      if (how === 'leave') this.#live?.raw.end();
      else this.#live?.raw.reset();
    });
  }

  /** Takes back one of the peer's spans. Not the first: in linkid it is the source of the peer's messages. */
  withdraw(span: number): void {
    this.#do(() => {
      if (span === 0) return;
      this.#withdrawn.add(span);
      const msgid = this.#open.get(span);
      if (msgid === undefined) return;
      this.#open.delete(span);
      this.#live?.close(msgid).catch(() => {});
    });
  }

  offer(span: number): void {
    this.#do(() => {
      this.#withdrawn.delete(span);
      this.#offer(span);
    });
  }

  /** Refuses the nth of the relays that the peer holds. */
  refuse(nth: number): void {
    this.#do(() => {
      const live = this.#live;
      const relays = live?.relays() ?? [];
      if (live === null || relays.length === 0 || this.#asker !== null) return;
      const relay = relays[nth % relays.length]!;
      this.refused.push(relay.span);
      live.refuse(relay).catch(() => {});
    });
  }

  /** Stops or resumes reading the socket. */
  read(reads: boolean): void {
    this.#do(() => {
      if (reads) this.#live?.raw.socket.resume();
      else this.#live?.raw.socket.pause();
    });
  }

  /** Begins a transaction, if this peer asks and has a relay to ask on. */
  ask(random: Random): void {
    const choice = random.u32();
    const messages = 1 + random.below(MOST_MESSAGES);
    this.#do(() => {
      const asker = this.#asker;
      const live = this.#live;
      if (asker === null || live === null || asker.open.size >= MOST_OPEN) return;
      const relays = live.relays();
      if (relays.length > 0) asker.ask(relays[choice % relays.length]!, messages);
    });
  }

  /** Faults, and messages that should not be there when everything is quiet. */
  leftovers(): string[] {
    const left = this.#live?.raw.inbox.map((message) => `${this.name}: ${describeMessage(message)} came`) ?? [];
    return [...this.faults, ...(this.#asker?.faults ?? []), ...left];
  }

  /** Runs `fn` as an event of the peer. */
  #do(fn: () => void): void {
    this.#kernel.next(this.process, fn);
  }

  async #run(): Promise<void> {
    for (;;) {
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
        this.endedAt.push(this.#kernel.now);
        this.#ended(peer);
      }
      const pause = RETRY_MS + this.process.random.below(RETRY_MS);
      await new Promise<void>((resolve) => this.process.clock.after(pause, resolve));
    }
  }

  async #connect(): Promise<LivePeer | null> {
    const { dialect, conns, spans, asks, witness } = this.part;
    const host = witness?.gateway ?? this.process.random.pick(this.#gateways);
    const where = { host, port: DMSG_PORTS[dialect], dialect, name: this.name, localAddress: this.process.host };
    let isLate = false;
    let raw: LivePeer | null = null;
    const late = this.process.clock.after(ANSWER_MS, () => {
      isLate = true;
      raw?.raw.reset();
    });
    const peer = await LivePeer.connect(where).catch(() => null);
    if (peer === null) {
      late.cancel();
      return null;
    }
    raw = peer;
    if (isLate) peer.raw.reset();
    try {
      for (const conn of conns) await peer.openConn(conn);
    } catch {
      peer.raw.destroy();
      if (peer.raw.fault !== null) this.faults.push(String(peer.raw.fault));
      return null;
    } finally {
      late.cancel();
    }
    if (this.#isAway || peer.raw.isEnded) {
      peer.raw.destroy();
      return null;
    }
    this.#live = peer;
    this.#gateway = host;
    this.#lostSeen = 0;
    if (spans.length > 0) this.#responder = new Responder(peer);
    for (const n of spans.keys()) this.#offer(n);
    // linkid: messages name the span of their sender as source.
    const source = this.#open.get(0);
    if (asks && (dialect === 'circuit' || source !== undefined)) this.#asker = new Asker(peer, source);
    this.#watchRelays(peer);
    this.#probe(peer);
    return peer;
  }

  /**
   * Checks from time to time that the router answers: one whose host has no power says nothing, and a peer that never
   * sends would never notice.
   */
  #probe(peer: LivePeer): void {
    this.process.clock.after(PROBE_MS, () => {
      if (this.#live !== peer) return;
      peer.barrier().catch(() => {});
      this.#probe(peer);
    });
  }

  /** For a witness: reports which relays the router closes, and which transactions are lost. */
  #watchRelays(peer: LivePeer): void {
    if (this.part.witness === null) return;
    const inner = peer.raw.intercept;
    peer.raw.intercept = (message) => {
      if ((message.cmd & (DELETE | ABORT)) === 0) return inner(message);
      const held = new Map(peer.held);
      const asked = new Map([...(this.#asker?.open ?? [])].map(([msgid, { relay }]) => [msgid, relay]));
      const taken = inner(message);
      for (const [msgid, relay] of held) if (!peer.held.has(msgid)) this.#watch.relayClosed(this, relay);
      this.#lookForLost(asked, held);
      return taken;
    };
  }

  #lookForLost(asked: ReadonlyMap<bigint, bigint>, held: ReadonlyMap<bigint, HeldRelay>): void {
    const lost = this.#asker?.lost ?? 0;
    if (lost === this.#lostSeen) return;
    this.#lostSeen = lost;
    for (const [msgid, relay] of asked) {
      const at = held.get(relay);
      if (this.#asker?.open.has(msgid) === false && at !== undefined) this.#watch.transactionLost(this, at);
    }
  }

  #offer(n: number): void {
    const span = this.part.spans[n];
    if (this.#live === null || span === undefined || this.#open.has(n) || this.#withdrawn.has(n)) return;
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
export function drawPart(n: number, random: Random): Part {
  const dialect: Dialect = n % 2 === 0 ? 'linkid' : 'circuit';
  const role = Math.floor(n / 2) % 3;
  const conns = [drawConn(dialect, `peer-${n}`, random)];
  if (dialect === 'linkid' && random.oneIn(4)) conns.push(drawConn(dialect, `peer-${n}-b`, random));
  const count = role === 1 ? 0 : 1 + random.below(SPANS);
  const spans = Array.from({ length: count }, () => drawSpan(dialect, NODES, random));
  return { dialect, conns, spans, asks: role !== 0, witness: null };
}

/** A witness asks for everything, and offers one span of a node that no other peer has. */
export function witnessPart(n: number, dialect: Dialect, gateway: string): Part {
  const node = WITNESS_NODE + n;
  return {
    dialect,
    conns: [{ label: `witness-${n}`, peerType: PEER.ROUTER, cluster: testUuid(node), peerMask: ALL_TYPES }],
    spans: [
      {
        node: testUuid(node),
        cluster: testUuid(node),
        peerType: PEER.BLOCK,
        clusterLabel: dialect === 'circuit' ? `witness${n}` : '',
        nodeLabel: `witness${n}`,
        dist: 0,
      },
    ],
    asks: true,
    witness: { gateway },
  };
}

/** The number of the witness that offers this span; null: another peer does. */
export function witnessOf(span: SpanFields): number | null {
  const found = /^witness(\d+)$/.exec(span.nodeLabel);
  return found === null ? null : Number(found[1]);
}
