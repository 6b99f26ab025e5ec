import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { BLK_READ, DELETE } from '@spanmesh/dmsg/command';
import { Handshake } from '@spanmesh/dmsg/crypto/handshake';
import { CIRCUIT } from '@spanmesh/dmsg/dialect';
import { encodeMessage } from '@spanmesh/dmsg/message';
import { shellAux } from '@spanmesh/dmsg/payload/dbg-shell';
import { TestDirectory, testKeys } from '@spanmesh/dmsg-socket/keys/keys.fixture';
import { EventKind } from '@spanmesh/proto/v1/events';
import { changes, samples } from '@spanmesh/runtime/metrics.fixture';
import { until } from '@spanmesh/runtime/patience.fixture';
import { afterEach, describe, expect, it } from 'vitest';
import { SHELL_TEXT_BYTES } from './limits.ts';
import { Mesh } from './routing/mesh.fixture.ts';
import { CONN, SPAN, spanPayload, TestGateway } from './testing/gateway.fixture.ts';
import { type RawPeer, word } from './testing/raw-peer.fixture.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(env: Record<string, string> = {}): Promise<TestGateway> {
  const made = await TestGateway.start({ env });
  cleanups.push(() => made.stop());
  return made;
}

async function startMesh(gateways: 1 | 2, env: Record<string, string> = {}): Promise<Mesh> {
  const mesh = await Mesh.start(env, gateways);
  cleanups.push(() => mesh.stop());
  return mesh;
}

/** A sample of a gateway, by its name without `spanmesh_gateway_`. */
async function sample(made: TestGateway, name: string): Promise<number | undefined> {
  return (await samples(made.metrics))[`gateway_${name}`];
}

/** The lines of the log with this text, with their fields. */
const logged = (made: TestGateway, msg: string) => made.log.filter((line) => line.msg === msg);

/** The gateway has handled everything that the peer has sent (circuit). */
async function barrier(peer: RawPeer): Promise<void> {
  peer.say({ cmd: 0x00000101 });
  while (word(await peer.next()) !== '20000101');
}

const QUIET = { onMessage() {}, onLost() {} };

