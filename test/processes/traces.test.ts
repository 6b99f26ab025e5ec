import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { createLinkGatewayProcess, type LinkGatewayProcess } from '@spanmesh/link-gateway/process';
import { AcquireClusterRequest, MessagingClient } from '@spanmesh/proto/v1/messaging';
import { ExplainRequest, ListClustersRequest, TopologyClient } from '@spanmesh/proto/v1/topology';
import { Dialect } from '@spanmesh/proto/v1/types';
import { VolconfClient } from '@spanmesh/proto/v1/volconf';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { Tracing } from '@spanmesh/runtime/trace/tracing';
import { createTopologyProcess, type TopologyProcess } from '@spanmesh/topology/process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LivePeer } from '../peer/live-peer.ts';
import { OtlpReceiver, type ReceivedStep } from '../peer/otlp-receiver.ts';
import { testUuid } from '../peer/payloads.ts';
import { echoCluster } from '../peer/route-client.ts';
import { sample } from '../peer/scrape.ts';
import { DialledHost, VolconfWorld } from '../peer/volconf-world.ts';

// Topology and two gateways, made as in processes, but in this one. The test's own collector receives their traces.

const LISTEN = {
  SPANMESH_GRPC_LISTEN: '127.0.0.1:0',
  SPANMESH_SERVICE_LISTEN: '127.0.0.1:0',
  SPANMESH_HTTP_LISTEN: '127.0.0.1:0',
  SPANMESH_CONSOLE_LISTEN: '',
  SPANMESH_TRUNK_LISTEN: '127.0.0.1:0',
  SPANMESH_LOG_LEVEL: 'silent',
};

let receiver: OtlpReceiver;
let topology: TopologyProcess;
let gateways: LinkGatewayProcess[];
const peers: LivePeer[] = [];

const tracesTo = (url: string): Record<string, string> => ({
  OTEL_EXPORTER_OTLP_ENDPOINT: url,
  OTEL_BSP_SCHEDULE_DELAY: '50',
});

async function startTopology(servicePort: number): Promise<TopologyProcess> {
  const listen = { ...LISTEN, SPANMESH_SERVICE_LISTEN: `127.0.0.1:${servicePort}` };
  const made = createTopologyProcess({ env: { ...listen, ...tracesTo(receiver.url) }, flags: {} });
  await made.start();
  return made;
}

async function startGateway(name: string): Promise<LinkGatewayProcess> {
  const env = {
    ...LISTEN,
    ...tracesTo(receiver.url),
    SPANMESH_GATEWAY_NAME: name,
    SPANMESH_DMSG_LISTEN: 'circuit://127.0.0.1:0',
    SPANMESH_TOPOLOGY_ADDRESS: topology.ports.serviceAddress,
  };
  const made = createLinkGatewayProcess({ env, flags: {} });
  await made.start();
  return made;
}

async function peerOf({ gateway }: LinkGatewayProcess): Promise<LivePeer> {
  const peer = await LivePeer.connect({ port: gateway.ports[0]!.port, dialect: 'circuit' });
  peers.push(peer);
  return peer;
}

beforeAll(async () => {
  receiver = await OtlpReceiver.start();
  topology = await startTopology(0);
  gateways = [await startGateway('a'), await startGateway('b')];
});

afterAll(async () => {
  for (const { raw } of peers) raw.destroy();
  for (const gateway of gateways) await gateway.stop();
  await topology.stop();
  await receiver.stop();
});

const named = (steps: readonly ReceivedStep[], name: string, traceId?: string): ReceivedStep[] =>
  steps.filter((step) => step.name === name && (traceId === undefined || step.traceId === traceId));

/** Calls ListClusters. `bearing`: headers of the call. */
function list(port: number, bearing: Record<string, string> = {}): Promise<ServiceError | null> {
  const client = new TopologyClient(`127.0.0.1:${port}`, credentials.createInsecure());
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(bearing)) metadata.set(name, value);
  return new Promise((resolve) => {
    client.listClusters(ListClustersRequest.create(), metadata, (error) => {
      client.close();
      resolve(error);
    });
  });
}

