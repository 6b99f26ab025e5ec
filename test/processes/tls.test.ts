import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ServiceError, status } from '@grpc/grpc-js';
import { openClient } from '@spanmesh/ctl/api/open-client';
import { main } from '@spanmesh/ctl/main';
import { RecordingTerminal } from '@spanmesh/ctl/terminal.fixture';
import { DialClient, DialRequest } from '@spanmesh/proto/v1/dial';
import { DirectoryClient, FindClusterRequest } from '@spanmesh/proto/v1/directory';
import { type AttachResponse, GatewayControlClient, Hello } from '@spanmesh/proto/v1/gateway_control';
import { AcquireClusterRequest, MessagingClient } from '@spanmesh/proto/v1/messaging';
import { ProcessClient, SetLogLevelRequest } from '@spanmesh/proto/v1/process';
import { OrderLogLevelRequest, ProcessOrdersClient } from '@spanmesh/proto/v1/process_orders';
import {
  DrainGatewayRequest,
  ListClustersRequest,
  ListTrafficRequest,
  TopologyClient,
} from '@spanmesh/proto/v1/topology';
import { GatewayTrafficClient, ListGatewayTrafficRequest, TrafficKind } from '@spanmesh/proto/v1/traffic';
import { TrunkClient } from '@spanmesh/proto/v1/trunk';
import { createApiToken } from '@spanmesh/runtime/access/api-tokens';
import { systemClock } from '@spanmesh/runtime/clock';
import { freePort } from '@spanmesh/runtime/free-port.fixture';
import { createClient } from '@spanmesh/runtime/grpc/grpc-client';
import { PROTOCOL_VERSION } from '@spanmesh/runtime/grpc/protocol-version';
import { recordingLogger } from '@spanmesh/runtime/tls/certificates.fixture';
import { LINK_GATEWAY_NAME, TOPOLOGY_NAME } from '@spanmesh/runtime/tls/service-names';
import { channelCredentials, meaning, meetingGateway } from '@spanmesh/runtime/tls/tls-credentials';
import { watchTlsFiles } from '@spanmesh/runtime/tls/tls-files';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ECHO, EchoNode } from '../peer/echo-node.ts';
import { ServiceProcess } from '../peer/installation.ts';
import { echoNode, RouteClient } from '../peer/route-client.ts';

const operator = createApiToken({ name: 'operator', role: 'operate' });
const reader = createApiToken({ name: 'reader', role: 'read' });

const NAMES = ['gateway-1', 'gateway-2'];
/** Arguments for `certs init`: a key pair for each gateway. */
const NAMED = NAMES.flatMap((name) => ['--gateway', name]);

let directory: string;
let topology: ServiceProcess;
const gateways: { readonly service: ServiceProcess; readonly dmsg: number }[] = [];
const started: ServiceProcess[] = [];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'spanmesh-tls-'));
  await certs('first', ...NAMED);
  symlinkSync('first', file('current'));
  writeFileSync(file('tokens'), `${operator.line}\n${reader.line}\n`);
  topology = await start('topology', tlsOf('topology'));
  for (const name of NAMES) {
    const dmsg = await freePort();
    const service = await start('link-gateway', {
      ...tlsOf(`link-gateway-${name}`),
      SPANMESH_GATEWAY_NAME: name,
      SPANMESH_TOPOLOGY_ADDRESS: `127.0.0.1:${topology.ports.service}`,
      SPANMESH_DMSG_LISTEN: `circuit://127.0.0.1:${dmsg}`,
    });
    gateways.push({ service, dmsg });
  }
  await topology.ready();
  for (const { service } of gateways) await service.ready();
});

afterAll(async () => {
  await Promise.all(started.map((service) => service.stop()));
  rmSync(directory, { recursive: true });
});

const file = (name: string) => join(directory, name);

async function certs(name: string, ...args: string[]): Promise<void> {
  expect(await main(['certs', 'init', file(name), ...args], new RecordingTerminal())).toBe(0);
}

async function start(service: string, env: Record<string, string>): Promise<ServiceProcess> {
  const made = await ServiceProcess.start(service, env);
  started.push(made);
  return made;
}

