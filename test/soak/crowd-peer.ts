import { Random } from '../fuzz/random.ts';
import { drawConn, drawSpan } from '../peer/drawn-peers.ts';
import { LivePeer } from '../peer/live-peer.ts';
import type { ConnFields, SpanFields } from '../peer/payloads.ts';
import { Asker, Responder } from '../peer/routed-traffic.ts';
import { CREATE, DELETE, type Dialect, describeMessage, type Outgoing, REPLY } from '../peer/wire.ts';
import { SPANS } from './plan.ts';

/** Number of nodes that all peers' spans offer: most nodes have links of several peers. */
const NODES = 30;
/**
 * A peer without a connection waits this long, and up to as long again at random, before it tries another gateway, ms.
 */
const RETRY_MS = 100;
/** A peer whose LNK_CONN is not answered for this long tries another gateway, ms. */
const ANSWER_MS = 3_000;
/** Most open transactions of a peer, and most messages in one. */
const MOST_OPEN = 4;
const MOST_MESSAGES = 4;

/** The listener of a gateway for peers of one dialect. */
export interface Door {
  readonly host: string;
  readonly port: number;
}

/** The properties of a peer, drawn from the seed; they stay the same all its life. */
interface Part {
  readonly dialect: Dialect;
  readonly conns: readonly Partial<ConnFields>[];
  readonly spans: readonly Partial<SpanFields>[];
  /** Whether the peer opens transactions on the relays that it holds. */
  readonly asks: boolean;
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
  readonly #part: Part;
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

  constructor(n: number, { seed, doors }: { seed: number; doors: (dialect: Dialect) => readonly Door[] }) {
    this.name = `peer-${n}`;
    this.#random = new Random(seed, 0x10000 + n);
    this.#part = drawPart(n, this.#random);
    this.#address = `127.0.2.${n + 1}`;
    this.#doors = doors;
    void this.#run();
  }

  /** Number of transactions that were answered, on all connections. */
  get answered(): number {
    return this.done + (this.#asker?.done ?? 0);
  }

  /** The connection, once its LNK_CONNs and spans are open; null: there is none. */
  get live(): LivePeer | null {
    return this.#live;
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
    const relays = live?.relays() ?? [];
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

  /**
   * Transactions on its connection that one side or both have not ended, except those that stay: helps to find one that
   * is left over.
   */
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

  /** Begins a transaction, if this peer asks and has a relay to ask on. */
  ask(): void {
    const asker = this.#asker;
    const live = this.#live;
    if (asker === null || live === null || asker.open.size >= MOST_OPEN) return;
    const relays = live.relays();
    if (relays.length > 0) asker.ask(this.#random.pick(relays), 1 + this.#random.below(MOST_MESSAGES));
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
    // linkid: messages name the span of their sender as source.
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
  return { dialect, conns, spans, asks: role !== 0 };
}
