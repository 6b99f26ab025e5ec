import { type Change, ChangeKind } from '@spanmesh/proto/v1/topology';
import { describe, expect, it } from 'vitest';
import { CLUSTER, CONNECTION, exampleTrees, linkOf, NODE } from '../topology.fixture.ts';
import { Inventory } from './inventory.ts';

const { CHANGE_KIND_ADDED: ADDED, CHANGE_KIND_CHANGED: CHANGED, CHANGE_KIND_REMOVED: REMOVED } = ChangeKind;

/** A change as a short text: `1 link gw.1:3`. */
function brief(change: Change): string {
  const { kind, cluster, node, link, connection, lnkConn, relays } = change;
  const id = cluster?.key?.id ?? node?.key?.id ?? link?.id ?? connection?.id ?? lnkConn?.id ?? relays?.lnkConns.join();
  return `${kind} ${Object.keys(change).find((name) => name !== 'kind')} ${id}`;
}

describe('Inventory.replace', () => {
  it('reports nothing when only counters differ', () => {
    const inventory = new Inventory();
    inventory.replace({ clusters: exampleTrees(), connections: [CONNECTION] });
    const trees = exampleTrees();
    trees[1]!.cluster = { ...CLUSTER, links: 99 };
    trees[1]!.nodes[0]!.links[0]!.link = linkOf(NODE, 1, { relays: 99 });
    expect(inventory.replace({ clusters: trees, connections: [{ ...CONNECTION, links: 99 }] })).toEqual([]);
  });

  it('reports new objects before those inside them, and removed ones in the reverse order', () => {
    const inventory = new Inventory();
    const full = { clusters: exampleTrees(), connections: [CONNECTION] };
    const came = inventory.replace(full).map(brief);
    expect(came).toEqual([
      `${ADDED} connection gw.1:103`,
      `${ADDED} lnkConn gw.1:900`,
      `${ADDED} cluster 8a2e1c5e-0000-4000-8000-000000000002`,
      `${ADDED} cluster 8a2e1c5e-0000-4000-8000-000000000001`,
      `${ADDED} node 8a2e1c5e-0000-4000-8000-00000000000c`,
      `${ADDED} node 8a2e1c5e-0000-4000-8000-00000000000a`,
      `${ADDED} node 8a2e1c5e-0000-4000-8000-00000000000b`,
      `${ADDED} link gw.1:4`,
      `${ADDED} link gw.1:1`,
      `${ADDED} link gw.1:2`,
      `${ADDED} link gw.1:3`,
      `${ADDED} relays gw.1:900`,
    ]);
    const went = inventory.replace({ clusters: [], connections: [] }).map(brief);
    expect(went).toHaveLength(came.length);
    expect(went[0]).toBe(`${REMOVED} relays gw.1:900`);
    expect(went.at(-1)).toBe(`${REMOVED} connection gw.1:103`);
  });

  it('reports a link whose status differs', () => {
    const inventory = new Inventory();
    inventory.replace({ clusters: exampleTrees(), connections: [] });
    const trees = exampleTrees();
    trees[1]!.nodes[0]!.links[1]!.link!.status = 7;
    expect(inventory.replace({ clusters: trees, connections: [] }).map(brief)).toEqual([`${CHANGED} link gw.1:2`]);
  });
});

describe('Inventory.apply', () => {
  it('ignores changes that a list has already shown', () => {
    const inventory = new Inventory();
    inventory.replace({ clusters: exampleTrees(), connections: [CONNECTION] });
    expect(inventory.apply({ kind: ADDED, link: linkOf(NODE, 1) })).toBeNull();
    expect(inventory.apply({ kind: REMOVED, link: linkOf(NODE, 77) })).toBeNull();
    expect(inventory.apply({ kind: CHANGED, link: linkOf(NODE, 1, { status: 1 }) })).not.toBeNull();
    expect(inventory.apply({ kind: REMOVED, link: linkOf(NODE, 1) })).not.toBeNull();
    expect(inventory.apply({ kind: ADDED, link: linkOf(NODE, 1) })).not.toBeNull();
  });

  it('returns only those relays that are new', () => {
    const inventory = new Inventory();
    inventory.replace({ clusters: exampleTrees(), connections: [CONNECTION] });
    const link = 'gw.1:1';
    expect(inventory.apply({ kind: ADDED, relays: { link, lnkConns: ['gw.1:900', 'gw.1:901'] } })).toEqual({
      kind: ADDED,
      relays: { link, lnkConns: ['gw.1:901'] },
    });
    expect(inventory.apply({ kind: REMOVED, relays: { link, lnkConns: ['gw.1:902'] } })).toBeNull();
    expect(inventory.apply({ kind: REMOVED, relays: { link, lnkConns: ['gw.1:900', 'gw.1:901'] } })).not.toBeNull();
    expect(inventory.apply({ kind: REMOVED, relays: { link, lnkConns: ['gw.1:900'] } })).toBeNull();
  });

  it('forgets the relays of a link that is removed', () => {
    const inventory = new Inventory();
    inventory.replace({ clusters: exampleTrees(), connections: [CONNECTION] });
    inventory.apply({ kind: REMOVED, link: linkOf(NODE, 1) });
    const trees = exampleTrees();
    trees[1]!.nodes[0]!.links.shift();
    expect(inventory.replace({ clusters: trees, connections: [CONNECTION] })).toEqual([]);
  });
});
