import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Oracle, type OracleConnection, type OracleLink, type OracleLnkConn, pairName } from './testing/test-oracle.ts';
import { type Connection, type Dialect, type Link, type LnkConn, type SpanKey, SpanTree } from './tree.ts';
import { finish } from './tree-work.ts';

const NIL = '00000000-0000-0000-0000-000000000000';
const CLUSTERS = [NIL, 'c1000001-0a0b-11e4-8a21-01a2b3c4d5e6', 'c1000002-0a0b-11e4-8a21-01a2b3c4d5e6'];
const NODES = ['f5000001-0a0b-11e4-8a21-01a2b3c4d5e6', 'f5000002-0a0b-11e4-8a21-01a2b3c4d5e6'];
const GATEWAYS = ['g1', 'g2', 'g3'];

/** Long enough for a busy machine; a run usually takes a few seconds. */
const TIMEOUT = 120_000;

/** An object is chosen by a number, modulo how many there are at the time. */
type Op =
  | { readonly op: 'connect'; readonly gateway: number }
  | { readonly op: 'drop' | 'unconn' | 'unspan'; readonly pick: number }
  | { readonly op: 'suspect'; readonly pick: number; readonly suspect: boolean }
  | {
      readonly op: 'conn';
      readonly pick: number;
      readonly dialect: Dialect;
      readonly mask: readonly [number, number];
      readonly peerType: number;
      readonly cluster: number;
    }
  | {
      readonly op: 'span';
      readonly pick: number;
      readonly dialect: Dialect;
      readonly cluster: number;
      readonly node: number;
      readonly peerType: number;
      readonly peerLabel: string;
      readonly label: string;
      readonly dist: number;
      readonly rnss: number;
      readonly stamp: number;
    }
  | { readonly op: 'refuse' | 'adopt' | 'adoptRefusal'; readonly pick: number; readonly pick2: number }
  | { readonly op: 'forget'; readonly pick: number }
  | { readonly op: 'reach'; readonly gateway: number; readonly unreachable: readonly number[] }
  | { readonly op: 'hold'; readonly gateway: number; readonly held: boolean }
  | { readonly op: 'flush' };

const pick = fc.nat(1000);

function connOp(dialects: readonly Dialect[]): fc.Arbitrary<Op> {
  return fc.record({
    op: fc.constant('conn' as const),
    pick,
    dialect: fc.constantFrom(...dialects),
    mask: fc.oneof(
      { weight: 4, arbitrary: fc.constant([0xffffffff, 0xffffffff] as const) },
      { weight: 1, arbitrary: fc.constantFrom([0x8, 0] as const, [0x5, 0x80000000] as const) },
    ),
    peerType: fc.constantFrom(1, 3, 63),
    cluster: fc.nat(CLUSTERS.length - 1),
  });
}

function spanOp(dialects: readonly Dialect[]): fc.Arbitrary<Op> {
  return fc.record({
    op: fc.constant('span' as const),
    pick,
    dialect: fc.constantFrom(...dialects),
    cluster: fc.nat(CLUSTERS.length - 1),
    node: fc.nat(NODES.length - 1),
    peerType: fc.constantFrom(1, 2, 3, 3, 3, 63),
    peerLabel: fc.constantFrom('', 'x'),
    label: fc.constantFrom('', 'root'),
    dist: fc.constantFrom(0, 0, 1, 1, 2, 15, 16, 17, -1, 0xffffffff, 0x7fffffff),
    rnss: fc.constantFrom(0, 0, 1, -1, 0x80000000),
    stamp: fc.nat(3),
  });
}

function changeOp(dialects: readonly Dialect[]): fc.Arbitrary<Op> {
  return fc.oneof(
    { weight: 2, arbitrary: fc.record({ op: fc.constant('connect' as const), gateway: fc.nat(2) }) },
    { weight: 4, arbitrary: connOp(dialects) },
    { weight: 8, arbitrary: spanOp(dialects) },
    { weight: 3, arbitrary: fc.record({ op: fc.constantFrom('unspan' as const, 'unconn' as const), pick }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('drop' as const), pick }) },
    { weight: 2, arbitrary: fc.record({ op: fc.constant('suspect' as const), pick, suspect: fc.boolean() }) },
    { weight: 4, arbitrary: fc.record({ op: fc.constant('refuse' as const), pick, pick2: pick }) },
    {
      weight: 2,
      arbitrary: fc.record({
        op: fc.constant('reach' as const),
        gateway: fc.nat(2),
        unreachable: fc.uniqueArray(fc.nat(2), { maxLength: 2 }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('forget' as const), pick }) },
    {
      weight: 1,
      arbitrary: fc.record({ op: fc.constant('hold' as const), gateway: fc.nat(2), held: fc.boolean() }),
    },
    { weight: 6, arbitrary: fc.constant({ op: 'flush' as const }) },
  );
}

