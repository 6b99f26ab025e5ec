import type { GetTreeResponse } from '@spanmesh/proto/v1/topology';
import { Dialect } from '@spanmesh/proto/v1/types';
import type { Node } from '@spanmesh/spantree/tree';
import { beforeEach, describe, expect, it } from 'vitest';
import { FakeGateway } from '../testing/fake-gateway.fixture.ts';
import { FakeLeader } from '../testing/fake-leader.fixture.ts';
import { settle } from '../testing/world.fixture.ts';
import { treeParts } from './tree-parts.ts';

const NODES = 1500;
const WHOLE = { dialect: Dialect.DIALECT_UNSPECIFIED, clusterId: '', withRelays: true };

let leader: FakeLeader;
let a: FakeGateway;
let b: FakeGateway;
/** Links of gateway a, of both dialects. */
let links: number[];
let asking: { connection: number; lnkConn: number };
beforeEach(() => {
  leader = new FakeLeader();
  a = new FakeGateway('a');
  b = new FakeGateway('b');
  links = [];
  for (const dialect of ['circuit', 'linkid'] as const) {
    const source = a.openConnection(dialect);
    for (let node = 0; node < NODES; node++) links.push(a.openLink(source, node, node % 3));
    b.openLnkConn(b.openConnection(dialect), 7);
    const connection = b.openConnection(dialect);
    asking = { connection, lnkConn: b.openLnkConn(connection, 8) };
  }
  settle(leader, [a, b]);
});

const parts = () => treeParts(leader.core.state.trees, WHOLE, 'r');

/** The links of all parts, with their nodes and relays, as if they were one part. */
function linksIn(all: readonly GetTreeResponse[]): unknown[] {
  return all.flatMap(({ clusters }) =>
    clusters.flatMap(({ cluster, nodes }) =>
      nodes.flatMap((node) => node.links.map((link) => [cluster, node.node, link])),
    ),
  );
}

it.each([
  [0, [0]],
  [2048, [2048]],
  [2049, [2048, 1]],
])('a link with %i relays is in as many entries as they need, at least one', (relays, expected) => {
  const own = new FakeLeader();
  const [source, readers] = [new FakeGateway('a'), new FakeGateway('b')];
  source.openLink(source.openConnection('circuit'), 1);
  for (let n = 0; n < relays; n++) readers.openLnkConn(readers.openConnection('circuit'), 7);
  settle(own, [source, readers]);
  const all = [...treeParts(own.core.state.trees, WHOLE, 'r')];
  const entries = all.flatMap(({ clusters }) => clusters.flatMap(({ nodes }) => nodes.flatMap(({ links: of }) => of)));
  expect(entries.map(({ relays: targets }) => targets.length)).toEqual(expected);
});

describe('parts of a tree', () => {
  it('show one state, whatever changes while they are read', () => {
    const before = [...parts()];
    expect(before.length).toBeGreaterThan(2);
    const [open] = [...b.relays.keys()];
    const changes: (() => void)[] = [
      () => a.closeLink(links[NODES - 1]!),
      () => a.status(links[NODES - 2]!, 77),
      () => a.openLink(a.openConnection('circuit'), NODES - 3, 9),
      () => a.openLink(a.openConnection('linkid'), NODES + 1),
      () => b.refuse(open!),
      () => b.closeLnkConn(asking.lnkConn),
      () => b.openLnkConn(b.openConnection('linkid'), 9),
      () => b.closeConnection(asking.connection),
      () => a.disconnect(),
      () => a.closeLink(links.at(-1)!),
    ];
    const read: GetTreeResponse[] = [];
    for (const part of parts()) {
      read.push(part);
      for (let i = 0; i < 4; i++) changes.shift()?.();
      settle(leader, [a, b]);
    }
    expect(changes).toEqual([]);
    expect(linksIn(read)).toEqual(linksIn(before));
    expect(linksIn([...parts()])).not.toEqual(linksIn(before));
  });

  it('are read one by one: each reads only the links that it contains', () => {
    let looked = 0;
    for (const cluster of leader.core.state.trees.tree.clusters()) {
      for (const node of cluster.nodes()) count(node, () => looked++);
    }
    let before = 0;
    for (const part of parts()) {
      const shown = linksIn([part]).length;
      // Links are read twice, for the count in the cluster and for the part.
      expect(looked - before).toBeLessThanOrEqual(shown + NODES + 2);
      before = looked;
    }
    expect(before).toBeGreaterThanOrEqual(2 * NODES);
  });

  it('leave no copies when the caller stops reading', () => {
    const { tree } = leader.core.state.trees;
    let copied = 0;
    for (const _ of parts()) break;
    const [cluster] = tree.clusters();
    for (const node of cluster!.nodes()) count(node, () => copied++);
    a.status(links[0]!, 5);
    a.flush();
    while (a.deliverUp());
    expect(copied).toBe(0);
  });
});

/** Calls `looked` each time that the links of the node are read. */
function count(node: Node, looked: () => void): void {
  const { links: all } = node;
  Object.defineProperty(node, 'links', {
    get: () => {
      looked();
      return all;
    },
  });
}
