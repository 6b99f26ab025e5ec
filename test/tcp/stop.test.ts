import { describe, expect, it } from 'vitest';
import { testUuid } from '../peer/payloads.ts';
import { DELETE, type Dialect, isCmd, LNK_ERROR } from '../peer/wire.ts';
import { World } from '../peer/world.ts';

describe.each(['linkid', 'circuit'] as Dialect[])('a router that is told to stop, %s', (dialect) => {
  it('closes relays, then its LNK_CONN, then the connection', async () => {
    const world = await World.start({ markers: dialect === 'linkid' ? 'circuit' : 'linkid' });
    try {
      const giver = await world.live(dialect, { name: 'giver' });
      await giver.openConn({ label: 'giver' });
      const taker = await world.live(dialect, { name: 'taker' });
      await taker.openConn({ label: 'taker' });
      for (const n of [1, 2, 3]) giver.openSpan({ node: testUuid(n) });
      await world.settled(giver, taker);
      const relays = taker.relays().map(({ msgid }) => msgid);
      expect(relays).toHaveLength(3);
      const conn = taker.routerConn!;
      const before = taker.raw.log.length;
      // Not awaited: it waits for the peers, up to a limit.
      const stopped = world.stopRouter();
      expect(await taker.raw.untilEnded()).toBe('fin');
      const ends = taker.raw.log.slice(before).filter((message) => isCmd(message, DELETE | LNK_ERROR));
      const order = ends.map(({ msgid }) => msgid);
      expect(new Set(order.slice(0, 3))).toEqual(new Set(relays));
      expect(order.slice(3)).toEqual([conn]);
      taker.raw.destroy();
      giver.raw.destroy();
      await stopped;
    } finally {
      await world.stop();
    }
  });
});