const adoptOp: fc.Arbitrary<Op> = fc.record({
  op: fc.constantFrom('adopt' as const, 'adopt' as const, 'adoptRefusal' as const),
  pick,
  pick2: pick,
});

/** Starts with a few connections and LNK_CONNs on them, so that short histories reach interesting states. */
function setUp(dialects: readonly Dialect[]): fc.Arbitrary<Op[]> {
  const connect: Op[] = [0, 1, 2, 1].map((gateway) => ({ op: 'connect', gateway }));
  return fc.array(fc.oneof(connOp(dialects), spanOp(dialects)), { maxLength: 14 }).map((ops) => [...connect, ...ops]);
}

/** A tree and the oracle, which get the same operations; their states are compared at every flush. */
class Twins {
  readonly tree: SpanTree;
  readonly oracle: Oracle;
  readonly #connections = new Map<OracleConnection, Connection>();
  readonly #lnkConns = new Map<OracleLnkConn, LnkConn>();
  readonly #links = new Map<OracleLink, Link>();
  /** The relays that a caller which follows the flushes believes to be open. */
  readonly believed = new Set<string>();
  /** Relays opened and closed by the last flush. */
  opened = new Set<string>();
  closed = new Set<string>();
  #nextId = 1;

  constructor(widths: { readonly linkid: number; readonly circuit: number }) {
    this.tree = new SpanTree({ widths });
    this.oracle = new Oracle(widths.linkid, widths.circuit, 16);
  }

