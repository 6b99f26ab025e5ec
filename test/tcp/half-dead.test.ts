import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { LivePeer } from '../peer/live-peer.ts';
import { testUuid } from '../peer/payloads.ts';
import { type Dialect, isCmd, LNK_PING } from '../peer/wire.ts';
import { World } from '../peer/world.ts';

/**
 * A peer cut off without FIN that comes back (architecture.md, "Half-dead peers"): the old connection stays open and says
 * nothing, a new one opens LNK_CONN from the same address with the same identity.
 */
describe.each(['linkid', 'circuit'] as Dialect[])(
  'a peer that comes back before its loss is noticed, %s',
  (dialect) => {
    let world: World;
    beforeAll(async () => {
      world = await World.start({
        markers: dialect === 'linkid' ? 'circuit' : 'linkid',
        settings: { SPANMESH_PROBE_TIMEOUT: '150ms' },
      });
    });
    afterEach(() => world.clear());
    afterAll(() => world?.stop());

    const span = { cluster: testUuid(0xc1), node: testUuid(0xf1), dist: 1 };

    async function life(name: string, localAddress = '127.0.0.9'): Promise<LivePeer> {
      const peer = await world.live(dialect, { name, localAddress });
      await peer.openConn({ label: 'same', cluster: testUuid(0xc9) });
      return peer;
    }

    async function observer(): Promise<LivePeer> {
      const peer = await world.live(dialect, { name: 'observer' });
      await peer.openConn({ label: 'observer' });
      return peer;
    }

    const wasPinged = (peer: LivePeer) => peer.raw.log.some((message) => isCmd(message, LNK_PING));

    it('is asked with a PING, ranks behind, and comes back to its place when it shows life', async () => {
      const taker = await observer();
      const old = await life('old');
      old.openSpan({ ...span, nodeLabel: 'old' });
      await taker.relay(({ nodeLabel }) => nodeLabel === 'old');
      old.isSilent = true;
      const fresh = await life('new');
      fresh.openSpan({ ...span, nodeLabel: 'new' });
      await taker.relay(({ nodeLabel }) => nodeLabel === 'new', 'the relay of the new connection');
      // Width 1: the new one has taken its place. linkid relays both.
      if (dialect === 'circuit') await taker.relayGone(({ nodeLabel }) => nodeLabel === 'old');
      expect(wasPinged(old)).toBe(true);
      expect(wasPinged(fresh)).toBe(false);
      old.isSilent = false;
      await world.settled(old, fresh, taker);
      const labels = taker.relays().map(({ span: { nodeLabel } }) => nodeLabel);
      expect(labels.sort()).toEqual(dialect === 'circuit' ? ['old'] : ['new', 'old']);
      expect(old.raw.isEnded).toBe(false);
    });

    it('is closed when it has ever answered a PING and does not now', async () => {
      const taker = await observer();
      const old = await life('old');
      old.openSpan({ ...span, nodeLabel: 'old' });
      const passing = await life('passing');
      await world.settled(old, passing, taker);
      expect(wasPinged(old)).toBe(true);
      await passing.hangUp();
      old.isSilent = true;
      const fresh = await life('new');
      fresh.openSpan({ ...span, nodeLabel: 'new' });
      await old.raw.untilEnded();
      await taker.relay(({ nodeLabel }) => nodeLabel === 'new');
      await taker.relayGone(({ nodeLabel }) => nodeLabel === 'old');
      await world.settled(fresh, taker);
      expect(fresh.raw.isEnded).toBe(false);
    });

    it('is not asked when the address or the identity is another', async () => {
      const one = await life('one');
      const elsewhere = await life('elsewhere', '127.0.0.8');
      const named = await world.live(dialect, { name: 'named', localAddress: '127.0.0.9' });
      await named.openConn({ label: 'another', cluster: testUuid(0xc9) });
      await world.settled(one, elsewhere, named);
      expect([one, elsewhere, named].map(wasPinged)).toEqual([false, false, false]);
    });
  },
);
