import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { LivePeer } from '../peer/live-peer.ts';
import { testUuid } from '../peer/payloads.ts';
import { type Dialect, isCmd, LNK_PING, type Message } from '../peer/wire.ts';
import { World } from '../peer/world.ts';

/**
 * A peer that was cut off without FIN and comes back (architecture.md, "Half-dead peers"): its old connection is still
 * open and silent, and a new one opens LNK_CONN from the same address with the same identity.
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

    // One node with two links, distinguished by pfs_type, which is not part of a node's identity.
    const OLD = 1;
    const NEW = 2;
    const link = (pfsType: number) => ({ cluster: testUuid(0xc1), node: testUuid(0xf1), dist: 1, pfsType });

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

    const isPing = (message: Message) => isCmd(message, LNK_PING);
    const wasPinged = (peer: LivePeer) => peer.raw.log.some(isPing);
    // Each peer has a socket of its own: what another one has received says nothing of when this one's PING comes.
    const pinged = (peer: LivePeer) => peer.received(isPing, 'a PING');

    it('is sent a PING, ranks behind, and gets its rank back when it shows life', async () => {
      const taker = await observer();
      const old = await life('old');
      old.openSpan(link(OLD));
      await taker.relay(({ pfsType }) => pfsType === OLD);
      old.isSilent = true;
      const fresh = await life('new');
      fresh.openSpan(link(NEW));
      await taker.relay(({ pfsType }) => pfsType === NEW, 'the relay of the new connection');
      // circuit relays one link of a node, now the new one; linkid relays both.
      if (dialect === 'circuit') await taker.relayGone(({ pfsType }) => pfsType === OLD);
      await pinged(old);
      expect(wasPinged(fresh)).toBe(false);
      old.isSilent = false;
      await world.settled(old, fresh, taker);
      const links = taker.relays().map(({ span: { pfsType } }) => pfsType);
      expect(links.sort()).toEqual(dialect === 'circuit' ? [OLD] : [OLD, NEW]);
      expect(old.raw.isEnded).toBe(false);
    });

    it('is closed if it has ever answered a PING and does not now, but not if it never has', async () => {
      // Asked first, so that its time is over before that of the other peer.
      const mute = await life('mute', '127.0.0.7');
      mute.isSilent = true;
      const muteAgain = await life('mute again', '127.0.0.7');
      await world.settled(muteAgain);
      await pinged(mute);

      const taker = await observer();
      const old = await life('old');
      old.openSpan(link(OLD));
      const passing = await life('passing');
      await world.settled(old, passing, taker);
      await pinged(old);
      await passing.hangUp();
      old.isSilent = true;
      const fresh = await life('new');
      fresh.openSpan(link(NEW));
      await old.raw.untilEnded();
      await taker.relay(({ pfsType }) => pfsType === NEW);
      await taker.relayGone(({ pfsType }) => pfsType === OLD);
      await world.settled(fresh, taker);
      expect(fresh.raw.isEnded).toBe(false);
      expect(mute.raw.isEnded).toBe(false);
    });

    it('is not sent a PING when the address or the identity differs', async () => {
      const one = await life('one');
      const elsewhere = await life('elsewhere', '127.0.0.8');
      const named = await world.live(dialect, { name: 'named', localAddress: '127.0.0.9' });
      await named.openConn({ label: 'another', cluster: testUuid(0xc9) });
      await world.settled(one, elsewhere, named);
      expect([one, elsewhere, named].map(wasPinged)).toEqual([false, false, false]);
    });
  },
);
