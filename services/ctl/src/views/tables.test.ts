import { ConnectionOrigin, Relay } from '@spanmesh/proto/v1/types';
import { expect, it } from 'vitest';
import { plain } from '../output/paint.ts';
import { renderTable } from '../output/table.ts';
import { CLUSTER, CONNECTION, LINKID_CLUSTER, LINKID_NODE, linkOf, NODE, OTHER_NODE } from '../topology.fixture.ts';
import { CLUSTER_COLUMNS, CONNECTION_COLUMNS, LINK_COLUMNS, NODE_COLUMNS, RELAY_COLUMNS } from './tables.ts';

it('lists clusters', () => {
  expect(renderTable(CLUSTER_COLUMNS, [LINKID_CLUSTER, CLUSTER], plain)).toMatchInlineSnapshot(`
    "DIALECT  TYPE     CLUSTER                               NODES  LINKS  LABEL
    linkid   -        8a2e1c5e-0000-4000-8000-000000000002      1      1  -
    circuit  HAMMER2  8a2e1c5e-0000-4000-8000-000000000001      2      3  tank
    "
  `);
});

it('lists nodes, with labels escaped and dist as the dialect means it', () => {
  expect(renderTable(NODE_COLUMNS, [LINKID_NODE, NODE, OTHER_NODE], plain)).toMatchInlineSnapshot(`
    "DIALECT  NODE                                  CLUSTER                               CLUSTER ID                            PFS TYPE     LINKS        DIST  LABEL
    linkid   8a2e1c5e-0000-4000-8000-00000000000c  8a2e1c5e-0000-4000-8000-000000000002  8a2e1c5e-0000-4000-8000-000000000002  NONE             1           0  home
    circuit  8a2e1c5e-0000-4000-8000-00000000000a  tank                                  8a2e1c5e-0000-4000-8000-000000000001  SUPROOT          2           0  DATA
    circuit  8a2e1c5e-0000-4000-8000-00000000000b  tank                                  8a2e1c5e-0000-4000-8000-000000000001  SOFT_MASTER      1  4294967295  \\x1b[2J\\x9b31m
    "
  `);
});

it('lists links', () => {
  const links = [
    linkOf(LINKID_NODE, 4, { dist: -2 }),
    linkOf(NODE, 1, { rnss: 4_000_000_000, peerType: 40, status: 4 }),
    linkOf(NODE, 2, { dist: -1, suspect: true, stamp: 2n ** 64n - 1n }),
  ];
  expect(renderTable(LINK_COLUMNS, links, plain)).toMatchInlineSnapshot(`
    "LINK    NODE                                  CLUSTER                               TYPE     PFS TYPE        DIST        RNSS  VIA       MSGID             RELAYS  STATUS  SINCE                 STATE    LABEL
    gw.1:4  8a2e1c5e-0000-4000-8000-00000000000c  8a2e1c5e-0000-4000-8000-000000000002  HAMMER2  NONE              -2           0  gw.1:104  fffff80012345640       0       0  2023-11-14 22:13:20Z  ok       home
    gw.1:1  8a2e1c5e-0000-4000-8000-00000000000a  tank                                  40       NONE               0  4000000000  gw.1:101  fffff80012345640       0       4  2023-11-14 22:13:20Z  ok       DATA
    gw.1:2  8a2e1c5e-0000-4000-8000-00000000000a  tank                                  HAMMER2  NONE      4294967295           0  gw.1:102  fffff80012345640       0       0  -                     suspect  DATA
    "
  `);
});

it('lists connections', () => {
  const dialled = {
    ...CONNECTION,
    id: 'gw.1:7',
    origin: ConnectionOrigin.CONNECTION_ORIGIN_TARGET,
    wantedBy: 'media x/slot 3',
    lnkConns: [],
    since: undefined,
  };
  expect(renderTable(CONNECTION_COLUMNS, [CONNECTION, { ...dialled, suspect: true }], plain)).toMatchInlineSnapshot(`
    "CONNECTION  DIALECT  REMOTE          ORIGIN    LNK_CONNS  LINKS  RELAYS  SINCE                 STATE    LABEL  WANTED BY
    gw.1:103    circuit  192.0.2.7:4321  accepted          1      1       1  2026-01-31 12:00:01Z  ok       box    -
    gw.1:7      circuit  192.0.2.7:4321  target            0      1       1  -                     suspect  -      media x/slot 3
    "
  `);
});

it('lists relays', () => {
  const relay = Relay.fromPartial({
    link: 'gw.1:1',
    lnkConn: 'gw.1:900',
    connection: 'gw.1:103',
    node: NODE.key!,
    dist: 1,
  });
  expect(renderTable(RELAY_COLUMNS, [relay], plain)).toMatchInlineSnapshot(`
    "LINK    LNK_CONN  CONNECTION  DIST  STATE  NODE                                  CLUSTER  LABEL
    gw.1:1  gw.1:900  gw.1:103       1  open   8a2e1c5e-0000-4000-8000-00000000000a  tank     DATA
    "
  `);
});
