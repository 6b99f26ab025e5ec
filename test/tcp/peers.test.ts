import { until } from '@spanmesh/runtime/patience.fixture';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { LivePeer } from '../peer/live-peer.ts';
import { type ConnFields, NIL_UUID, PEER, type SpanFields, testUuid } from '../peer/payloads.ts';
import type { Dialect } from '../peer/wire.ts';
import { World } from '../peer/world.ts';

/**
 * Live peers and one router: which peers get relays of which spans, and when these end (architecture.md, "Relay
 * selection").
 */

const CLUSTER = testUuid(0xc1);
const NODE = testUuid(0xf1);

/** Most links of one node that are relayed on a LNK_CONN. */
const WIDTH: Record<Dialect, number> = { linkid: 2, circuit: 1 };

describe.each(['linkid', 'circuit'] as Dialect[])('live peers, %s', (dialect) => {
  let world: World;
  beforeAll(async () => {
    world = await World.start({ markers: dialect === 'linkid' ? 'circuit' : 'linkid' });
  });
  afterEach(() => world.clear());
  afterAll(() => world?.stop());

  let peers = 0;
  /** A peer with an open LNK_CONN. */
  async function member(fields: Partial<ConnFields> = {}): Promise<LivePeer> {
    const name = `p${++peers}`;
    const peer = await world.live(dialect, { name });
    await peer.openConn({ label: name, ...fields });
    return peer;
  }

  /** The relays that the peer holds, by node label and dist. */
  function held(peer: LivePeer): string[] {
    return peer
      .relays()
      .map(({ span }) => `${span.nodeLabel}@${span.dist}`)
      .sort();
  }

  const span = (fields: Partial<SpanFields>): Partial<SpanFields> => ({ cluster: CLUSTER, node: NODE, ...fields });

  describe('spans are relayed', () => {
    it('to every other peer, with dist + 1, and not back', async () => {
      const all = await Promise.all(Array.from({ length: 8 }, () => member()));
      for (const [n, peer] of all.entries()) {
        peer.openSpan(span({ node: testUuid(0x100 + n), nodeLabel: `n${n}`, dist: n }));
      }
      await world.settled(...all);
      for (const [n, peer] of all.entries()) {
        const others = all.map((_, m) => m).filter((m) => m !== n);
        expect(held(peer)).toEqual(others.map((m) => `n${m}@${m + 1}`).sort());
      }
    });

    it('with exactly their fields', async () => {
      const giver = await member();
      const taker = await member();
      const fields = span({ pfsType: 7, protoVersion: 3, status: 0x01020304, nodeLabel: 'label', dist: 2 });
      giver.openSpan({ ...fields, ...(dialect === 'circuit' ? { clusterLabel: 'host/dev', rnss: 5 } : {}) });
      const { span: got, opened } = await taker.relay(() => true);
      expect(got).toMatchObject({ ...fields, dist: 3 });
      if (dialect === 'circuit') expect(got.clusterLabel).toBe('host/dev');
      expect({ circuit: opened.circuit, target: opened.target, error: opened.error }).toEqual({
        circuit: 0n,
        target: 0n,
        error: 0,
      });
    });

    it('to a peer that opens LNK_CONN later, and end when it closes it; its own spans stay', async () => {
      const giver = await member();
      giver.openSpan(span({ nodeLabel: 'g' }));
      const late = await world.live(dialect, { name: 'late' });
      late.openSpan(span({ node: testUuid(0xf2), nodeLabel: 'l' }));
      await world.settled(giver, late);
      expect(held(late)).toEqual([]);
      expect(held(giver)).toEqual(['l@1']);
      const conn = await late.openConn({ label: 'late' });
      await late.relay(() => true);
      await late.close(conn);
      await world.settled(giver, late);
      expect(held(late)).toEqual([]);
      expect(held(giver)).toEqual(['l@1']);
    });

    it('up to dist 16', async () => {
      const giver = await member();
      const taker = await member();
      giver.openSpan(span({ node: testUuid(0xf2), nodeLabel: 'far', dist: 16 }));
      giver.openSpan(span({ node: testUuid(0xf3), nodeLabel: 'too far', dist: 17 }));
      await world.settled(giver, taker);
      expect(held(taker)).toEqual(['far@17']);
    });

    it(`for the ${WIDTH[dialect]} nearest links of a node; when one goes, the next is relayed`, async () => {
      const taker = await member();
      const givers = await Promise.all([3, 1, 2].map(() => member()));
      const ids = [3, 1, 2].map((dist, at) => givers[at]!.openSpan(span({ nodeLabel: 'n', dist })));
      await world.settled(taker, ...givers);
      const wanted = (dists: number[]) => dists.slice(0, WIDTH[dialect]).map((dist) => `n@${dist + 1}`);
      expect(held(taker)).toEqual(wanted([1, 2, 3]));
      await givers[1]!.close(ids[1]!);
      await world.settled(taker, ...givers);
      expect(held(taker)).toEqual(wanted([2, 3]));
      givers[1]!.openSpan(span({ nodeLabel: 'n', dist: 0 }));
      await world.settled(taker, ...givers);
      expect(held(taker)).toEqual(wanted([0, 2, 3]));
    });

    it('not past a link of the same peer: farther links are not relayed either', async () => {
      const near = await member();
      const far = await member();
      near.openSpan(span({ nodeLabel: 'n', dist: 1 }));
      far.openSpan(span({ nodeLabel: 'n', dist: 5 }));
      await world.settled(near, far);
      expect(held(near)).toEqual([]);
      expect(held(far)).toEqual(['n@2']);
    });
  });

  describe('filters', () => {
    it('peer_mask', async () => {
      const giver = await member();
      const blocks = await member({ peerMask: 1n << BigInt(PEER.BLOCK) });
      const nothing = await member({ peerMask: 0n });
      giver.openSpan(span({ nodeLabel: 'block', peerType: PEER.BLOCK }));
      giver.openSpan(
        span({ cluster: testUuid(0xc2), node: testUuid(0xf2), nodeLabel: 'router', peerType: PEER.ROUTER }),
      );
      giver.openSpan(
        span({ cluster: testUuid(0xc3), node: testUuid(0xf3), nodeLabel: 'client', peerType: PEER.CLIENT }),
      );
      await world.settled(giver, blocks, nothing);
      expect(held(blocks)).toEqual(['block@1']);
      expect(held(nothing)).toEqual([]);
    });

    if (dialect === 'linkid') {
      it('a HAMMER2 mount gets HAMMER2 spans of its own cluster or of none', async () => {
        const giver = await member();
        const mount = await member({ peerType: PEER.HAMMER2, cluster: CLUSTER });
        const hammer2 = (cluster: string, n: number, nodeLabel: string) =>
          giver.openSpan({ cluster, node: testUuid(n), nodeLabel, peerType: PEER.HAMMER2 });
        hammer2(CLUSTER, 0xf1, 'own');
        hammer2(NIL_UUID, 0xf2, 'none');
        hammer2(testUuid(0xc2), 0xf3, 'other');
        giver.openSpan({ cluster: testUuid(0xc2), node: testUuid(0xf4), nodeLabel: 'block', peerType: PEER.BLOCK });
        await world.settled(giver, mount);
        expect(held(mount)).toEqual(['block@1', 'none@1', 'own@1']);
      });

      it('of each LNK_CONN of a connection apply to that one only', async () => {
        const giver = await member();
        const taker = await member({ peerMask: 1n << BigInt(PEER.BLOCK) });
        const second = await taker.openConn({ label: 'second' });
        giver.openSpan(span({ nodeLabel: 'block', peerType: PEER.BLOCK }));
        giver.openSpan(span({ node: testUuid(0xf2), nodeLabel: 'router', peerType: PEER.ROUTER }));
        await world.settled(giver, taker);
        expect(held(taker)).toEqual(['block@1', 'block@1', 'router@1']);
        await taker.close(second);
        await world.settled(giver, taker);
        expect(held(taker)).toEqual(['block@1']);
      });
    } else {
      it('a CLIENT gets no CLIENTs, and with a peer_id only that peer', async () => {
        const giver = await member();
        const client = await member({ peerType: PEER.CLIENT });
        const picky = await member({ peerType: PEER.CLIENT, cluster: CLUSTER });
        giver.openSpan(span({ nodeLabel: 'own' }));
        giver.openSpan(span({ cluster: testUuid(0xc2), node: testUuid(0xf2), nodeLabel: 'other' }));
        giver.openSpan(span({ node: testUuid(0xf3), nodeLabel: 'client', peerType: PEER.CLIENT }));
        await world.settled(giver, client, picky);
        expect(held(client)).toEqual(['other@1', 'own@1']);
        expect(held(picky)).toEqual(['own@1']);
      });

      it('adds the same constant to every rnss, modulo 2^32', async () => {
        const giver = await member();
        const taker = await member();
        for (const [n, rnss] of [0, 1, 0xffffffff].entries()) {
          giver.openSpan(span({ node: testUuid(0x100 + n), nodeLabel: `n${n}`, rnss }));
        }
        await world.settled(giver, taker);
        const byLabel = new Map(taker.relays().map((relay) => [relay.span.nodeLabel, relay.span.rnss]));
        const constant = byLabel.get('n0')!;
        expect(byLabel.get('n1')).toBe((constant + 1) >>> 0);
        expect(byLabel.get('n2')).toBe((constant + 0xffffffff) >>> 0);
      });
    }
  });

  describe('relays end', () => {
    const ways: [string, (giver: LivePeer, msgid: bigint) => unknown][] = [
      ['their owner closes them', (giver, msgid) => giver.close(msgid)],
      ['their owner hangs up', (giver) => giver.hangUp()],
      ['their owner is gone', (giver) => giver.raw.destroy()],
      ['the connection is reset', (giver) => giver.raw.reset()],
    ];
    it.each(ways)('when %s', async (_, end) => {
      const [giver, other, taker] = await Promise.all([member(), member(), member()]);
      const msgid = giver!.openSpan(span({ nodeLabel: 'going' }));
      other!.openSpan(span({ node: testUuid(0xf2), nodeLabel: 'staying' }));
      await taker!.relay(({ nodeLabel }) => nodeLabel === 'going');
      await taker!.relay(({ nodeLabel }) => nodeLabel === 'staying');
      await end(giver!, msgid);
      await taker!.relayGone(({ nodeLabel }) => nodeLabel === 'going');
      await world.settled(other!, taker!);
      expect(held(taker!)).toEqual(['staying@1']);
      expect(held(other!)).toEqual([]);
    });

    it('and other links are relayed instead', async () => {
      const [near, far, taker] = await Promise.all([member(), member(), member()]);
      near!.openSpan(span({ nodeLabel: 'n', dist: 1 }));
      far!.openSpan(span({ nodeLabel: 'n', dist: 7 }));
      await world.settled(near!, far!, taker!);
      near!.raw.reset();
      await taker!.relay(({ dist }) => dist === 8);
      await taker!.relayGone(({ dist }) => dist === 2);
    });

    it('and nothing is kept of hundreds of them', async () => {
      const [giver, taker] = await Promise.all([member(), member()]);
      for (let n = 0; n < 500; n++) giver!.openSpan(span({ node: testUuid(0x1000 + n) }));
      await until(
        () => taker!.relays().length === 500,
        () => `500 relays, ${taker!.relays().length} came`,
      );
      giver!.raw.reset();
      await taker!.relayGone(() => true);
      taker!.raw.destroy();
      await world.idle();
    });
  });

  describe('a refused relay', () => {
    it('is not offered again when other nodes change, but when the selection changes', async () => {
      const [giver, better, taker] = await Promise.all([member(), member(), member()]);
      giver!.openSpan(span({ nodeLabel: 'n', dist: 5 }));
      await taker!.refuse(await taker!.relay(() => true));
      giver!.openSpan(span({ node: testUuid(0xf2), nodeLabel: 'unrelated' }));
      await taker!.relay(({ nodeLabel }) => nodeLabel === 'unrelated');
      await world.settled(giver!, better!, taker!);
      expect(held(taker!)).toEqual(['unrelated@1']);

      const nearer = better!.openSpan(span({ nodeLabel: 'n', dist: 1 }));
      await taker!.relay(({ dist }) => dist === 2);
      await better!.close(nearer);
      await taker!.relay(({ dist }) => dist === 6, 'the relay that was refused before the selection changed');
    });

    it('is offered again on a new LNK_CONN', async () => {
      const giver = await member();
      const taker = await world.live(dialect, { name: 'taker' });
      const conn = await taker.openConn({ label: 'taker' });
      giver.openSpan(span({ nodeLabel: 'n' }));
      await taker.refuse(await taker.relay(() => true));
      await world.settled(giver, taker);
      expect(held(taker)).toEqual([]);
      await taker.close(conn);
      await taker.openConn({ label: 'taker' });
      await taker.relay(({ nodeLabel }) => nodeLabel === 'n');
    });
  });

  it('keeps a status message for the tree and does not relay it', async () => {
    const [giver, taker] = await Promise.all([member(), member()]);
    const msgid = giver!.openSpan(span({ nodeLabel: 'n', dist: 1 }));
    const relay = await taker!.relay(() => true);
    const before = taker!.raw.log.length;
    giver!.sendStatus(msgid, span({ nodeLabel: 'n', dist: 9, status: 5 }));
    await world.settled(giver!, taker!);
    // The answers to two barriers, and nothing else.
    expect(taker!.raw.log.length).toBe(before + 2);
    expect(taker!.relays().map(({ msgid: held }) => held)).toEqual([relay.msgid]);
  });

  it('does not connect to itself, and goes on', async () => {
    const shell = await world.live(dialect, { name: 'shell' });
    const before = (await world.metrics()).size;
    expect(before).toBeGreaterThan(0);
    const lines = await shell.shell(`span 127.0.0.1:${world.port(dialect)}`);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^Connection to .* failed$/);
    const giver = await member();
    const taker = await member();
    giver.openSpan(span({ nodeLabel: 'n' }));
    await taker.relay(({ dist }) => dist === 1);
    // Only the peers of this test are connected.
    await until(
      () => world.counts().connections === world.baseline.connections! + 3,
      () => `three connections more than ${world.baseline.connections}: ${JSON.stringify(world.counts())}`,
    );
    await world.settled(giver, taker);
    expect(held(taker)).toEqual(['n@1']);
    expect(held(giver)).toEqual([]);
  });
});
