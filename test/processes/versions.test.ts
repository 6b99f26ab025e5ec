import { settings as gatewaySettings, LinkGatewayProcess } from '@spanmesh/link-gateway/process';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { eventually } from '@spanmesh/runtime/patience.fixture';
import { readSettings } from '@spanmesh/runtime/settings/setting';
import { TopologyProcess, settings as topologySettings } from '@spanmesh/topology/process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ECHO, EchoNode } from '../peer/echo-node.ts';
import { LivePeer } from '../peer/live-peer.ts';
import { testUuid } from '../peer/payloads.ts';
import { PATIENCE_MS } from '../peer/raw-peer.ts';
import { echoNode, messagingClient, RouteClient } from '../peer/route-client.ts';

// Processes with several versions of the protocol between services. They run in this process, because the version that
// they claim is not a setting.

/** The leader's version. */
const N = 5;
const LISTEN = {
  SPANMESH_GRPC_LISTEN: '127.0.0.1:0',
  SPANMESH_SERVICE_LISTEN: '127.0.0.1:0',
  SPANMESH_HTTP_LISTEN: '127.0.0.1:0',
};

interface Line {
  readonly level: string;
  readonly msg: string;
  readonly code?: string;
  readonly details?: string;
}

let topology: TopologyProcess;
const logs = new Map<number, Line[]>();
const gateways = new Map<number, LinkGatewayProcess>();
const peers: LivePeer[] = [];

function loggerOf(version: number) {
  const lines: Line[] = [];
  logs.set(version, lines);
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
  return createLogger({ level: 'info', service: `version-${version}`, destination });
}

async function startGateway(version: number): Promise<LinkGatewayProcess> {
  const env = {
    ...LISTEN,
    SPANMESH_GATEWAY_NAME: `gateway-${version}`,
    SPANMESH_DMSG_LISTEN: 'circuit://127.0.0.1:0',
    SPANMESH_TRUNK_LISTEN: '127.0.0.1:0',
    SPANMESH_TOPOLOGY_ADDRESS: `127.0.0.1:${topology.ports.servicePort}`,
  };
  const options = readSettings(gatewaySettings, { env, flags: {} });
  const gateway = new LinkGatewayProcess(options, loggerOf(version), { protocolVersion: version });
  gateways.set(version, gateway);
  await gateway.start();
  return gateway;
}

beforeAll(async () => {
  const options = readSettings(topologySettings, { env: LISTEN, flags: {} });
  topology = new TopologyProcess(options, loggerOf(0), { protocolVersion: N });
  await topology.start();
  for (const version of [N - 2, N - 1, N, N + 1]) await startGateway(version);
  await eventually(async () => (topology.topology.core.control.live === 3 ? true : undefined), 'three attach');
}, 4 * PATIENCE_MS);

afterAll(async () => {
  for (const peer of peers) peer.raw.destroy();
  await Promise.all([...gateways.values()].map((gateway) => gateway.stop()));
  await topology?.stop();
});

const portOf = (version: number) => gateways.get(version)!.gateway.ports[0]!.port;

async function peerAt(version: number): Promise<LivePeer> {
  const name = `peer-${peers.length}`;
  const localAddress = `127.0.0.${30 + peers.length}`;
  const peer = await LivePeer.connect({ port: portOf(version), dialect: 'circuit', name, localAddress });
  peers.push(peer);
  await peer.openConn({ label: name });
  return peer;
}

describe('versions side by side', () => {
  it('work together: gateways of N-1, N and N+1 are one router under a leader of N', async () => {
    for (const [from, to] of [
      [N - 1, N],
      [N, N - 1],
      [N + 1, N],
      [N - 1, N + 1],
    ] as const) {
      const node = testUuid(100 * from + to);
      const [giver, taker] = [await peerAt(from), await peerAt(to)];
      giver.openSpan({ node });
      await taker.relay((span) => span.node === node);
    }
  });

  it.each([
    [N - 1, N],
    [N, N - 1],
    [N, N + 1],
  ])('carry routed transactions from a gateway of version %i to one of %i', async (from, to) => {
    const node = await EchoNode.start(portOf(to), 'circuit', 10 * from + to);
    const client = messagingClient(gateways.get(from)!.ports.apiPort);
    try {
      const route = await RouteClient.open(client, echoNode('circuit', 10 * from + to));
      expect(route.opened.link).toMatch(new RegExp(`^gateway-${to}\\.`));
      route.send({ transaction: 1, create: true, delete: true, command: ECHO, aux: Buffer.alloc(64, 3) });
      expect(await route.message()).toMatchObject({ transaction: 1, create: true, delete: true });
      route.stream.cancel();
    } finally {
      client.close();
      await node.stop();
    }
  });

  it('refuse N-2: that gateway is told both versions and what to do, and stays without a leader', async () => {
    const old = gateways.get(N - 2)!;
    expect(old.gateway.notReady()).not.toBeNull();
    const told = logs.get(N - 2)!.find(({ msg }) => msg === 'not attached to topology');
    expect(told).toMatchObject({ level: 'warn', code: 'UNIMPLEMENTED' });
    expect(told?.details).toMatch(
      new RegExp(`speaks version ${N} .*gateway gateway-${N - 2}\\.\\S+ .*version ${N - 2}: .*Upgrade gateway `),
    );
  });

  it('log a refusal once, and count each one', async () => {
    const refused = await eventually(async () => {
      const attempts = topology.ports.protocol.refused.gateway ?? 0;
      return attempts >= 3 ? attempts : undefined;
    }, 'it has tried several times');
    const lines = logs.get(0)!.filter(({ msg }) => msg.includes(`version ${N - 2}:`));
    expect(lines).toHaveLength(1);
    console.info(`refused ${refused} times, logged ${lines.length} times`);
  });
});