describe('a trace', () => {
  it('connects a LNK_SPAN, through topology, with its relay on another gateway', async () => {
    const [giver, taker] = [await peerOf(gateways[0]!), await peerOf(gateways[1]!)];
    await taker.openConn();
    const node = testUuid(1);
    giver.openSpan({ node });
    await taker.relay((span) => span.node === node);
    const relayed = await receiver.until((steps) => named(steps, 'relays opened')[0], 'relays opened');
    const { traceId } = relayed;
    const find = (name: string) => receiver.until((steps) => named(steps, name, traceId)[0], name);
    const [received, decided] = [await find('link received'), await find('relays decided')];
    expect([received.parent, decided.parent, relayed.parent]).toEqual(['', received.id, decided.id]);
    const [a, b] = gateways.map(({ gateway }) => gateway.id);
    expect(relayed.attributes).toMatchObject({ 'spanmesh.link_gateway': a, 'spanmesh.relays': 1 });
    expect(decided.attributes).toMatchObject({ 'spanmesh.gateway': a });
    expect(received.attributes).toMatchObject({ 'spanmesh.link': decided.attributes['spanmesh.link'] });
    expect([received, decided, relayed].map(({ resource }) => resource['service.name'])).toEqual([
      'spanmesh-link-gateway',
      'spanmesh-topology',
      'spanmesh-link-gateway',
    ]);
    expect(b).toMatch(/^b\./);
    for (const { began, ended, failure } of [received, decided, relayed]) {
      expect(ended).toBeGreaterThanOrEqual(began);
      expect(failure).toBe('');
    }
    // A LNK_SPAN makes one trace of three steps; routed messages have no trace.
    expect(receiver.steps.filter((step) => step.traceId === traceId)).toHaveLength(3);
    expect([...receiver.requests]).toEqual(['POST /v1/traces application/x-protobuf']);
  });

  it('of a call of the API continues the caller’s, and includes the process that answers', async () => {
    const traceId = 'ab'.repeat(16);
    const parent = 'cd'.repeat(8);
    const port = gateways[0]!.ports.apiPort;
    expect(await list(port, { traceparent: `00-${traceId}-${parent}-01` })).toBeNull();
    const name = 'spanmesh.v1.Topology/ListClusters';
    const steps = await receiver.until((all) => {
      const found = named(all, name, traceId);
      return found.length === 2 ? found : undefined;
    }, 'call at both processes');
    const first = steps.find((step) => step.parent === parent);
    const second = steps.find((step) => step.parent === first?.id);
    expect([first?.resource['service.name'], second?.resource['service.name']]).toEqual([
      'spanmesh-link-gateway',
      'spanmesh-topology',
    ]);
    expect(steps.map(({ kind }) => kind)).toEqual([2, 2]);
    expect(first?.attributes).toMatchObject({ 'rpc.service': 'spanmesh.v1.Topology', 'rpc.method': 'ListClusters' });
  });

  it('begins with a call whose header is missing or invalid, and contains the error', async () => {
    const before = receiver.steps.length;
    for (const bad of [
      '',
      `00-${'0'.repeat(32)}-${'cd'.repeat(8)}-01`,
      `00-${'ab'.repeat(16)}-cd-01`,
      'x'.repeat(9000),
    ]) {
      const client = new TopologyClient(`127.0.0.1:${topology.ports.apiPort}`, credentials.createInsecure());
      const metadata = new Metadata();
      metadata.set('traceparent', bad);
      await new Promise<void>((resolve) => client.explain(ExplainRequest.create(), metadata, () => resolve()));
      client.close();
    }
    const steps = await receiver.until((all) => {
      const found = named(all.slice(before), 'spanmesh.v1.Topology/Explain');
      return found.length === 4 ? found : undefined;
    }, 'four calls');
    expect(steps.map((step) => step.parent)).toEqual(['', '', '', '']);
    for (const { failure } of steps) expect(failure).toMatch(/^INVALID_ARGUMENT: /);
  });

  it('of a call that its caller has not sampled is not recorded', async () => {
    const traceId = 'ef'.repeat(16);
    expect(await list(topology.ports.apiPort, { traceparent: `00-${traceId}-${'cd'.repeat(8)}-00` })).toBeNull();
    expect(
      await list(topology.ports.apiPort, { traceparent: `00-${'fe'.repeat(16)}-${'cd'.repeat(8)}-01` }),
    ).toBeNull();
    await receiver.until((all) => all.find((step) => step.traceId === 'fe'.repeat(16)), 'the call after it');
    expect(receiver.steps.filter((step) => step.traceId === traceId)).toEqual([]);
  });

  it('of a call that is passed on to a gateway includes both processes', async () => {
    const client = new MessagingClient(`127.0.0.1:${topology.ports.apiPort}`, credentials.createInsecure());
    const request = AcquireClusterRequest.fromPartial({ cluster: echoCluster('circuit') });
    await new Promise<void>((resolve, reject) =>
      client.acquireCluster(request, (error) => (error === null ? resolve() : reject(error))),
    );
    client.close();
    const steps = await receiver.until((all) => {
      const found = named(all, 'spanmesh.v1.Messaging/AcquireCluster');
      return found.length === 2 ? found : undefined;
    }, 'call at both processes');
    const [first, second] = steps.sort((x, y) => x.parent.length - y.parent.length);
    expect([first!.parent, second!.parent, second!.traceId]).toEqual(['', first!.id, first!.traceId]);
  });

  it('is counted in the metrics of its process, whether the collector accepts it or not', async () => {
    const counted = (name: string): Promise<number> => sample(topology.ports.httpPort, name);
    receiver.status = 400;
    expect(await list(topology.ports.apiPort)).toBeNull();
    await expect.poll(() => counted('spanmesh_trace_parts_lost_total{reason="not_taken"}')).toBeGreaterThan(0);
    receiver.status = 200;
    const sent = await counted('spanmesh_trace_parts_sent_total');
    expect(await list(topology.ports.apiPort)).toBeNull();
    await expect.poll(() => counted('spanmesh_trace_parts_sent_total')).toBeGreaterThan(sent);
    expect(await counted('spanmesh_trace_parts_lost_total{reason="queue_full"}')).toBe(0);
  });

  it('of a fail-over includes the gateways that attach to the new leader', async () => {
    const { servicePort } = topology.ports;
    const before = receiver.steps.length;
    await topology.stop();
    topology = await startTopology(servicePort);
    const taken = await receiver.until((all) => named(all.slice(before), 'topology takes over')[0], 'take-over');
    const attached = await receiver.until((all) => {
      const found = named(all, 'gateway attaches', taken.traceId);
      return found.length === 2 ? found : undefined;
    }, 'gateways that attach');
    expect(taken).toMatchObject({ parent: '', failure: '', resource: { 'service.name': 'spanmesh-topology' } });
    expect(attached.map(({ parent }) => parent)).toEqual([taken.id, taken.id]);
    expect(attached.map(({ attributes }) => attributes['spanmesh.gateway']).sort()).toEqual(
      gateways.map(({ gateway }) => gateway.id),
    );
    expect(taken.events).toEqual(['gateway attached', 'gateway attached']);
  });
});

