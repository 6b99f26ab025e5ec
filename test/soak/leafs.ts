import { Random } from '../fuzz/random.ts';
import { nodeOf } from '../peer/route-client.ts';
import type { CrowdPeer, CrowdPeerOptions } from './crowd-peer.ts';
import { DmsgLeaf, type Leaf } from './leaf.ts';
import { kindsOf, LEAF_KINDS, type LeafKind } from './leaf-kinds.ts';
import { type ApiDoor, RouteLeaf } from './route-leaf.ts';

/** Each leaf begins a transaction every CALL_MS, unless one is open; some leafs do so every TICK_MS. */
const CALL_MS = 1_500;
const TICK_MS = 20;
/** A transaction that has neither been answered nor ended after this time counts as hanging, ms: as long as healing. */
const PATIENCE_MS = 60_000;
const LOOK_MS = 20;
/** A span of this dist or more may be too far away for some. */
const FAR = 14;
/** Leafs with addresses of one network of /24. */
const PER_NETWORK = 250;

/** Numbers of transactions of leafs of one kind. */
export interface LeafCounts {
  readonly kind: LeafKind;
  readonly leafs: number;
  readonly answered: number;
  readonly lost: number;
}

export interface LeafsOptions {
  readonly count: number;
  readonly seed: number;
  /** The peers whose nodes they call. */
  readonly crowd: readonly CrowdPeer[];
  readonly doors: CrowdPeerOptions['doors'];
  /** The gateways' APIs. */
  readonly apis: () => readonly ApiDoor[];
}

/** All leafs of a soak. */
export class Leafs {
  readonly all: readonly Leaf[];
  /** The leafs that are peers. */
  readonly peers: readonly CrowdPeer[];
  /** The leafs that are clients of the API. */
  readonly clients: readonly RouteLeaf[];
  readonly #faults: string[] = [];
  /** The time at which a leaf has begun its open transaction. */
  readonly #since = new Map<Leaf, number>();
  #timer: NodeJS.Timeout | undefined;
  #next = 0;
  /** For each kind the number of answers when the calls began. */
  #before: readonly LeafCounts[] = [];

  constructor({ count, seed, crowd, doors, apis }: LeafsOptions) {
    const nodes = crowd.flatMap(({ part: { dialect, spans } }) =>
      spans.flatMap((span) => {
        const { cluster, peerType, clusterLabel, node, nodeLabel, dist = 0 } = span;
        if (dist >= FAR || cluster === undefined || node === undefined || peerType === undefined) return [];
        return [
          nodeOf(dialect, { cluster, peerType, clusterLabel: clusterLabel ?? '', node, nodeLabel: nodeLabel ?? '' }),
        ];
      }),
    );
    this.all = kindsOf(count).map((kind, n) => {
      const name = `leaf-${n}`;
      const random = new Random(seed, 0x40000 + n);
      if (kind === 'route') return new RouteLeaf(name, { random, doors: apis, nodes });
      const address = `127.0.${4 + Math.floor(n / PER_NETWORK)}.${1 + (n % PER_NETWORK)}`;
      return new DmsgLeaf(name, kind, { address, random, doors });
    });
    this.peers = this.all.flatMap((leaf) => (leaf instanceof DmsgLeaf ? [leaf.peer] : []));
    this.clients = this.all.filter((leaf) => leaf instanceof RouteLeaf);
  }

  come(): void {
    for (const leaf of this.all) leaf.come();
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const leaf of this.all) leaf.stop();
  }

  /** Begins to call nodes, all leafs again and again. */
  call(): void {
    this.#before = this.counts();
    const each = Math.max(1, Math.round((this.all.length * TICK_MS) / CALL_MS));
    this.#timer = setInterval(() => {
      for (let n = 0; n < Math.min(each, this.all.length); n++) this.#visit(this.all[this.#next++ % this.all.length]!);
    }, TICK_MS);
  }

  /** Begins no more transactions. Returns the kinds of leafs that got no answer meanwhile. */
  pause(): string[] {
    clearInterval(this.#timer);
    return this.counts().flatMap(({ kind, leafs, answered }, i) =>
      leafs > 0 && answered === this.#before[i]?.answered ? [`no leaf of kind ${kind} was answered in this round`] : [],
    );
  }

  counts(): LeafCounts[] {
    return LEAF_KINDS.map((kind) => {
      const own = this.all.filter((leaf) => leaf.kind === kind);
      const sum = (of: (leaf: Leaf) => number) => own.reduce((total, leaf) => total + of(leaf), 0);
      return { kind, leafs: own.length, answered: sum(({ answered }) => answered), lost: sum(({ lost }) => lost) };
    });
  }

  /** What no waiting can mend. */
  faults(): readonly string[] {
    return [...this.#faults, ...this.all.flatMap(({ faults }) => faults)];
  }

  /** What must not be so when everything is quiet. */
  findings(): string[] {
    const found: string[] = [];
    for (const leaf of this.all) {
      if (!leaf.isConnected) found.push(`${leaf.name} (${leaf.kind}) is not connected`);
      if (leaf.hanging > 0) found.push(`${leaf.name} (${leaf.kind}) has ${leaf.hanging} transactions open`);
      found.push(...leaf.leftovers());
    }
    return found;
  }

  /** Each leaf calls a node that it sees, while everything is quiet. Returns what was not answered as it must be. */
  async prove(): Promise<string[]> {
    const before = new Map(this.all.map((leaf) => [leaf, leaf.answered]));
    const callers = this.all.filter((leaf) => leaf.ask());
    const end = performance.now() + PATIENCE_MS;
    while (callers.some(({ hanging }) => hanging > 0) && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    return callers.flatMap(({ name, kind, hanging, answered }, i) => {
      if (hanging > 0) return [`${name} (${kind}): its call is not answered, though everything is quiet`];
      const isAnswered = answered === before.get(callers[i]!)! + 1;
      return isAnswered ? [] : [`${name} (${kind}): its call was lost, though everything is quiet`];
    });
  }

  /** Begins a transaction of the leaf unless one is open, which must not be so for too long. */
  #visit(leaf: Leaf): void {
    const now = performance.now();
    const began = this.#since.get(leaf);
    if (leaf.hanging === 0 || began === undefined) {
      this.#since.delete(leaf);
      if (leaf.ask()) this.#since.set(leaf, now);
    } else if (now - began > PATIENCE_MS) {
      this.#since.set(leaf, Number.POSITIVE_INFINITY);
      this.#faults.push(`${leaf.name} (${leaf.kind}) has had a transaction open for ${Math.round(now - began)} ms`);
    }
  }
}
