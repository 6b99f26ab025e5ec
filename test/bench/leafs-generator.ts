/**
 * Load generator, a process of its own that gets orders over IPC (LeafsOrder) and answers them (LeafsDone). It has
 * nodes, and leafs that request blocks from them; a leaf is a peer without a span. Latencies in microseconds.
 */
import { performance } from 'node:perf_hooks';
import { answerBlock, askForBlock, asksForBlock, isEnd } from './generator-blocks.ts';
import { type BenchDialect, CLUSTER, CREATE, GeneratorPeer, REPLY, SPAN, spanBody } from './generator-peer.ts';

/** The ports of a gateway for peers, by dialect. */
export type GatewayPorts = Record<BenchDialect, number>;

/** The orders. */
export type LeafsOrder =
  /**
   * Connects this many nodes of each dialect, to these gateways in turn, and a peer with this many spans of another
   * cluster.
   */
  | { what: 'nodes'; gateways: readonly GatewayPorts[]; circuit: number; linkid: number; others: number }
  /** Connects leafs to the first gateway, and waits until each has a relay of every node of its dialect. */
  | { what: 'connect'; circuit: number; linkid: number }
  /**
   * This many leafs of a dialect (or of both) run transactions with the nodes, each this many at a time, for this long.
   */
  | {
      what: 'call';
      leafs: number;
      dialect: BenchDialect | 'both';
      inFlight: number;
      nodes: 'here' | 'all';
      seconds: number;
    }
  /** Two busy peers: one leaf runs transactions with the first node, this many at a time. */
  | { what: 'pair'; dialect: BenchDialect; inFlight: number; seconds: number }
  /**
   * This many circuit leafs read the same block of the first node, which takes `delayMs` for each answer of `bytes`
   * bytes.
   */
  | { what: 'hot'; leafs: number; delayMs: number; bytes: number; seconds: number };

/** The state after an order, and the results of transactions if it has run any. */
export interface LeafsDone {
  readonly roundTrips: number;
  readonly seconds: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** Number of requests that nodes have received. */
  readonly asked: number;
  /** Round trips that ended with an error. */
  readonly failed: number;
  /** Number of LNK_SPANs that leafs have received, in all. */
  readonly relays: number;
}

const FIRST_REQUEST = 0x40000000;
const FIRST_SPAN = 0x10000;
/** Most requests that a leaf has open. Answers may overtake each other, but not by this many. */
const MOST_IN_FLIGHT = 64;
const PEER_CLIENT = 63;
const PEER_HAMMER2 = 3;
/** Number of leafs that share an address. Real leafs have addresses of their own, and each its own share. */
const LEAFS_PER_ADDRESS = 200;
/** Number of connections that are opened side by side. */
const AT_A_TIME = 100;

const cluster = Buffer.alloc(16);
cluster[0] = CLUSTER;

interface Node {
  readonly dialect: BenchDialect;
  readonly number: number;
  readonly isHere: boolean;
}

/** A peer without a span, with the relays that it holds and the times of its open requests. */
class Leaf {
  connection!: GeneratorPeer;
  /** By node number: low and high half of its relay's msgid. */
  readonly relays = new Map<number, { lo: number; hi: number }>();
  #next = FIRST_REQUEST;
  /** Time of a request, by the request's number modulo MOST_IN_FLIGHT. */
  readonly #sentAt = new Float64Array(MOST_IN_FLIGHT);