it('a dial is a trace from volconf to the gateway that connects, with the error if it fails', async () => {
  const tracing = new Tracing();
  const logger = createLogger({ level: 'silent', service: 'test' });
  const env = { ...tracesTo(receiver.url), OTEL_SERVICE_NAME: 'all-in-one' };
  await tracing.start({ service: 'test', env }, { logger });
  const world = await VolconfWorld.start({ tracing });
  const host = await new DialledHost('127.0.0.1', 0, 'circuit').listen();
  await host.refuse();
  try {
    const client = new VolconfClient(`127.0.0.1:${world.ports.apiPort}`, credentials.createInsecure());
    await new Promise<void>((resolve, reject) => {
      const target = { name: 'lab', path: `span:127.0.0.1:${host.port}`, dialect: Dialect.DIALECT_CIRCUIT };
      client.setTarget(target, (error) => (error === null ? resolve() : reject(error)));
    });
    client.close();
    const dialled = await receiver.until((all) => named(all, 'target dialled')[0], 'dial');
    const asked = await receiver.until(
      (all) => all.find(({ parent, traceId }) => parent === dialled.id && traceId === dialled.traceId),
      'gateway that is asked',
    );
    expect([dialled.parent, dialled.kind, asked.name, asked.kind]).toEqual(['', 3, 'spanmesh.v1.Dial/Dial', 2]);
    expect(dialled.attributes).toMatchObject({ 'server.address': '127.0.0.1', 'server.port': host.port });
    expect(dialled.failure).not.toBe('');
    expect(dialled.resource['service.name']).toBe('all-in-one');
  } finally {
    host.stop();
    await world.stop();
    await tracing.stop();
  }
});

describe('packages of OpenTelemetry are not loaded', () => {
  const program = fileURLToPath(new URL('modules-loaded.fixture.ts', import.meta.url));
  const loaded = async (env: Record<string, string>): Promise<string[]> => {
    const settings = { ...LISTEN, SPANMESH_DMSG_LISTEN: '127.0.0.1:0', SPANMESH_DATA_DIR: '' };
    const { stdout } = await promisify(execFile)(process.execPath, [program], {
      env: { PATH: process.env.PATH, ...settings, ...env },
    });
    return JSON.parse(stdout.trim().split('\n').at(-1)!) as string[];
  };

  it('unless traces are configured', async () => {
    const off = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_SDK_DISABLED: 'true' };
    const [none, disabled, on] = await Promise.all([loaded({}), loaded(off), loaded(tracesTo(receiver.url))]);
    expect([none, disabled]).toEqual([[], []]);
    expect(on).toContain('@opentelemetry/sdk-trace');
  });
});
