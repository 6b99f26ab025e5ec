import { Change, ChangeKind } from '@spanmesh/proto/v1/topology';
import { expect, it } from 'vitest';
import { plain } from '../output/paint.ts';
import { CLUSTER, CONNECTION, linkOf, NODE, OTHER_NODE } from '../topology.fixture.ts';
import { changeLine } from './change-line.ts';

const { CHANGE_KIND_ADDED: ADDED, CHANGE_KIND_CHANGED: CHANGED, CHANGE_KIND_REMOVED: REMOVED } = ChangeKind;

it('is one line for each kind of object', () => {
  const changes: Change[] = [
    { kind: ADDED, connection: CONNECTION },
    { kind: ADDED, lnkConn: CONNECTION.lnkConns[0]! },
    { kind: ADDED, cluster: CLUSTER },
    { kind: ADDED, node: OTHER_NODE },
    { kind: CHANGED, link: linkOf(NODE, 2, { status: 4, suspect: true }) },
    { kind: REMOVED, relays: { link: 'gw.1:1', lnkConns: ['gw.1:900', 'gw.1:901'] } },
    Change.fromPartial({}),
  ];
  expect(changes.map((change) => changeLine(change, plain)).join('')).toMatchInlineSnapshot(`
    "added   connection gw.1:103 circuit 192.0.2.7:4321 accepted
    added   LNK_CONN   gw.1:900 on gw.1:103 HAMMER2 "box"
    added   cluster    circuit HAMMER2 8a2e1c5e-0000-4000-8000-000000000001 "tank"
    added   node       8a2e1c5e-0000-4000-8000-00000000000b "\\x1b[2J\\x9b31m" of circuit HAMMER2 8a2e1c5e-0000-4000-8000-000000000001 "tank"
    changed link       gw.1:2 dist 0 rnss 0 via gw.1:102 of node 8a2e1c5e-0000-4000-8000-00000000000a "DATA" status 4 suspect
    removed relays     of gw.1:1 to gw.1:900, gw.1:901
    ?       ?          something that this command is too old to know
    "
  `);
});
