/**
 * Load generator, a process of its own that gets orders over IPC (ScaleOrder). It answers (ScaleDone) when the order is
 * done and the gateways have handled everything that was sent to them. Its peers are spread over gateways and each owns
 * its share of the nodes.
 */
import { performance } from 'node:perf_hooks';
import { answerBlock, askForBlock, asksForBlock, isAnswer } from './generator-blocks.ts';
import { type BenchDialect, CREATE, DELETE, ERROR, GeneratorPeer, REPLY, SPAN, spanBody } from './generator-peer.ts';

/** Where the partners of transactions are: on the same gateway, or on another one. */
export type Where = 'local' | 'remote';

/** The orders. */
export type ScaleOrder =
  /**
   * Connects peers, to these ports in turn, until there are this many, and waits until they hold relays of all nodes.
   * Only `takers` of them, the first ones, ask for spans.
   */
  | { what: 'connect'; dialect: BenchDialect; ports: readonly number[]; peers: number; takers: number }
  /**
   * Offers nodes, owned by the peers in turn, until there are this many, and waits until every other peer holds relays
   * of them.
   */
  | { what: 'offer'; nodes: number }
  /** Closes the spans of all nodes. */
  | { what: 'withdraw' }
  /** Closes and reopens the span of one node after the other, each time until all peers know. */
  | { what: 'flap'; times: number }
  /** Every peer runs `each` transactions with another peer, `inFlight` at a time. */
  | { what: 'route'; where: Where; inFlight: number; each: number };

/** Milliseconds until all peers had everything; in `flaps`, for each flap. */
export interface ScaleDone {
  readonly ms: number;
  readonly flaps: readonly number[];
}

const PING = 0x101;
const FIRST_SPAN = 0x10000;
/** Greater than all msgids of spans. */
const FIRST_REQUEST = 0x40000000;

/** A peer: the relays that it holds, and the number of transactions that it still has to run. */
class Peer {
  connection!: GeneratorPeer;
  /** By node: msgid of its relay here, in two words. */
  #relays = new Uint32Array(1024);
  #partner = 0;
  #ownSpan = 0;
  #todo = 0;
  #nextRequest = FIRST_REQUEST;

