import { ExplainResponse, VerdictReason } from '@spanmesh/proto/v1/topology';
import { expect, it } from 'vitest';
import { plain } from '../output/paint.ts';
import { CONNECTION, linkOf, NODE } from '../topology.fixture.ts';
import { renderExplanation } from './explain-view.ts';

const ANSWER = ExplainResponse.fromPartial({
  node: NODE,
  connection: CONNECTION,
  lnkConns: [
    {
      lnkConn: CONNECTION.lnkConns[0]!,
      width: 1,
      verdicts: [
        { link: linkOf(NODE, 1, { rnss: 4_000_000_000 }), reason: VerdictReason.VERDICT_REASON_TAKEN, relayed: true },
        { link: linkOf(NODE, 2, { dist: 3 }), reason: VerdictReason.VERDICT_REASON_SAME_CONNECTION },
        { link: linkOf(NODE, 5, { dist: 20 }), reason: VerdictReason.VERDICT_REASON_AFTER_STOP },
      ],
    },
  ],
});

it('shows each link with its verdict', () => {
  expect(renderExplanation(ANSWER, plain)).toMatchInlineSnapshot(`
    "node       8a2e1c5e-0000-4000-8000-00000000000a "DATA"
    cluster    circuit HAMMER2 8a2e1c5e-0000-4000-8000-000000000001 "tank"
    connection gw.1:103 circuit 192.0.2.7:4321

    LNK_CONN gw.1:900 HAMMER2 "box": at most 1 link of a node
    LINK    DIST        RNSS  VIA       RELAYED  WHY
    gw.1:1     0  4000000000  gw.1:101  yes      taken
    gw.1:2     3           0  gw.1:102  no       it came in on this very connection; the walk stops here
    gw.1:5    20           0  gw.1:105  no       the walk had stopped at a better link
    "
  `);
});

it('says why nothing is relayed to a connection without LNK_CONN', () => {
  expect(renderExplanation({ ...ANSWER, lnkConns: [] }, plain)).toMatchInlineSnapshot(`
    "node       8a2e1c5e-0000-4000-8000-00000000000a "DATA"
    cluster    circuit HAMMER2 8a2e1c5e-0000-4000-8000-000000000001 "tank"
    connection gw.1:103 circuit 192.0.2.7:4321

    No LNK_CONN is open on the connection: nothing is relayed to it.
    "
  `);
});