  ask(node: number): void {
    this.#sentAt[this.#next % MOST_IN_FLIGHT] = performance.now();
    askForBlock(this.connection, this.#next++, this.relays.get(node)!, 0);
  }

  waitedMs(request: number): number {
    return performance.now() - this.#sentAt[request % MOST_IN_FLIGHT]!;
  }
}

const nodes: Node[] = [];
const nodePeers: GeneratorPeer[] = [];
const leafs: Record<BenchDialect, Leaf[]> = { circuit: [], linkid: [] };
let port: GatewayPorts;
let asked = 0;
let relays = 0;
let failed = 0;
let onRelay: () => void = () => {};
let onAnswer: (leaf: Leaf, request: number) => void = () => {};
/** How nodes answer a request; an order may change it. */
let answer = (peer: GeneratorPeer, buf: Buffer, at: number) => answerBlock(peer, buf, at);

async function connectNodes(order: LeafsOrder & { what: 'nodes' }): Promise<void> {
  [port] = order.gateways as [GatewayPorts];
  for (const dialect of ['circuit', 'linkid'] as const) {
    for (let n = 0; n < order[dialect]; n++) {
      const gateway = n % order.gateways.length;
      const number = 1 + nodes.length;
      const onMessage = (peer: GeneratorPeer, buf: Buffer, at: number, cmd: number) => {
        if (!asksForBlock(cmd)) return;
        asked++;
        answer(peer, buf, at);
      };
      // linkid: a leaf's requests come from the router's own span, which the router offers a node on demand
      // (protocol.md, "Routing, linkid").
      const peer = await GeneratorPeer.open(order.gateways[gateway]![dialect], dialect, `node${number}`, onMessage);
      peer.send(SPAN | CREATE, FIRST_SPAN, 0, 0, 0, 0, spanBody(dialect, number), 0);
      peer.flush();
      nodes.push({ dialect, number, isHere: gateway === 0 });
      nodePeers.push(peer);
    }
  }
  for (const dialect of ['circuit', 'linkid'] as const) {
    const peer = await GeneratorPeer.open(port[dialect], dialect, 'others', () => {});
    for (let n = 0; n < order.others / 2; n++) {
      peer.send(SPAN | CREATE, FIRST_SPAN + n, 0, 0, 0, 0, spanBody(dialect, 0x100000 + n, CLUSTER + 1), 0);
    }
    peer.flush();
  }
}

async function connectLeafs(dialect: BenchDialect, count: number): Promise<void> {
  const own = nodes.filter((node) => node.dialect === dialect);
  const all = leafs[dialect];
  const reach = relays + count * own.length;
  const peerType = dialect === 'circuit' ? PEER_CLIENT : PEER_HAMMER2;
  const open = async (n: number) => {
    const leaf = new Leaf();
    all.push(leaf);
    const group = 1 + Math.floor(n / LEAFS_PER_ADDRESS);
    const address = `127.${dialect === 'circuit' ? 1 : 2}.0.${group}`;
    const onMessage = (_peer: GeneratorPeer, buf: Buffer, at: number, cmd: number) => {
      if ((cmd & 0xffffff) === SPAN && (cmd & (CREATE | REPLY)) >> 0 === CREATE >> 0) {
        leaf.relays.set(buf.readUInt32LE(at + 80), { lo: buf.readUInt32LE(at + 8), hi: buf.readUInt32LE(at + 12) });
        relays++;
        onRelay();
      } else if (isEnd(buf, at, cmd, FIRST_REQUEST)) {
        // A trunk that is lost on a busy machine ends the transactions that run over it.
        if (buf.readUInt32LE(at + 44) !== 0) failed++;
        onAnswer(leaf, buf.readUInt32LE(at + 8));
      }
    };
    const asks = { peerType, cluster };
    leaf.connection = await GeneratorPeer.open(port[dialect], dialect, `l${dialect[0]}${n}`, onMessage, {
      localAddress: address,
      takes: asks,
    });
  };
  for (let n = 0; n < count; n += AT_A_TIME) {
    await Promise.all(Array.from({ length: Math.min(AT_A_TIME, count - n) }, (_, i) => open(n + i)));
  }
  await new Promise<void>((resolve) => {
    onRelay = () => relays >= reach && resolve();
    onRelay();
  });
}

/** Each of the leafs requests blocks again and again; `pick` chooses the next node. */
async function run(callers: readonly Leaf[], inFlight: number, seconds: number, pick: (leaf: Leaf) => number) {
  const waited: number[] = [];
  const began = performance.now();
  const end = began + seconds * 1000;
  let open = callers.length * inFlight;
  let roundTrips = 0;
  await new Promise<void>((resolve) => {
    onAnswer = (leaf, request) => {
      roundTrips++;
      waited.push(leaf.waitedMs(request));
      if (performance.now() < end) leaf.ask(pick(leaf));
      else if (--open === 0) resolve();
    };
    for (const leaf of callers) {
      for (let n = 0; n < inFlight; n++) leaf.ask(pick(leaf));
      leaf.connection.flush();
    }
  });
  const took = (performance.now() - began) / 1000;
  waited.sort((a, b) => a - b);
  const at = (part: number) => (waited[Math.floor(waited.length * part)] ?? 0) * 1000;
  return { roundTrips, seconds: took, p50Us: at(0.5), p99Us: at(0.99) };
}

function pickFrom(which: 'here' | 'all'): (leaf: Leaf) => number {
  const numbers = (dialect: BenchDialect) =>
    nodes.filter((node) => node.dialect === dialect && (which === 'all' || node.isHere)).map(({ number }) => number);
  const of = { circuit: numbers('circuit'), linkid: numbers('linkid') };
  let next = 0;
  return ({ connection: { dialect } }) => of[dialect][next++ % of[dialect].length]!;
}

const NOTHING = { roundTrips: 0, seconds: 0, p50Us: 0, p99Us: 0 };

async function obey(order: LeafsOrder): Promise<LeafsDone> {
  const before = { asked, failed };
  let done = NOTHING;
  switch (order.what) {
    case 'nodes':
      await connectNodes(order);
      break;
    case 'connect':
      await connectLeafs('circuit', order.circuit);
      await connectLeafs('linkid', order.linkid);
      break;
    case 'call': {
      const { dialect, leafs: count, seconds } = order;
      const callers = dialect === 'both' ? [...leafs.circuit, ...leafs.linkid] : leafs[dialect];
      done = await run(callers.slice(0, count), order.inFlight, seconds, pickFrom(order.nodes));
      break;
    }
    case 'pair': {
      const [leaf] = leafs[order.dialect];
      const first = nodes.find((node) => node.dialect === order.dialect && node.isHere)!.number;
      done = await run([leaf!], order.inFlight, order.seconds, () => first);
      break;
    }
    case 'hot': {
      const { delayMs, bytes } = order;
      const instant = answer;
      answer = (peer, buf, at) => {
        const head = Buffer.from(buf.subarray(at, at + 64));
        setTimeout(() => {
          answerBlock(peer, head, 0, bytes);
          peer.flush();
        }, delayMs);
      };
      const first = nodes.find((node) => node.dialect === 'circuit' && node.isHere)!.number;
      done = await run(leafs.circuit.slice(0, order.leafs), 1, order.seconds, () => first);
      answer = instant;
      break;
    }
  }
  return { ...done, asked: asked - before.asked, failed: failed - before.failed, relays };
}

process.on('message', (order: LeafsOrder) => void obey(order).then((done) => process.send!(done)));
process.on('disconnect', () => process.exit(0));