/** The TLS settings of a process, with the certificate of this name. */
function tlsOf(name: string): Record<string, string> {
  return {
    SPANMESH_TLS_CA: file('current/ca.crt'),
    SPANMESH_TLS_CERT: file(`current/${name}.crt`),
    SPANMESH_TLS_KEY: file(`current/${name}.key`),
    SPANMESH_API_TLS_CERT: file('current/api.crt'),
    SPANMESH_API_TLS_KEY: file('current/api.key'),
    SPANMESH_API_TLS_CA: file('current/ca.crt'),
    SPANMESH_API_TOKENS_FILE: file('tokens'),
  };
}

const target = (port: number, token: string | undefined, ca = 'current') => ({
  address: `127.0.0.1:${port}`,
  access: { ca: file(`${ca}/ca.crt`), ...(token !== undefined && { token }) },
});

function codeOf(call: (done: (error: ServiceError | null) => void) => unknown): Promise<string> {
  return new Promise((resolve) => call((error) => resolve(error === null ? 'OK' : status[error.code]!)));
}

/** Calls ListClusters of topology, and returns the code. */
async function list(token: string | undefined, ca?: string): Promise<string> {
  const client = openClient(TopologyClient, target(topology.ports.grpc, token, ca));
  try {
    return await codeOf((done) => client.listClusters(ListClustersRequest.create(), done));
  } finally {
    client.close();
  }
}