describe('a gateway shows', () => {
  // Causes: metric spanmesh_gateway_connections, spanmesh_gateway_connections_established, spanmesh_gateway_connections_accepted_total
  // Causes: metric spanmesh_gateway_lnk_conns, spanmesh_gateway_received_bytes_total, spanmesh_gateway_received_messages_total
  // Causes: metric spanmesh_gateway_sent_bytes_total, spanmesh_gateway_connections_closed_total, spanmesh_gateway_open
  it('a peer that comes, asks for spans, and goes', async () => {
    const made = await start();
    let peer: RawPeer | undefined;
    const came = await changes(made.metrics, async () => {
      ({ peer } = await made.established('circuit'));
    });
    expect(came).toMatchObject({
      gateway_connections: 1,
      gateway_connections_established: 1,
      gateway_connections_accepted_total: 1,
      gateway_lnk_conns: 1,
      gateway_received_messages_total: 1,
      'gateway_open{table="connections"}': 1,
      'gateway_open{table="lnkConns"}': 1,
    });
    expect([came.gateway_received_bytes_total, came.gateway_sent_bytes_total].every((bytes = 0) => bytes >= 64)).toBe(
      true,
    );
    const went = await changes(made.metrics, async () => {
      peer?.socket.end();
      await made.attach.until((delta) => delta.connectionsClosed.length === 1);
    });
    expect(went).toMatchObject({
      gateway_connections_established: -1,
      gateway_lnk_conns: -1,
      'gateway_connections_closed_total{reason="peer-closed"}': 1,
      'gateway_open{table="established"}': -1,
    });
  });

  // Causes: metric spanmesh_gateway_links, spanmesh_gateway_links_opened_total, spanmesh_gateway_relays, spanmesh_gateway_relays_opened_total
  // Causes: metric spanmesh_gateway_relays_refused_total, spanmesh_gateway_relays_closed_total, spanmesh_gateway_first_relay_seconds
  it('a span, its relay, and that the peer refuses it', async () => {
    const made = await start();
    made.clock.advance(1_000);
    const { peer: owner } = await made.established('circuit');
    const { peer, lnkConn } = await made.established('circuit');
    let link = 0;
    expect(
      await changes(made.metrics, async () => {
        link = await made.span(owner, 'circuit');
      }),
    ).toMatchObject({ gateway_links: 1, gateway_links_opened_total: 1 });
    made.clock.advance(250);
    const relayed = await changes(made.metrics, async () => {
      made.attach.command({ relays: [{ gateway: '', link, open: [lnkConn], close: [] }] });
      await peer.next();
    });
    expect(relayed).toMatchObject({
      gateway_relays: 1,
      gateway_relays_opened_total: 1,
      gateway_first_relay_seconds_count: 1,
      gateway_first_relay_seconds_sum: expect.closeTo(0.25, 5),
    });
    const refused = await changes(made.metrics, async () => {
      peer.say({ cmd: 0xe80fff01, msgid: peer.got.at(-1)?.msgid ?? CONN });
      await peer.next();
    });
    expect(refused).toMatchObject({
      gateway_relays: -1,
      gateway_relays_refused_total: 1,
      'gateway_relays_closed_total{reason="refused"}': 1,
    });
  });

  // Causes: metric spanmesh_gateway_protocol_errors_total
  // Causes: line connection closed
  it('bad input, which costs its connection', async () => {
    const made = await start();
    const { peer } = await made.established('circuit');
    const cost = await changes(made.metrics, async () => {
      peer.say({ cmd: 0x400fff01, msgid: { lo: 77, hi: 0 } });
      await peer.end();
    });
    expect(cost).toMatchObject({
      'gateway_protocol_errors_total{error="TRANS"}': 1,
      'gateway_connections_closed_total{reason="protocol-error"}': 1,
    });
    expect(logged(made, 'connection closed')).toMatchObject([
      { level: 'warn', reason: 'protocol-error', error: 'TRANS' },
    ]);
  });

  // Causes: metric spanmesh_gateway_internal_errors_total
  it('a fault of its own, with its stack in the log', async () => {
    const made = await start();
    const { peer } = await made.established('circuit');
    made.attach.reports.linkOpened = () => {
      throw new Error('a fault of the program');
    };
    const cost = await changes(made.metrics, async () => {
      peer.say({ cmd: 0x80001207, msgid: SPAN, payload: spanPayload('circuit') });
      await peer.end();
    });
    expect(cost).toMatchObject({
      gateway_internal_errors_total: 1,
      'gateway_connections_closed_total{reason="internal"}': 1,
    });
    const [line] = logged(made, 'connection closed');
    expect(line).toMatchObject({ level: 'error', reason: 'internal' });
    expect(JSON.stringify(line)).toContain('signs.test.ts');
  });

  // Causes: metric spanmesh_gateway_connections_refused_total
  // Causes: line connection refused
  it('whom it does not take', async () => {
    const made = await start({ SPANMESH_MAX_CONNECTIONS_PER_ADDRESS: '1' });
    await made.established('circuit');
    const refused = await changes(made.metrics, async () => (await made.peer('circuit')).end());
    expect(refused).toEqual({ 'gateway_connections_refused_total{reason="too-many-from-address"}': 1 });
    expect(logged(made, 'connection refused')).toMatchObject([
      { level: 'warn', peer: '127.0.0.1', refusal: 'too-many-from-address', advice: expect.any(String) },
    ]);
  });

  // Causes: metric spanmesh_gateway_opens_refused_total, spanmesh_gateway_share_limits_total, spanmesh_gateway_shares_held
  // Causes: metric spanmesh_gateway_shares_most, spanmesh_gateway_shares_limit
  // Causes: line a principal has more than its share
  it('who comes to a share, and what all have', async () => {
    const made = await start({ SPANMESH_MAX_LINKS: '4' });
    const { peer } = await made.established('circuit', '127.0.0.66');
    const other = await made.established('circuit');
    await made.span(other.peer, 'circuit');
    const opened = await changes(made.metrics, async () => {
      for (const lo of [1, 2, 3]) peer.say({ cmd: 0x80001207, msgid: { lo, hi: 1 }, payload: spanPayload('circuit') });
      await peer.words(3);
    });
    expect(opened).toMatchObject({
      gateway_opens_refused_total: 1,
      'gateway_share_limits_total{resource="links"}': 1,
      'gateway_shares_held{resource="links"}': 2,
      'gateway_shares_most{resource="links"}': 1,
    });
    expect(await samples(made.metrics)).toMatchObject({
      'gateway_shares_held{resource="links"}': 3,
      'gateway_shares_most{resource="links"}': 2,
      'gateway_shares_limit{resource="links"}': 4,
    });
    expect(logged(made, 'a principal has more than its share')).toMatchObject([
      { level: 'warn', principal: '127.0.0.66' },
    ]);
  });

  // Causes: metric spanmesh_gateway_unknown_commands_total, spanmesh_gateway_ignored_messages_total, spanmesh_gateway_shell_commands_total
  // Causes: metric spanmesh_gateway_shell_refused_total, spanmesh_gateway_commands_stale_total, spanmesh_gateway_probes_sent_total
  it('what nobody knows, or should have said', async () => {
    const made = await start();
    const { peer } = await made.established('circuit');
    await made.span(peer, 'circuit');
    const [{ id: connection } = { id: 0 }] = made.attach.delta.connectionsOpened;
    const said = await changes(made.metrics, async () => {
      peer.say({ cmd: 0xc0077701, msgid: { lo: 1, hi: 1 } }, { cmd: 0x00077701, msgid: SPAN });
      peer.say(
        { cmd: 0x00100101, aux: shellAux('') },
        { cmd: 0x00100101, aux: shellAux('x'.repeat(SHELL_TEXT_BYTES + 1)) },
      );
      made.attach.command({ probe: [connection, 99] });
      await barrier(peer);
    });
    expect(said).toMatchObject({
      gateway_unknown_commands_total: 1,
      gateway_ignored_messages_total: 1,
      gateway_shell_commands_total: 2,
      gateway_shell_refused_total: 1,
      gateway_commands_stale_total: 1,
      gateway_probes_sent_total: 1,
    });
  });

  // Causes: metric spanmesh_gateway_negative_dists_total, spanmesh_gateway_volconfs_total, spanmesh_gateway_volconfs_ignored_total
  // Causes: metric spanmesh_gateway_routed_dropped_total
  it('what peers of the older dialect say', async () => {
    const made = await start();
    const { peer } = await made.established('linkid');
    const slot = (index: number) => {
      const payload = Buffer.alloc(448);
      payload[0] = 1;
      payload.write('span:a', 64, 'latin1');
      payload.writeInt32LE(index, 128);
      return { cmd: 0x00002008, msgid: CONN, payload };
    };
    const said = await changes(made.metrics, async () => {
      peer.say({ cmd: 0x80001207, msgid: SPAN, payload: spanPayload('linkid', 3, -5) }, slot(0), slot(256));
      peer.say({ cmd: 0x80100101, msgid: { lo: 8, hi: 0 }, target: { lo: 1, hi: 1 }, aux: shellAux('help') });
      // Answered once all before it was taken.
      peer.say({ cmd: 0x00100101, aux: shellAux('') });
      await peer.next();
    });
    expect(said).toMatchObject({
      gateway_negative_dists_total: 1,
      gateway_volconfs_total: 1,
      gateway_volconfs_ignored_total: 1,
      gateway_routed_dropped_total: 1,
    });
  });

  // Causes: metric spanmesh_gateway_connections_dialled_total, spanmesh_gateway_dials_failed_total
  it('connections that it makes, and those that it cannot make', async () => {
    const made = await start();
    const server = createServer((socket) => socket.on('error', () => {}));
    server.listen(0, '127.0.0.2');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const dial = () => made.gateway.dial({ host: '127.0.0.2', port }, 'circuit', { kind: 'shell' }).catch(() => null);
    expect(
      await changes(made.metrics, async () => {
        void dial();
        await until(() => made.gateway.counters.connectionsDialled === 1);
      }),
    ).toMatchObject({ gateway_connections_dialled_total: 1 });
    server.close();
    made.clock.advance(60_000);
    await until(() => made.gateway.counts().connections === 0);
    expect(await changes(made.metrics, dial)).toMatchObject({ gateway_dials_failed_total: 1 });
  });

  // Causes: metric spanmesh_gateway_receive_pending_bytes
  it('bytes of a message of which the rest has not come', async () => {
    const made = await start();
    const { peer } = await made.established('circuit');
    const whole = encodeMessage({ rules: CIRCUIT, cmd: 0x00100101, aux: Buffer.alloc(2_000, 32), salt: 1 });
    peer.raw(whole.subarray(0, 1_000));
    await expect.poll(() => sample(made, 'receive_pending_bytes')).toBe(1_000);
    peer.raw(whole.subarray(1_000));
    await peer.next();
    expect(await sample(made, 'receive_pending_bytes')).toBe(0);
  });

  // Causes: metric spanmesh_gateway_queued_bytes
  it('bytes that wait for a peer that does not read', async () => {
    const made = await start();
    const { peer: owner } = await made.established('circuit');
    const { peer, lnkConn } = await made.established('circuit');
    const link = await made.span(owner, 'circuit');
    expect(await sample(made, 'queued_bytes')).toBe(0);
    peer.socket.pause();
    while (made.gateway.queuedBytes < 100_000) {
      made.attach.command({ relays: [{ gateway: '', link, open: [lnkConn], close: [] }] });
      made.attach.command({ relays: [{ gateway: '', link, open: [], close: [lnkConn] }] });
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await sample(made, 'queued_bytes')).toBeGreaterThanOrEqual(100_000);
    peer.destroy();
    await expect.poll(() => sample(made, 'queued_bytes')).toBe(0);
  });
});

