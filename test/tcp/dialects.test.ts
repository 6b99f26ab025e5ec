import { ListLinksRequest, TopologyClient } from '@spanmesh/proto/v1/topology';
import { createClient } from '@spanmesh/runtime/grpc/grpc-client';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type LivePeer, MARKER_CLUSTER } from '../peer/live-peer.ts';
import { connBody, connFields, spanBody, spanFields, testUuid } from '../peer/payloads.ts';
import type { RawPeer } from '../peer/raw-peer.ts';
import { CREATE, DBG_SHELL, type Dialect, isCmd, LNK_CONN, LNK_ERROR, LNK_SPAN, REPLY, textAux } from '../peer/wire.ts';
import { World } from '../peer/world.ts';

/** Which dialect a connection speaks, and that the dialects do not mix (protocol.md, introduction). */
describe('dialects', () => {
  let world: World;
  beforeAll(async () => {
    world = await World.start({ markers: 'linkid' });
  });
  afterEach(() => world.clear());
  afterAll(() => world?.stop());

  /** A peer at the listener that waits for the dialect. */
  const unknown = (dialect: Dialect): Promise<RawPeer> =>
    world.raw(dialect, { port: world.port(null), name: 'unknown' });

  describe.each(['linkid', 'circuit'] as Dialect[])('a listener without a fixed dialect, a %s peer', (dialect) => {
    it('sends nothing until LNK_CONN shows the dialect, and then opens its own', async () => {
      const peer = await unknown(dialect);
      await world.settled();
      expect(peer.log).toEqual([]);
      peer.send({ cmd: CREATE | LNK_CONN[dialect], msgid: 0x10n, body: connBody(dialect, connFields({})) });
      await peer.expectCmd(CREATE | LNK_CONN[dialect]);
      await peer.expect(
        (message) =>
          message.msgid === 0x10n &&
          (message.cmd & CREATE) !== 0 &&
          isCmd({ ...message, cmd: message.cmd & 0xfffff }, LNK_ERROR),
        'the answer to LNK_CONN',
      );
    });

    it('holds a span that comes before LNK_CONN, and accepts it then', async () => {
      const taker = await world.live(dialect, { name: 'taker' });
      await taker.openConn({ label: 'taker' });
      const peer = await unknown(dialect);
      peer.send({
        cmd: CREATE | LNK_SPAN,
        msgid: 0x20n,
        body: spanBody(dialect, spanFields({ node: testUuid(0xf1), nodeLabel: 'early' })),
      });
      await world.settled(taker);
      expect(taker.relays()).toEqual([]);
      peer.send({ cmd: CREATE | LNK_CONN[dialect], msgid: 0x10n, body: connBody(dialect, connFields({})) });
      await taker.relay(({ nodeLabel }) => nodeLabel === 'early');
    });
  });

  it('takes a first DBG_SHELL as linkid', async () => {
    const peer = await unknown('linkid');
    peer.send({ cmd: DBG_SHELL, aux: textAux('help') });
    await peer.expectCmd(CREATE | LNK_CONN.linkid);
    await peer.expectCmd(DBG_SHELL | REPLY);
    await peer.expect((message) => isCmd(message, LNK_ERROR | REPLY) && message.msgid === 0n, 'the end of the output');
  });

  it.each(['linkid', 'circuit'] as Dialect[])(
    'speaks %s by default to a peer that does not show its dialect in time',
    async (dialect) => {
      const own = await World.start({
        markers: 'linkid',
        settings: { SPANMESH_DIALECT_TIMEOUT: '50ms', SPANMESH_DEFAULT_DIALECT: dialect },
      });
      try {
        const peer = await own.raw(dialect, { port: own.port(null) });
        await peer.expectCmd(CREATE | LNK_CONN[dialect]);
        // Messages that were held until then are handled, too.
        const second = await own.raw(dialect, { port: own.port(null) });
        second.send({
          cmd: CREATE | LNK_SPAN,
          msgid: 0x20n,
          body: spanBody(dialect, spanFields({ nodeLabel: 'held' })),
        });
        const taker = await own.live(dialect, { name: 'taker' });
        await taker.openConn({ label: 'taker' });
        await taker.relay(({ nodeLabel }) => nodeLabel === 'held');
      } finally {
        await own.stop();
      }
    },
  );

  it('does not relay spans of one dialect to peers of the other; the API shows all', async () => {
    const peers: Record<Dialect, LivePeer[]> = { linkid: [], circuit: [] };
    for (const dialect of ['linkid', 'circuit'] as Dialect[]) {
      for (const name of ['giver', 'taker']) {
        const peer = await world.live(dialect, { name: `${dialect} ${name}` });
        await peer.openConn({ label: peer.raw.name });
        peers[dialect].push(peer);
      }
      // The same uuids in both dialects: they are still two nodes.
      peers[dialect][0]!.openSpan({ cluster: testUuid(0xc1), node: testUuid(0xf1), nodeLabel: dialect });
    }
    await world.settled(...peers.linkid, ...peers.circuit);
    for (const dialect of ['linkid', 'circuit'] as Dialect[]) {
      expect(peers[dialect][0]!.relays()).toEqual([]);
      expect(peers[dialect][1]!.relays().map(({ span }) => span.nodeLabel)).toEqual([dialect]);
    }
    expect((await linkLabels(world)).sort()).toEqual(['circuit', 'linkid']);
  });
});

/** Labels of all links that the API lists. */
async function linkLabels(world: World): Promise<string[]> {
  const client = createClient(TopologyClient, `127.0.0.1:${world.standalone.grpcPort}`);
  try {
    return await new Promise((resolve, reject) => {
      client.listLinks(ListLinksRequest.create({}), (error, response) => {
        if (error !== null) reject(error);
        else
          resolve(response.links.filter(({ node }) => node?.cluster?.id !== MARKER_CLUSTER).map(({ label }) => label));
      });
    });
  } finally {
    client.close();
  }
}