  relayed(node: number, lo: number, hi: number): void {
    if (2 * node >= this.#relays.length) {
      const longer = new Uint32Array(4 * node);
      longer.set(this.#relays);
      this.#relays = longer;
    }
    this.#relays[2 * node] = lo;
    this.#relays[2 * node + 1] = hi;
  }

  run(to: { partner: number; ownSpan: number; each: number; inFlight: number }): void {
    this.#partner = to.partner;
    this.#ownSpan = to.ownSpan;
    this.#todo = to.each;
    for (let n = 0; n < to.inFlight; n++) this.askAgain();
    this.connection.flush();
  }

  /** Begins another transaction, unless all have been run. */
  askAgain(): void {
    if (this.#todo === 0) return;
    this.#todo--;
    const relay = { lo: this.#relays[2 * this.#partner]!, hi: this.#relays[2 * this.#partner + 1]! };
    askForBlock(this.connection, this.#nextRequest++, relay, this.#ownSpan);
  }
}

const peers: Peer[] = [];
/** By node: msgid of its span, and number of its owner. */
const spans: number[] = [];
const owners: number[] = [];
let dialect: BenchDialect = 'circuit';
let gateways = 1;
let nextSpan = FIRST_SPAN;
/** How many of the peers ask for spans. */
let takers = 0;
/** Counts of received messages, of all peers together. */
const seen = { opened: 0, closed: 0, answers: 0, settled: 0 };
let awaited: { of: keyof typeof seen; reach: number; done: () => void } | null = null;

function take(peer: Peer, buf: Buffer, at: number, cmd: number): void {
  const base = cmd & 0xffffff;
  if (base === SPAN && (cmd & (CREATE | REPLY)) >> 0 === CREATE >> 0) {
    peer.relayed(buf.readUInt32LE(at + 80), buf.readUInt32LE(at + 8), buf.readUInt32LE(at + 12));
    seen.opened++;
  } else if (base === ERROR && (cmd & (DELETE | REPLY)) === DELETE) {
    peer.connection.closed(buf, at);
    seen.closed++;
  } else if (asksForBlock(cmd)) {
    answerBlock(peer.connection, buf, at);
  } else if (isAnswer(buf, at, cmd, FIRST_REQUEST)) {
    peer.askAgain();
    seen.answers++;
  } else if ((cmd & (CREATE | DELETE | REPLY)) === REPLY && (base === PING || base === ERROR)) {
    // linkid does not know PING, and answers with an error.
    seen.settled++;
  }
  if (awaited !== null && seen[awaited.of] >= awaited.reach) {
    const { done } = awaited;
    awaited = null;
    done();
  }
}

/** Waits until the count has risen by `more` since it was `before`. */
function until(of: keyof typeof seen, before: number, more: number): Promise<void> {
  if (seen[of] >= before + more) return Promise.resolve();
  return new Promise((done) => {
    awaited = { of, reach: before + more, done };
  });
}

/** Waits until the gateways have handled everything that was sent before, by a PING on each connection. */
async function settle(): Promise<void> {
  const before = seen.settled;
  for (const { connection } of peers) {
    connection.send(PING, 0, 0, 0, 0, 0, null, 0);
    connection.flush();
  }
  await until('settled', before, peers.length);
}

function open(node: number): void {
  spans[node] = nextSpan++;
  peers[owners[node]!]!.connection.send(SPAN | CREATE, spans[node], 0, 0, 0, 0, spanBody(dialect, node), 0);
}

function close(node: number): void {
  peers[owners[node]!]!.connection.send(ERROR | DELETE, spans[node]!, 0, 0, 0, 0, null, 0);
}

function flush(): void {
  for (const { connection } of peers) connection.flush();
}

/** Number of peers that hold relays of a node's span. */
function holders(node: number): number {
  return owners[node]! < takers ? takers - 1 : takers;
}

function heldOf(from: number): number {
  let relays = 0;
  for (let node = from; node < spans.length; node++) relays += holders(node);
  return relays;
}

async function connect(ports: readonly number[], reach: number, most: number): Promise<void> {
  gateways = ports.length;
  const before = seen.opened;
  const more = Math.min(most, reach) - takers;
  takers += more;
  while (peers.length < reach) {
    const peer = new Peer();
    const number = peers.push(peer) - 1;
    const port = ports[number % ports.length]!;
    const takes = number < takers ? 'all' : 'nothing';
    const receive = (_peer: GeneratorPeer, buf: Buffer, at: number, cmd: number) => take(peer, buf, at, cmd);
    peer.connection = await GeneratorPeer.open(port, dialect, `peer ${number}`, receive, { takes });
  }
  await until('opened', before, more * spans.length);
}

async function offer(reach: number): Promise<void> {
  const before = seen.opened;
  const from = spans.length;
  for (let node = from; node < reach; node++) {
    owners[node] = node % peers.length;
    open(node);
  }
  flush();
  await until('opened', before, heldOf(from));
}

async function withdraw(): Promise<void> {
  const before = seen.closed;
  for (let node = 0; node < spans.length; node++) close(node);
  flush();
  await until('closed', before, heldOf(0));
  spans.length = 0;
}

async function flap(node: number): Promise<number> {
  const began = performance.now();
  const { opened, closed } = seen;
  close(node);
  flush();
  await until('closed', closed, holders(node));
  open(node);
  flush();
  await until('opened', opened, holders(node));
  return performance.now() - began;
}

/**
 * The partner of a peer. Peer n is on gateway n % gateways and owns node n. Remote partners are spread over all other
 * gateways.
 */
function partnerOf(number: number, where: Where): number {
  const turn = Math.floor(number / gateways) % (gateways - 1);
  return (number + (where === 'local' ? gateways : 1 + turn)) % peers.length;
}

async function route(where: Where, inFlight: number, each: number): Promise<void> {
  const before = seen.answers;
  for (const [n, peer] of peers.entries()) {
    peer.run({ partner: partnerOf(n, where), ownSpan: spans[n]!, each, inFlight });
  }
  await until('answers', before, peers.length * each);
}

async function obey(order: ScaleOrder): Promise<ScaleDone> {
  const began = performance.now();
  const flaps: number[] = [];
  switch (order.what) {
    case 'connect':
      dialect = order.dialect;
      await connect(order.ports, order.peers, order.takers);
      break;
    case 'offer':
      await offer(order.nodes);
      break;
    case 'withdraw':
      await withdraw();
      break;
    case 'flap':
      // In steps of one, so that the owners, and with them the gateways, take turns.
      for (let n = 0; n < order.times; n++) flaps.push(await flap(n % spans.length));
      break;
    case 'route':
      await route(order.where, order.inFlight, order.each);
      break;
  }
  const ms = performance.now() - began;
  await settle();
  return { ms, flaps };
}

process.on('message', (order: ScaleOrder) => void obey(order).then((done) => process.send!(done)));
process.on('disconnect', () => process.exit(0));
