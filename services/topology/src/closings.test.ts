import { expect, it } from 'vitest';
import { FakeGateway } from './testing/fake-gateway.fixture.ts';
import { FakeLeader } from './testing/fake-leader.fixture.ts';
import { settle } from './testing/world.fixture.ts';

const NODE = 7;
const NONE = { selection: 0, link: 0, lnk_conn: 0, refused: 0, snapshot: 0 };

/** A leader, and a gateway with a link that is relayed on the LNK_CONN of another connection. */
function relayed() {
  const leader = new FakeLeader();
  const gateway = new FakeGateway('a');
  gateway.connect(leader);
  const link = gateway.openLink(gateway.openConnection(), NODE, 3);
  const lnkConn = gateway.openLnkConn(gateway.openConnection());
  settle(leader, [gateway]);
  expect([...gateway.relays.keys()]).toHaveLength(1);
  const closed = () => ({ ...leader.core.commander.closed, ...leader.core.state.trees.closed });
  expect(closed()).toEqual(NONE);
  return { leader, gateway, link, lnkConn, closed };
}

type Relayed = ReturnType<typeof relayed>;

it.each<[string, (world: Relayed) => void]>([
  ['link', ({ gateway, link }) => gateway.closeLink(link)],
  ['lnk_conn', ({ gateway, lnkConn }) => gateway.closeLnkConn(lnkConn)],
  ['selection', ({ gateway }) => gateway.openLink(gateway.openConnection(), NODE, 0)],
  ['refused', ({ gateway }) => gateway.refuse([...gateway.relays.keys()][0]!)],
  [
    'snapshot',
    ({ leader, gateway }) => {
      gateway.disconnect();
      // The gateway's relays have closed while it had no stream, and not because a peer refused them.
      gateway.relays.clear();
      gateway.connect(leader);
    },
  ],
])('a relay that has closed is counted once, by its reason: %s', (reason, close) => {
  const world = relayed();
  close(world);
  settle(world.leader, [world.gateway]);
  expect(world.closed()).toEqual({ ...NONE, [reason]: 1 });
});

it('is counted even if this leader does not select any more; relays that are only forgotten with its term are not', () => {
  const { leader, gateway, link, closed } = relayed();
  const other = gateway.openLink(gateway.openConnection(), NODE + 1);
  settle(leader, [gateway]);
  expect(gateway.relays.size).toBe(2);
  gateway.closeLink(link);
  gateway.flush();
  while (gateway.deliverUp());
  leader.lose();
  expect(closed()).toEqual({ ...NONE, link: 1 });
  expect(gateway.links.has(other)).toBe(true);
});