describe('a gateway with keys shows', () => {
  const ours = testKeys();
  const theirs = testKeys();

  async function withKeys(env: Record<string, string> = {}) {
    const directory = new TestDirectory({
      'rsa.prv': ours.prv,
      'rsa.pub': ours.pub,
      'remote/127.0.0.1.pub': theirs.pub,
    });
    cleanups.push(() => directory.remove());
    const made = await start({ SPANMESH_KEYS_DIR: directory.path, ...env });
    const dial = async (): Promise<Socket> => {
      const socket = connect({ host: '127.0.0.1', port: made.port('circuit') });
      cleanups.push(() => socket.destroy());
      socket.on('error', () => {}).resume();
      await once(socket, 'connect');
      return socket;
    };
    return { directory, made, dial };
  }

  // Causes: metric spanmesh_gateway_handshakes, spanmesh_gateway_handshakes_total, spanmesh_gateway_handshake_seconds
  it('a handshake while it lasts, and that it is over', async () => {
    const { made, dial } = await withKeys();
    const socket = await dial();
    await expect.poll(() => sample(made, 'handshakes')).toBe(1);
    made.clock.advance(500);
    socket.write(new Handshake({ own: theirs.own, peer: ours.shown }, { random: randomBytes, replays: null }).wire);
    await expect.poll(() => sample(made, 'handshakes_total')).toBe(1);
    expect(await samples(made.metrics)).toMatchObject({
      gateway_handshakes: 0,
      gateway_handshake_seconds_count: 1,
      gateway_handshake_seconds_sum: 0.5,
    });
  });

  // Causes: metric spanmesh_gateway_handshakes_failed_total, spanmesh_gateway_handshakes_to_close, spanmesh_gateway_failed_handshake_limits_total
  // Causes: line handshake failed, connection closed
  // Causes: line handshakes keep failing; further ones are refused for a while, before any RSA
  it('one that fails, and an address from which too many do', async () => {
    const { made, dial } = await withKeys({ SPANMESH_FAILED_HANDSHAKES_PER_ADDRESS: '1' });
    const socket = await dial();
    const closed = once(socket, 'close');
    socket.write(randomBytes(512));
    await expect.poll(() => sample(made, 'handshakes_to_close')).toBe(1);
    made.clock.advance(10_000);
    await closed;
    await until(() => logged(made, 'handshake failed, connection closed').length === 1);
    const all = await samples(made.metrics);
    expect(all).toMatchObject({
      gateway_handshakes_to_close: 0,
      'gateway_failed_handshake_limits_total{of="address"}': 1,
      'gateway_connections_refused_total{reason="handshake"}': 1,
    });
    const failed = Object.entries(all).filter(([name]) => name.startsWith('gateway_handshakes_failed_total'));
    expect(failed.map(([, value]) => value)).toEqual([1]);
    expect(logged(made, 'handshakes keep failing; further ones are refused for a while, before any RSA')).toMatchObject(
      [{ level: 'warn', peer: '127.0.0.1', limit: 'address' }],
    );
  });

  // Causes: metric spanmesh_gateway_keys_problems, spanmesh_gateway_keys_reloads_total
  // Causes: event KEYS_RELOADED, KEYS_BAD
  // Causes: line a file of the keys directory cannot be used as it is; see spanmesh keys check
  it('keys that are read again, and files of them that cannot be used', async () => {
    const { directory, made } = await withKeys();
    const told = (kind: EventKind) => made.told.filter((one) => one.kind === kind);
    const becomes = (name: string, least: number) =>
      expect
        .poll(async () => {
          made.clock.advance(1_000);
          return (await sample(made, name)) ?? 0;
        })
        .toBeGreaterThanOrEqual(least);
    directory.write('remote/127.0.0.7.pub', theirs.pub);
    await becomes('keys_reloads_total', 1);
    await until(() => told(EventKind.EVENT_KIND_KEYS_RELOADED).length > 0);
    directory.write('remote/127.0.0.8.pub', 'no key');
    await becomes('keys_problems', 1);
    await until(() => told(EventKind.EVENT_KIND_KEYS_BAD).length > 0);
    expect(told(EventKind.EVENT_KIND_KEYS_BAD)).toMatchObject([{ files: { error: expect.stringMatching(/./) } }]);
    const line = 'a file of the keys directory cannot be used as it is; see spanmesh keys check';
    expect(logged(made, line)).toMatchObject([{ level: 'warn', file: expect.stringContaining('127.0.0.8.pub') }]);
  });
});