describe('an installation with certificates, each service in a process of its own', () => {
  it('carries a route over a trunk, for a user with a token', async () => {
    const node = await EchoNode.start(gateways[0]!.dmsg, 'circuit', 7);
    const client = openClient(MessagingClient, target(gateways[1]!.service.ports.grpc, operator.token));
    try {
      const route = await RouteClient.open(client, echoNode('circuit', 7));
      expect(route.opened.link).toMatch(/^gateway-1\./);
      route.send({ transaction: 1, create: true, delete: true, command: ECHO, aux: Buffer.alloc(64, 3) });
      expect(await route.message()).toMatchObject({ transaction: 1, aux: Buffer.alloc(64, 3) });
    } finally {
      client.close();
      await node.stop();
    }
  });

  it('carries a route for a user who only knows the address of topology; both refuse users without permission', async () => {
    const node = await EchoNode.start(gateways[0]!.dmsg, 'circuit', 8);
    const client = openClient(MessagingClient, target(topology.ports.grpc, operator.token));
    const less = openClient(MessagingClient, target(topology.ports.grpc, reader.token));
    const trees = openClient(TopologyClient, target(gateways[0]!.service.ports.grpc, reader.token));
    const nobody = openClient(TopologyClient, target(gateways[0]!.service.ports.grpc, undefined));
    try {
      const route = await RouteClient.open(client, echoNode('circuit', 8));
      route.send({ transaction: 1, create: true, delete: true, command: ECHO, aux: Buffer.alloc(64, 3) });
      expect(await route.message()).toMatchObject({ transaction: 1, aux: Buffer.alloc(64, 3) });
      const acquire = AcquireClusterRequest.create();
      const drain = DrainGatewayRequest.fromPartial({ gateway: 'gateway-2' });
      expect([
        await codeOf((done) => less.acquireCluster(acquire, done)),
        await codeOf((done) => trees.listClusters(ListClustersRequest.create(), done)),
        await codeOf((done) => trees.drainGateway(drain).on('error', done)),
        await codeOf((done) => nobody.listClusters(ListClustersRequest.create(), done)),
      ]).toEqual(['PERMISSION_DENIED', 'OK', 'PERMISSION_DENIED', 'UNAUTHENTICATED']);
    } finally {
      for (const one of [client, less, trees, nobody]) one.close();
      await node.stop();
    }
  });

  it('shows traffic to users who may read: topology and the gateways identify each other by certificates', async () => {
    const counted = async (token: string | undefined, { ports } = topology): Promise<unknown> => {
      const client = openClient(TopologyClient, target(ports.grpc, token));
      try {
        return await new Promise((resolve) => {
          const kinds = [TrafficKind.TRAFFIC_KIND_ROUTE_CLASS];
          client.listTraffic(ListTrafficRequest.fromPartial({ kinds }), (error, answer) =>
            resolve(error === null ? [answer.counters.length, answer.silentGateways] : status[error.code]),
          );
        });
      } finally {
        client.close();
      }
    };
    expect([await counted(undefined), await counted(reader.token)]).toEqual(['UNAUTHENTICATED', [6, []]]);
    expect(await counted(reader.token, gateways[1]!.service)).toEqual([6, []]);
    const client = openClient(GatewayTrafficClient, target(gateways[0]!.service.ports.service, operator.token));
    const request = ListGatewayTrafficRequest.create();
    expect(await codeOf((done) => client.listGatewayTraffic(request, done))).toBe('UNAVAILABLE');
    client.close();
  });

  it('authenticates users, and does not serve them at the service port', async () => {
    expect([await list(undefined), await list('x'), await list(reader.token)]).toEqual([
      'UNAUTHENTICATED',
      'UNAUTHENTICATED',
      'OK',
    ]);
    const client = openClient(DirectoryClient, target(topology.ports.service, operator.token));
    expect(await codeOf((done) => client.findCluster(FindClusterRequest.create(), done))).toBe('UNAVAILABLE');
    client.close();
  });

  it('accepts orders about log levels from operators only', async () => {
    // Without NATS each process is asked directly; in test/deploy/nats-users.test.ts orders are passed on.
    const order = async (token: string | undefined): Promise<string> => {
      const client = openClient(ProcessClient, target(gateways[0]!.service.ports.grpc, token));
      const request = SetLogLevelRequest.fromPartial({ level: 'debug', service: 'link-gateway' });
      const code = await codeOf((done) => client.setLogLevel(request, done));
      client.close();
      return code;
    };
    expect([await order(undefined), await order('x'), await order(reader.token)]).toEqual([
      'UNAUTHENTICATED',
      'UNAUTHENTICATED',
      'PERMISSION_DENIED',
    ]);
    expect(gateways[0]!.service.output).not.toContain('log level changed');
    expect(await order(operator.token)).toBe('OK');
    // The line may be logged after the answer was sent.
    const { service } = gateways[0]!;
    await expect.poll(() => service.output).toMatch(/"by":"operator from [^"]*".*"log level changed"/);
  });

  it('a gateway can only speak for itself: a process with its certificate cannot be another gateway', async () => {
    const { logger } = recordingLogger();
    const pair = { cert: file('current/link-gateway-gateway-1.crt'), key: file('current/link-gateway-gateway-1.key') };
    const files = watchTlsFiles({ ca: file('current/ca.crt'), ...pair }, { clock: systemClock, logger });
    const credentials = channelCredentials(files);

    const attach = (name: string): Promise<string> => {
      const security = { credentials, options: meaning(TOPOLOGY_NAME) };
      const client = createClient(GatewayControlClient, `127.0.0.1:${topology.ports.service}`, { security });
      return new Promise((resolve) => {
        const stream = client.attach();
        const done = (answer: string) => {
          client.close();
          resolve(answer);
        };
        stream.on('error', (error: ServiceError) => done(status[error.code]!));
        stream.on('data', ({ welcome }: AttachResponse) => welcome !== undefined && done('taken'));
        const hello = { name, boot: '00000007', protocolVersion: PROTOCOL_VERSION, installation: 'spanmesh' };
        stream.write({ hello: Hello.fromPartial(hello) });
      });
    };
    // The certificate is gateway-1's: it may not attach as gateway-2, and as gateway-1 it is only refused because that
    // is attached.
    expect([await attach('gateway-2'), await attach('gateway-1')]).toEqual(['PERMISSION_DENIED', 'ALREADY_EXISTS']);

    const openTrunk = async (from: string, meant: string): Promise<string> => {
      const security = meetingGateway({ credentials, options: meaning(LINK_GATEWAY_NAME) }, meant);
      const client = createClient(TrunkClient, `127.0.0.1:${gateways[1]!.service.ports.service}`, { security });
      const request = { from, to: 'gateway-2.00000007', version: PROTOCOL_VERSION };
      const code = await codeOf((done) => client.openTrunk(request, done));
      client.close();
      return code;
    };
    expect([
      await openTrunk('gateway-2.00000008', 'gateway-2'),
      // Another boot of gateway-1 than the one that runs.
      await openTrunk('gateway-1.00000008', 'gateway-2'),
      // The called gateway must be the one that the caller means.
      await openTrunk('gateway-1.00000008', 'gateway-3'),
    ]).toEqual(['PERMISSION_DENIED', 'FAILED_PRECONDITION', 'UNAVAILABLE']);
  });

  it('a gateway with another gateway’s certificate does not start', async () => {
    const impostor = await ServiceProcess.start('link-gateway', {
      ...tlsOf('link-gateway-gateway-1'),
      SPANMESH_GATEWAY_NAME: 'gateway-2',
      SPANMESH_DMSG_LISTEN: '127.0.0.1:0',
    });
    started.push(impostor);
    await expect(impostor.ready()).rejects.toThrow(/exit code 2\): .* and must name gateway-2\.link-gateway\.spanmesh/);
  });

  it('accepts orders to connect from volconf only', async () => {
    const dial = async (name: string): Promise<string> => {
      const { logger } = recordingLogger();
      const pair = { cert: file(`current/${name}.crt`), key: file(`current/${name}.key`) };
      const files = watchTlsFiles({ ca: file('current/ca.crt'), ...pair }, { clock: systemClock, logger });
      const security = { credentials: channelCredentials(files), options: meaning(LINK_GATEWAY_NAME) };
      const client = createClient(DialClient, `127.0.0.1:${gateways[0]!.service.ports.service}`, { security });
      const code = await codeOf((done) => client.dial(DialRequest.create(), done));
      client.close();
      return code;
    };
    expect([await dial('volconf'), await dial('link-gateway-gateway-1'), await dial('operator')]).toEqual([
      'INVALID_ARGUMENT',
      'PERMISSION_DENIED',
      'PERMISSION_DENIED',
    ]);
  });

  it('accepts orders about log levels on the service port from topology and volconf, and from no gateway', async () => {
    const order = async (name: string): Promise<string> => {
      const { logger } = recordingLogger();
      const pair = { cert: file(`current/${name}.crt`), key: file(`current/${name}.key`) };
      const files = watchTlsFiles({ ca: file('current/ca.crt'), ...pair }, { clock: systemClock, logger });
      const security = { credentials: channelCredentials(files), options: meaning(TOPOLOGY_NAME) };
      const client = createClient(ProcessOrdersClient, `127.0.0.1:${topology.ports.service}`, { security });
      const request = OrderLogLevelRequest.fromPartial({ order: { level: 'loud' }, by: 'root' });
      const code = await codeOf((done) => client.orderLogLevel(request, done));
      client.close();
      return code;
    };
    // The order is invalid, so no process obeys it. Callers that may give orders get the reason.
    expect([await order('volconf'), await order('link-gateway-gateway-1'), await order('operator')]).toEqual([
      'INVALID_ARGUMENT',
      'PERMISSION_DENIED',
      'PERMISSION_DENIED',
    ]);
  });

  it('refuses a service with another service’s certificate', async () => {
    const impostor = await ServiceProcess.start('link-gateway', {
      ...tlsOf('volconf'),
      SPANMESH_DMSG_LISTEN: '127.0.0.1:0',
    });
    started.push(impostor);
    // The impostor finds the mistake itself, and ends.
    await expect(impostor.ready()).rejects.toThrow(
      /exit code 2\): SPANMESH_TLS_CERT: .* is the certificate of volconf\.spanmesh, and must name link-gateway\.spanmesh/,
    );
  });

  it('uses new certificates and tokens without a restart', async () => {
    await certs('second', ...NAMED);
    const late = createApiToken({ name: 'late', role: 'read' });
    writeFileSync(file('tokens'), `${late.line}\n`);
    symlinkSync('second', file('next'));
    renameSync(file('next'), file('current'));
    // Files are checked every five seconds.
    await expect.poll(() => list(late.token, 'second')).toBe('OK');
    expect(await list(late.token, 'first')).toBe('UNAVAILABLE');
    expect(await list(reader.token, 'second')).toBe('UNAUTHENTICATED');
    expect(gateways.map(({ service }) => service.child.exitCode)).toEqual([null, null]);
  });

  it('writes no token and no key into its logs', () => {
    for (const { output } of started) expect(output).not.toMatch(/spm_|PRIVATE KEY/);
  });
});
