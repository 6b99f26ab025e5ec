import { until } from '@spanmesh/runtime/patience.fixture';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { LivePeer } from '../peer/live-peer.ts';
import { testUuid } from '../peer/payloads.ts';
import type { Dialect } from '../peer/wire.ts';
import { World } from '../peer/world.ts';

/**
 * Peers connect, leave, offer, withdraw and refuse at random, without waiting. Once all is quiet, a peer that was
 * connected all the time must hold exactly the relays that a new peer gets (architecture.md, "What must always hold" 2
 * and 4). The name of each test is its seed.
 */
const PEERS = 6;
const STEPS = 400;

interface Member {
  peer: LivePeer;
  conn: bigint | null;
  spans: bigint[];
}

describe.each(['linkid', 'circuit'] as Dialect[])('churn, %s', (dialect) => {
  let world: World;
  beforeAll(async () => {
    world = await World.start({ markers: dialect === 'linkid' ? 'circuit' : 'linkid' });
  });
  afterEach(() => world.clear());
  afterAll(() => world?.stop());

  let names = 0;
  async function join(): Promise<Member> {
    const name = `p${++names}`;
    const peer = await world.live(dialect, { name });
    return { peer, conn: await peer.openConn({ label: name }), spans: [] };
  }

  const held = (peer: LivePeer) =>
    peer
      .relays()
      .map(({ span }) => JSON.stringify(span))
      .sort();

  it.each([1, 2, 3, 4, 5, 6])('seed %i', async (seed) => {
    let state = seed;
    const random = (below: number) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    const observer = await join();
    const members = await Promise.all(Array.from({ length: PEERS }, join));
    for (let step = 0; step < STEPS; step++) {
      const at = random(PEERS);
      const member = members[at]!;
      const { peer, spans } = member;
      const dice = random(100);
      if (dice < 55) {
        spans.push(peer.openSpan({ node: testUuid(random(12)), dist: random(19), pfsType: random(3) }));
      } else if (dice < 80) {
        const msgid = spans.splice(random(spans.length), 1)[0];
        // Not awaited: the next steps meet a router that is busy with this one.
        if (msgid !== undefined) void peer.close(msgid).catch(() => {});
      } else if (dice < 90) {
        const relay = peer.relays()[0];
        if (relay !== undefined) void peer.refuse(relay).catch(() => {});
      } else if (dice < 95) {
        if (member.conn !== null) void peer.close(member.conn).catch(() => {});
        member.conn = null;
      } else {
        if (random(2) === 0) peer.raw.reset();
        else peer.raw.destroy();
        members[at] = await join();
      }
    }
    await world.settled(observer.peer, ...members.map(({ peer }) => peer));
    // The router may notice the resets of peers later; they cannot be asked for a barrier.
    const open = members.reduce((sum, { spans }) => sum + spans.length, 0);
    await until(
      () => world.counts().links === world.baseline.links! + open,
      () => `${open} links: ${JSON.stringify(world.counts())}`,
    );
    const newcomer = await join();
    await world.settled(observer.peer, newcomer.peer);
    expect(held(observer.peer)).toEqual(held(newcomer.peer));
    expect(held(newcomer.peer).length).toBeGreaterThan(0);
    for (const { peer } of members) expect(peer.raw.fault).toBeNull();
    expect(world.counts().treeLinks).toBe(world.baseline.treeLinks! + open);
  });
});
