import { describe, expect, it } from 'vitest';
import { plain } from '../output/paint.ts';
import { CLUSTER, exampleTrees, LINKID_CLUSTER } from '../topology.fixture.ts';
import { renderTree, TreeAssembly } from './tree-view.ts';

describe('renderTree', () => {
  it('draws clusters, nodes, links and relays', () => {
    expect(renderTree(exampleTrees(), plain)).toMatchInlineSnapshot(`
      "linkid 8a2e1c5e-0000-4000-8000-000000000002
      └── 8a2e1c5e-0000-4000-8000-00000000000c "home" pfs_type NONE
          └── gw.1:4 dist -2 via gw.1:104, 0 relays
      circuit HAMMER2 8a2e1c5e-0000-4000-8000-000000000001 "tank"
      ├── 8a2e1c5e-0000-4000-8000-00000000000a "DATA" pfs_type SUPROOT
      │   ├── gw.1:1 dist 0 rnss 7 via gw.1:101, 1 relay
      │   │   └── relayed to gw.1:900 on gw.1:103
      │   └── gw.1:2 dist 1 rnss 0 via gw.1:102, 0 relays (suspect)
      └── 8a2e1c5e-0000-4000-8000-00000000000b "\\x1b[2J\\x9b31m" pfs_type SOFT_MASTER
          └── gw.1:3 dist 4294967295 rnss 0 via gw.1:103, 0 relays
      2 clusters, 3 nodes, 4 links, 1 relay
      "
    `);
  });

  it('prints a sentence when the tree is empty', () => {
    expect(renderTree([], plain)).toBe('0 clusters, 0 nodes, 0 links, 0 relays\n');
  });
});

describe('TreeAssembly', () => {
  it('joins the parts of a cluster', () => {
    const [linkid, circuit] = exampleTrees();
    const assembly = new TreeAssembly();
    assembly.add({ clusters: [linkid!, { cluster: CLUSTER, nodes: circuit!.nodes.slice(0, 1) }], revision: '1-7' });
    assembly.add({ clusters: [{ cluster: CLUSTER, nodes: circuit!.nodes.slice(1) }], revision: '1-7' });
    expect(assembly.clusters).toEqual(exampleTrees());
    expect(assembly.revision).toBe('1-7');
  });

  it('joins the parts of a node, and of a link with its relays', () => {
    const [linkid, circuit] = exampleTrees();
    const [first, ...others] = circuit!.nodes;
    const [link, ...links] = first!.links;
    const relays = [1, 2, 3].map((n) => ({ lnkConn: `gw.1:${n}`, connection: 'gw.1:9', withheld: n === 2 }));
    const whole = { ...link!, relays };
    const assembly = new TreeAssembly();
    const parts = [
      [
        linkid!,
        { cluster: CLUSTER, nodes: [{ node: first!.node, links: [{ ...whole, relays: relays.slice(0, 2) }] }] },
      ],
      [{ cluster: CLUSTER, nodes: [{ node: first!.node, links: [{ ...whole, relays: relays.slice(2) }] }] }],
      [{ cluster: CLUSTER, nodes: [{ node: first!.node, links }, ...others] }],
    ];
    for (const clusters of parts) assembly.add({ clusters, revision: '1-7' });
    const nodes = [{ node: first!.node, links: [whole, ...links] }, ...others];
    expect(assembly.clusters).toEqual([linkid!, { cluster: CLUSTER, nodes }]);
  });

  it('keeps clusters apart that share an id but not a dialect', () => {
    const other = { ...LINKID_CLUSTER, key: { ...LINKID_CLUSTER.key!, dialect: CLUSTER.key!.dialect } };
    const assembly = new TreeAssembly();
    assembly.add({ clusters: [{ cluster: LINKID_CLUSTER, nodes: [] }], revision: '' });
    assembly.add({ clusters: [{ cluster: other, nodes: [] }], revision: '' });
    expect(assembly.clusters).toHaveLength(2);
  });
});