  do(op: Op): void {
    const { tree, oracle } = this;
    switch (op.op) {
      case 'connect': {
        const gateway = GATEWAYS[op.gateway]!;
        const connection = { gateway, suspect: false };
        oracle.connections.push(connection);
        this.#connections.set(connection, tree.addConnection(gateway, this.#nextId++));
        return;
      }
      case 'drop': {
        const connection = at(oracle.connections, op.pick);
        if (connection === undefined) return;
        oracle.removeConnection(connection);
        tree.removeConnection(this.#connections.get(connection)!);
        return;
      }
      case 'suspect': {
        const connection = at(oracle.connections, op.pick);
        if (connection === undefined) return;
        connection.suspect = op.suspect;
        tree.setSuspect(this.#connections.get(connection)!, op.suspect);
        return;
      }
      case 'conn': {
        const connection = at(oracle.connections, op.pick);
        if (connection === undefined) return;
        const filter = {
          dialect: op.dialect,
          peerMaskLo: op.mask[0],
          peerMaskHi: op.mask[1],
          peerType: op.peerType,
          clusterId: CLUSTERS[op.cluster]!,
        };
        const lnkConn = { id: this.#nextId++, connection, filter };
        oracle.lnkConns.push(lnkConn);
        this.#lnkConns.set(lnkConn, tree.addLnkConn(this.#connections.get(connection)!, lnkConn.id, filter));
        return;
      }
      case 'unconn': {
        const lnkConn = at(oracle.lnkConns, op.pick);
        if (lnkConn === undefined) return;
        oracle.removeLnkConn(lnkConn);
        tree.removeLnkConn(this.#lnkConns.get(lnkConn)!);
        return;
      }
      case 'span': {
        const connection = at(oracle.connections, op.pick);
        if (connection === undefined) return;
        const { dialect, peerType, label, dist, rnss, stamp } = op;
        const span: SpanKey = {
          dialect,
          clusterId: CLUSTERS[op.cluster]!,
          nodeId: NODES[op.node]!,
          peerType,
          peerLabel: dialect === 'circuit' ? op.peerLabel : '',
          label,
          dist,
          rnss,
          stamp,
        };
        const link = { id: this.#nextId++, connection, span };
        oracle.links.push(link);
        this.#links.set(link, tree.addLink(this.#connections.get(connection)!, link.id, span));
        return;
      }
      case 'unspan': {
        const link = at(oracle.links, op.pick);
        if (link === undefined) return;
        oracle.removeLink(link);
        tree.removeLink(this.#links.get(link)!);
        return;
      }
      case 'refuse': {
        // Mostly an open relay; sometimes any pair, which may have no open relay or be refused already.
        const name = at([...oracle.open()].sort(), op.pick);
        const [lnkConn, link] =
          name !== undefined && op.pick2 % 4 > 0
            ? [
                oracle.lnkConns.find((k) => k.id === Number(name.split('/')[0])),
                oracle.links.find((l) => l.id === Number(name.split('/')[1])),
              ]
            : this.#pair(op.pick, op.pick2);
        if (lnkConn === undefined || link === undefined) return;
        oracle.refuse(lnkConn, link);
        tree.refuse(this.#lnkConns.get(lnkConn)!, this.#links.get(link)!);
        this.believed.delete(pairName(lnkConn.id, link.id));
        return;
      }
      case 'adopt':
      case 'adoptRefusal': {
        const [lnkConn, link] = this.#pair(op.pick, op.pick2);
        if (lnkConn === undefined || link === undefined) return;
        const refused = op.op === 'adoptRefusal';
        oracle.adopt(lnkConn, link, refused);
        if (refused) tree.adoptRefusal(this.#lnkConns.get(lnkConn)!, this.#links.get(link)!);
        else tree.adoptRelay(this.#lnkConns.get(lnkConn)!, this.#links.get(link)!);
        if (refused) this.believed.delete(pairName(lnkConn.id, link.id));
        else this.believed.add(pairName(lnkConn.id, link.id));
        return;
      }
      case 'reach': {
        const gateway = GATEWAYS[op.gateway]!;
        const others = new Set(op.unreachable.map((one) => GATEWAYS[one]!));
        const before = tree.unreachableFrom(gateway);
        expect(sorted(tree.setUnreachable(gateway, others))).toEqual(sorted(before.symmetricDifference(others)));
        oracle.unreachable.set(gateway, others);
        return;
      }
      case 'hold': {
        const gateway = GATEWAYS[op.gateway]!;
        if (op.held) oracle.held.add(gateway);
        else oracle.held.delete(gateway);
        tree.setHeld(gateway, op.held);
        return;
      }
      case 'forget': {
        const lnkConn = at(oracle.lnkConns, op.pick);
        if (lnkConn === undefined) return;
        // A relay that went before is still reported as gone.
        const open = [...oracle.open()].filter((pair) => pair.startsWith(`${lnkConn.id}/`));
        oracle.forgetRelays(lnkConn);
        finish(tree.forgettingRelays(this.#lnkConns.get(lnkConn)!));
        for (const pair of open) this.believed.delete(pair);
        return;
      }
      case 'flush':
        this.flush();
    }
  }

  /**
   * Flushes only the tree. Each open, close and gone must fit the relays that the caller believes to be open, and the
   * caller's list must be right afterwards.
   */
  flushTree(): void {
    this.opened = new Set();
    this.closed = new Set();
    const name = (link: Link, lnkConn: LnkConn): string => pairName(lnkConn.id, link.id);
    this.tree.flush({
      open: (link, lnkConn) => {
        const pair = name(link, lnkConn);
        if (this.believed.has(pair)) throw new Error(`opened twice: ${pair}`);
        this.believed.add(pair);
        this.opened.add(pair);
      },
      close: (link, lnkConn) => {
        const pair = name(link, lnkConn);
        if (!this.believed.delete(pair)) throw new Error(`closed but not open: ${pair}`);
        this.closed.add(pair);
      },
      gone: (link, lnkConn) => {
        const pair = name(link, lnkConn);
        if (!link.removed && !lnkConn.removed) throw new Error(`gone without reason: ${pair}`);
        if (!this.believed.delete(pair)) throw new Error(`gone but not open: ${pair}`);
      },
    });
    expect(this.held().open).toEqual(sorted(this.believed));
  }

  flush(): void {
    const { oracle, tree } = this;
    const before = oracle.open();
    oracle.flush();
    this.flushTree();
    const open = oracle.open();
    expect(sorted(this.believed)).toEqual(sorted(open));
    expect(sorted(this.opened)).toEqual(sorted(open.difference(before)));
    expect(sorted(this.closed)).toEqual(sorted(before.difference(open)));
    expect(this.held().refused).toEqual(sorted(oracle.refused()));
    expect(tree.counts).toMatchObject({
      connections: oracle.connections.length,
      lnkConns: oracle.lnkConns.length,
      links: oracle.links.length,
      relays: open.size,
      refused: oracle.refused().size,
    });
  }

  /** The open and refused relays of the tree, read through all its accessors, which must agree. */
  held(): { open: string[]; refused: string[] } {
    const byLink: string[] = [];
    const refused: string[] = [];
    let nodes = 0;
    let links = 0;
    const clusters = [...this.tree.clusters()];
    for (const cluster of clusters) {
      for (const node of cluster.nodes()) {
        nodes++;
        links += node.links.length;
        for (const link of node.links) {
          const relays = [...link.relays].map((lnkConn) => pairName(lnkConn.id, link.id));
          expect(relays.length).toBe(link.relayCount);
          byLink.push(...relays);
        }
        for (const lnkConn of this.#lnkConns.values()) {
          for (const e of this.tree.explain(node, lnkConn)) {
            if (e.refused) refused.push(pairName(lnkConn.id, e.link.id));
          }
        }
      }
    }
    const byLnkConn: string[] = [];
    for (const lnkConn of this.#lnkConns.values()) {
      const relays = [...lnkConn.relays()].map((link) => pairName(lnkConn.id, link.id));
      expect(relays.length).toBe(lnkConn.relayCount);
      byLnkConn.push(...relays);
    }
    expect(byLnkConn.sort()).toEqual(byLink.sort());
    expect(this.tree.counts).toMatchObject({ clusters: clusters.length, nodes, links, relays: byLink.length });
    return { open: byLink, refused: refused.sort() };
  }

  /** All pairs that selection takes; `explain` must agree. */
  selected(): Set<string> {
    const all = new Set<string>();
    for (const [lnkConn, real] of this.#lnkConns) {
      if (real.removed) continue;
      const explained = new Set<string>();
      for (const cluster of this.tree.clusters()) {
        for (const node of cluster.nodes()) {
          for (const e of this.tree.explain(node, real)) {
            if (e.verdict === 'taken') explained.add(pairName(real.id, e.link.id));
          }
        }
      }
      const taken = new Set<string>();
      for (const { span } of this.oracle.links) {
        if (span.dialect !== lnkConn.filter.dialect) continue;
        for (const link of this.oracle.select(lnkConn, span)) taken.add(pairName(lnkConn.id, link.id));
      }
      expect(sorted(explained)).toEqual(sorted(taken));
      for (const pair of taken) all.add(pair);
    }
    return all;
  }

  /** Whether flushes leave the relays on the pair's LNK_CONN unchanged. */
  isHeld(pair: string): boolean {
    const lnkConn = this.oracle.lnkConns.find(({ id }) => id === Number.parseInt(pair, 10));
    return lnkConn !== undefined && this.oracle.held.has(lnkConn.connection.gateway);
  }

  /** A LNK_CONN and a link of the same dialect. */
  #pair(first: number, second: number): [OracleLnkConn | undefined, OracleLink | undefined] {
    const lnkConn = at(this.oracle.lnkConns, first);
    if (lnkConn === undefined) return [undefined, undefined];
    const links = this.oracle.links.filter((l) => l.span.dialect === lnkConn.filter.dialect);
    return [lnkConn, at(links, second)];
  }
}

function at<T>(list: readonly T[], index: number): T | undefined {
  return list[index % Math.max(list.length, 1)];
}

function sorted(pairs: Iterable<string>): string[] {
  return [...pairs].sort();
}

const widths = fc.record({ linkid: fc.integer({ min: 1, max: 3 }), circuit: fc.integer({ min: 1, max: 3 }) });

describe.each([
  { name: 'linkid', dialects: ['linkid'], runs: 2000 },
  { name: 'circuit', dialects: ['circuit'], runs: 2000 },
  { name: 'both dialects', dialects: ['linkid', 'circuit'], runs: 1000 },
] as const)('any history, $name', ({ dialects, runs }) => {
  it(
    'leaves open what the oracle works out from scratch, and reports exactly the difference',
    () => {
      const history = fc.array(changeOp(dialects), { maxLength: 45 });
      fc.assert(
        fc.property(widths, setUp(dialects), fc.array(adoptOp, { maxLength: 8 }), history, (w, start, adopt, ops) => {
          const twins = new Twins(w);
          for (const op of start) twins.do(op);
          for (const op of adopt) twins.do(op);
          for (const op of ops) twins.do(op);
          twins.flush();
          twins.selected();
        }),
        { numRuns: runs },
      );
    },
    TIMEOUT,
  );

  it(
    'adopted at any time: open or refused is what selection takes, nothing is closed and opened again',
    () => {
      const history = fc.array(
        fc.oneof({ weight: 2, arbitrary: changeOp(dialects) }, { weight: 1, arbitrary: adoptOp }),
        { maxLength: 45 },
      );
      fc.assert(
        fc.property(widths, setUp(dialects), history, (w, start, ops) => {
          const twins = new Twins(w);
          for (const op of [...start, ...ops, { op: 'flush' } as const]) {
            if (op.op !== 'flush') {
              twins.do(op);
              continue;
            }
            twins.oracle.flush();
            twins.flushTree();
            expect(twins.opened.intersection(twins.closed).size).toBe(0);
            const { open, refused } = twins.held();
            expect(new Set(open).intersection(new Set(refused)).size).toBe(0);
            const chosen = [...open, ...refused].filter((pair) => !twins.isHeld(pair));
            expect(sorted(chosen)).toEqual(sorted([...twins.selected()].filter((pair) => !twins.isHeld(pair))));
            twins.flushTree();
            expect(twins.opened.size + twins.closed.size).toBe(0);
          }
        }),
        { numRuns: runs },
      );
    },
    TIMEOUT,
  );
});