describe('gateways that pass messages on show', () => {
  // Causes: metric spanmesh_gateway_routed_transactions_total, spanmesh_gateway_routed_transaction_seconds
  it('transactions, and how long they take', async () => {
    const mesh = await startMesh(1);
    const [a, b] = [await mesh.join('circuit'), await mesh.join('circuit')];
    const relay = await mesh.relay((await mesh.span(b)).link, a);
    let theirs: Parameters<typeof b.node.onOpen>[0] | undefined;
    b.node.onOpen = (tx) => {
      theirs = tx;
    };
    const passed = await changes(mesh.gateway.metrics, async () => {
      a.node.endpoint.open(BLK_READ | DELETE, relay, QUIET);
      a.node.flush();
      await b.node.until(() => theirs !== undefined);
      mesh.gateway.clock.advance(250);
      if (theirs !== undefined) b.node.endpoint.end(theirs);
      b.node.flush();
      await mesh.settled();
    });
    expect(passed).toMatchObject({
      gateway_routed_transactions_total: 1,
      gateway_routed_transaction_seconds_count: 1,
      gateway_routed_transaction_seconds_sum: 0.25,
    });
  });

  // Causes: metric spanmesh_gateway_on_demand_relays
  it('relays that are there only as the way back', async () => {
    const mesh = await startMesh(1);
    const [a, b] = [await mesh.join('linkid'), await mesh.join('linkid')];
    const [spanA, spanB] = [await mesh.span(a), await mesh.span(b)];
    const relayB = await mesh.relay(spanB.link, a);
    a.node.endpoint.open(BLK_READ, null, QUIET, null, 0, null, a.node.address(spanA.tx, relayB));
    a.node.flush();
    await mesh.settled();
    expect(await sample(mesh.gateway, 'on_demand_relays')).toBe(1);
    a.node.endpoint.end(spanA.tx);
    a.node.flush();
    await mesh.settled();
    expect(await sample(mesh.gateway, 'on_demand_relays')).toBe(0);
    // No return path is left in the table for the next sweep either.
    expect(await sample(mesh.gateway, 'open{table="returnPathsOnDemand"}')).toBe(0);
  });

  // Causes: metric spanmesh_gateway_trunk_established, spanmesh_gateway_trunk_opened_total, spanmesh_gateway_trunk_routes
  // Causes: metric spanmesh_gateway_trunk_transactions, spanmesh_gateway_trunk_lost_total, spanmesh_gateway_trunk_received_bytes_total
  // Causes: metric spanmesh_gateway_trunk_sent_bytes_total, spanmesh_gateway_trunk_received_messages_total
  // Causes: metric spanmesh_gateway_trunk_sent_messages_total, spanmesh_gateway_trunk_routes_refused_total
  // Causes: metric spanmesh_gateway_trunk_routes_unreachable_total
  it('a trunk, what passes over it, and that it is lost', async () => {
    const mesh = await startMesh(2);
    const [one, two] = mesh.gateways as [TestGateway, TestGateway];
    const [a, b] = [await mesh.join('circuit', one), await mesh.join('circuit', two)];
    const relay = await mesh.relaySpan(await mesh.span(b), a);
    let taken = 0;
    b.node.onOpen = () => taken++;
    const opened = await changes(one.metrics, async () => {
      a.node.endpoint.open(BLK_READ, relay, QUIET);
      a.node.flush();
      await b.node.until(() => taken === 1);
      await mesh.settled();
    });
    expect(opened).toMatchObject({
      gateway_trunk_established: 1,
      gateway_trunk_opened_total: 1,
      gateway_trunk_routes: 1,
      // The route is one, too.
      gateway_trunk_transactions: 2,
    });
    for (const what of ['sent_messages', 'received_messages', 'sent_bytes', 'received_bytes']) {
      expect(opened[`gateway_trunk_${what}_total`]).toBeGreaterThan(0);
    }
    const refused = await changes(two.metrics, async () => {
      one.gateway.trunks?.route({ gateway: two.gateway.id, number: 999 }, 'circuit', null);
      await mesh.settled();
    });
    expect(refused).toMatchObject({ gateway_trunk_routes_refused_total: 1 });
    const unknown = () => one.gateway.trunks?.route({ gateway: 'gw-3.00000001', number: 1 }, 'circuit', null);
    expect(await changes(one.metrics, unknown)).toEqual({ gateway_trunk_routes_unreachable_total: 1 });
    const lost = await changes(one.metrics, () => mesh.cutTrunk());
    expect(lost).toMatchObject({
      gateway_trunk_established: -1,
      'gateway_trunk_lost_total{reason="renamed"}': 1,
      gateway_trunk_routes: -1,
      gateway_trunk_transactions: -2,
    });
  });
});
