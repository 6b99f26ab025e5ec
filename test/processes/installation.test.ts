import { credentials, type ServiceError, status } from '@grpc/grpc-js';
import { DialClient, DialRequest } from '@spanmesh/proto/v1/dial';
import { DirectoryClient, FindClusterRequest } from '@spanmesh/proto/v1/directory';
import { AcquireClusterRequest, MessagingClient } from '@spanmesh/proto/v1/messaging';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ECHO, EchoNode } from '../peer/echo-node.ts';
import { Installation, ServiceProcess } from '../peer/installation.ts';
import { LivePeer } from '../peer/live-peer.ts';
import { testUuid } from '../peer/payloads.ts';
import { echoNode, messagingClient, RouteClient } from '../peer/route-client.ts';
import type { Dialect } from '../peer/wire.ts';

const DIALECTS: Dialect[] = ['linkid', 'circuit'];
const LAST = testUuid(0x1a57);

let installation: Installation;
const peers: LivePeer[] = [];

beforeAll(async () => {
  installation = await Installation.start(2, { SPANMESH_RNSS: '1000' });
});

afterAll(async () => {
  for (const peer of peers) peer.raw.destroy();
  await installation.emptied().finally(() => installation.stop());
});

async function peerAt(gateway: number, dialect: Dialect, name: string): Promise<LivePeer> {
  const port = installation.gateways[gateway]!.dmsg[dialect];
  const peer = await LivePeer.connect({ port, dialect, name, localAddress: `127.0.0.${10 + peers.length}` });
  peers.push(peer);
  await peer.openConn({ label: name });
  return peer;
}

describe.each(DIALECTS)('two gateways and topology in processes of their own, %s', (dialect) => {
  it('look like one router: a span is relayed once on every other LNK_CONN, one hop farther', async () => {
    const giver = await peerAt(0, dialect, 'giver');
    const takers = [await peerAt(0, dialect, 'near'), await peerAt(1, dialect, 'far')];
    giver.openSpan({ node: testUuid(1), dist: 3, rnss: 7, nodeLabel: 'disk0' });
    // Changes are selected in the order of their arrival: when the last span is relayed, all relays of the first one
    // exist.
    giver.openSpan({ node: LAST });
    for (const taker of takers) {
      await taker.relay(({ node }) => node === LAST);
      const relays = taker.relays().filter(({ span }) => span.node === testUuid(1));
      expect(relays).toHaveLength(1);
      expect(relays[0]!.span).toMatchObject({ dist: 4, nodeLabel: 'disk0' });
      if (dialect === 'circuit') expect(relays[0]!.span.rnss).toBe(1007);
    }
    expect(giver.relays()).toEqual([]);
    giver.raw.destroy();
    for (const taker of takers) await taker.relayGone(() => true);
  });

  it('carry routes of users of one gateway to nodes of the other', async () => {
    const node = await EchoNode.start(installation.gateways[0]!.dmsg[dialect], dialect, 7);
    const client = messagingClient(installation.gateways[1]!.ports.grpc);
    try {
      const route = await RouteClient.open(client, echoNode(dialect, 7));
      expect(route.opened.link).toMatch(/^gateway-1\./);
      route.send({ transaction: 1, create: true, delete: true, command: ECHO, aux: Buffer.alloc(64, 3) });
      expect(await route.message()).toMatchObject({
        transaction: 1,
        create: true,
        delete: true,
        aux: Buffer.alloc(64, 3),
      });
      await node.stop();
      expect(await route.ended).toMatchObject({ code: status.UNAVAILABLE });
    } finally {
      client.close();
      await node.stop();
    }
  });
});

describe('the ports of a process', () => {
  it('do not offer the services’ own protocol to users of the API', async () => {
    const codeOf = (call: (done: (error: ServiceError | null) => void) => unknown) =>
      new Promise((resolve) => call((error) => resolve(error?.code ?? status.OK)));
    const codes = async ({ ports }: ServiceProcess) => {
      const found: unknown[] = [];
      for (const port of [ports.grpc, ports.service]) {
        const address = `127.0.0.1:${port}`;
        const directory = new DirectoryClient(address, credentials.createInsecure());
        const messaging = new MessagingClient(address, credentials.createInsecure());
        const dial = new DialClient(address, credentials.createInsecure());
        found.push([
          await codeOf((done) => directory.findCluster(FindClusterRequest.create(), done)),
          await codeOf((done) => messaging.acquireCluster(AcquireClusterRequest.create(), done)),
          await codeOf((done) => dial.dial(DialRequest.create(), done)),
        ]);
        for (const client of [directory, messaging, dial]) client.close();
      }
      return found;
    };
    const [absent, there] = [status.UNIMPLEMENTED, status.INVALID_ARGUMENT];
    // The API of topology passes Messaging on to a gateway.
    expect(await codes(installation.topology)).toEqual([
      [absent, there, absent],
      [there, absent, absent],
    ]);
    expect(await codes(installation.gateways[0]!)).toEqual([
      [absent, there, absent],
      [absent, there, there],
    ]);
  });
});

describe('without topology', () => {
  it('routes remain, and calls that ask for a node wait until it is back', async () => {
    const { topology, gateways } = installation;
    const node = await EchoNode.start(gateways[0]!.dmsg.circuit, 'circuit', 8);
    const client = messagingClient(gateways[1]!.ports.grpc);
    try {
      const route = await RouteClient.open(client, echoNode('circuit', 8));
      await topology.stop('SIGKILL');
      route.send({ transaction: 1, create: true, delete: true, command: ECHO });
      expect(await route.message()).toMatchObject({ transaction: 1, delete: true });
      const later = RouteClient.open(client, echoNode('circuit', 8));
      const again = topology.again();
      await again.ready();
      const second = await later;
      // The older route still works, too: a topology that has just started has not ended any trunk.
      for (const [one, transaction] of [
        [second, 1],
        [route, 2],
      ] as const) {
        one.send({ transaction, create: true, delete: true, command: ECHO });
        expect(await one.message()).toMatchObject({ transaction, delete: true });
      }
      route.stream.cancel();
      second.stream.cancel();
      await again.stop();
    } finally {
      client.close();
      await node.stop();
    }
  });
});

describe('a process', () => {
  it('that is told to stop drains, and exits with 0', async () => {
    const lone = await ServiceProcess.start('topology', {});
    await lone.ready();
    expect(await lone.stop()).toBe(0);
    expect(lone.output).toBe('');
  });

  it('whose port is in use says so in one line, and exits with 2', async () => {
    const { service } = installation.gateways[0]!.ports;
    const second = await ServiceProcess.start('topology', { SPANMESH_SERVICE_LISTEN: `127.0.0.1:${service}` });
    await expect(second.ready()).rejects.toThrow(/exit code 2/);
    expect(second.output).toMatch(/^SPANMESH_SERVICE_LISTEN: .*\n$/);
  });
});
