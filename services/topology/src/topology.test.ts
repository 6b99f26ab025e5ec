import { once } from 'node:events';
import { type ClientDuplexStream, credentials, type ServiceError, status } from '@grpc/grpc-js';
import { type AttachRequest, type AttachResponse, GatewayControlClient } from '@spanmesh/proto/v1/gateway_control';
import { type GetStatusResponse, ReplicaRole, TopologyClient, type WatchResponse } from '@spanmesh/proto/v1/topology';
import { GATEWAYS_BUCKET } from '@spanmesh/runtime/bus/bus-names';
import { InProcessBus } from '@spanmesh/runtime/bus/in-process/in-process-bus';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { GatewayRegistration } from '@spanmesh/runtime/gateways/registry';
import { GrpcServer } from '@spanmesh/runtime/grpc/grpc-server';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { Metrics } from '@spanmesh/runtime/metrics';
import { readSettings } from '@spanmesh/runtime/settings/setting';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { rnssAdd, settings } from './settings.ts';
import { FakeGateway } from './testing/fake-gateway.fixture.ts';
import { createTopology, type Topology } from './topology.ts';

const logger = createLogger({ level: 'silent', service: 'test' });
/** The clock of all replicas of a test. It stands still, except while a test waits for a lease. */
let clock = new FakeClock();
const cleanups: (() => unknown)[] = [];
beforeEach(() => {
  clock = new FakeClock();
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function newBus(): InProcessBus {
  const bus = new InProcessBus({
    onError: (error) => {
      throw error;
    },
  });
  cleanups.push(() => bus.close());
  return bus;
}

async function replica(bus: InProcessBus, { starts = true } = {}) {
  const grpcServer = new GrpcServer({ listen: { host: '127.0.0.1', port: 0 }, setting: 'TEST' }, { logger });
  const apiServer = new GrpcServer({ listen: null, setting: 'TEST' }, { logger });
  const metrics = new Metrics();
  let port = 0;
  const topology = createTopology(
    {
      settings: readSettings(settings, { env: { SPANMESH_LEASE_TTL: '400ms' }, flags: {} }),
      address: () => `127.0.0.1:${port}`,
      version: '1.0.0',
    },
    { bus, clock, logger, metrics, apiServer, serviceServer: grpcServer, random: Math.random },
  );
  port = await grpcServer.start();
  cleanups.push(() => grpcServer.stop(0));
  if (starts) await topology.start();
  cleanups.push(() => topology.stop());
  return { topology, metrics, address: `127.0.0.1:${port}` };
}

/** Attaches a gateway over gRPC; all its objects are sent in one snapshot. */
async function attach(gateway: FakeGateway, address: string, { highestEpoch = 0 } = {}) {
  const client = new GatewayControlClient(address, credentials.createInsecure());
  cleanups.push(() => client.close());
  const stream: ClientDuplexStream<AttachRequest, AttachResponse> = client.attach();
  const errors: ServiceError[] = [];
  stream.on('error', (error: ServiceError) => errors.push(error));
  stream.on('data', ({ commands }: AttachResponse) => {
    if (commands !== undefined) gateway.apply(commands);
  });
  const { name, boot } = gateway;
  const about = { installation: 'spanmesh', gatewaysKnown: [] };
  const versions = { highestEpoch, version: '1', protocolVersion: 1 };
  stream.write({ hello: { name, boot, ...versions, serviceAddress: '', capabilities: [], ...about } });
  const [{ welcome }] = (await once(stream, 'data')) as [AttachResponse];
  stream.write({ snapshot: gateway.snapshot() });
  stream.write({ snapshotEnd: {} });
  return { stream, welcome, errors };
}

function smallGateway(): FakeGateway {
  const gateway = new FakeGateway('a');
  gateway.openLnkConn(gateway.openConnection());
  gateway.openLink(gateway.openConnection(), 1);
  return gateway;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** Lets time pass until the replica leads. */
async function leads({ core }: Topology): Promise<void> {
  await until(() => {
    if (!core.leadership.valid) clock.advance(20);
    return core.leadership.valid;
  });
}

describe('a topology replica', () => {
  // Causes: metric spanmesh_topology_attach_received_bytes_total, spanmesh_topology_attach_received_messages_total, spanmesh_topology_attach_sent_bytes_total, spanmesh_topology_attach_sent_messages_total
  it('leads, takes gateways on, relays, answers, and measures', async () => {
    const { topology, metrics, address } = await replica(newBus());
    await leads(topology);
    const gateway = smallGateway();
    const { welcome } = await attach(gateway, address);
    const { epoch } = topology.core.leadership;
    expect(welcome).toMatchObject({
      epoch,
      replicas: [address],
      rnssAdd: rnssAdd({ rnss: null, installation: 'spanmesh' }),
    });
    await until(() => gateway.relays.size === 1);
    const api = new TopologyClient(address, credentials.createInsecure());
    cleanups.push(() => api.close());
    const links = await new Promise<number>((resolve, reject) =>
      api.listLinks(
        { pageSize: 0, pageToken: '', dialect: 0, clusterId: '', node: '', connection: '' },
        (error, answer) => (error ? reject(error) : resolve(answer.links.length)),
      ),
    );
    expect(links).toBe(1);
    const text = await metrics.text();
    expect(text).toContain('spanmesh_topology_leading 1');
    expect(text).toContain('spanmesh_topology_relays 1');
    expect(text).toContain('spanmesh_topology_gateways_live 1');
    for (const what of ['received_bytes', 'received_messages', 'sent_bytes', 'sent_messages']) {
      expect(text).toMatch(new RegExp(`^spanmesh_topology_attach_${what}_total [1-9]`, 'm'));
    }
  });

  // Causes: metric spanmesh_topology_calls_forwarded_total
  it('passes on what the leader alone answers', async () => {
    const bus = newBus();
    const first = await replica(bus);
    await leads(first.topology);
    await attach(smallGateway(), first.address);
    await until(() => first.topology.notReady() === null);
    const { metrics, address } = await replica(bus);
    const api = new TopologyClient(address, credentials.createInsecure());
    cleanups.push(() => api.close());
    const code = await new Promise((resolve) =>
      api.closeConnection({ connection: 'nobody', reason: '' }, (error) => resolve(error?.code)),
    );
    expect(code).toBe(status.NOT_FOUND);
    expect(await metrics.text()).toContain('spanmesh_topology_calls_forwarded_total 1');
  });

  it('keeps what a gateway holds when its connection breaks, though it may look like a goodbye', async () => {
    const bus = newBus();
    const registration = new GatewayRegistration(
      () => ({ name: 'a', boot: '00000001', firstBoot: '00000001', serviceAddress: '', version: '1' }),
      { kv: await bus.kv(GATEWAYS_BUCKET), clock },
    );
    await registration.start();
    cleanups.push(() => registration.stop());
    const { topology, address } = await replica(bus);
    await leads(topology);
    const gateway = smallGateway();
    const { stream } = await attach(gateway, address);
    await until(() => gateway.relays.size === 1);
    stream.cancel();
    await until(() => topology.core.control.live === 0);
    expect(topology.core.state.trees.tree.counts.links).toBe(1);
    const again = await attach(gateway, address);
    await until(() => topology.core.control.live === 1);
    expect(again.errors).toEqual([]);
    expect([gateway.opens, gateway.closes]).toEqual([1, 0]);
  });

  it('goes above the epoch that a gateway has obeyed before it commands the gateway', async () => {
    const { topology, address } = await replica(newBus());
    await leads(topology);
    const { epoch } = topology.core.leadership;
    const gateway = smallGateway();
    const { welcome, errors } = await attach(gateway, address, { highestEpoch: epoch + 5 });
    expect([welcome?.epoch, topology.core.leadership.epoch, errors]).toEqual([epoch + 6, epoch + 6, []]);
    await until(() => gateway.relays.size === 1);
  });

  it('lets another replica take over when it stops, which closes no relay', async () => {
    const bus = newBus();
    const first = await replica(bus);
    await leads(first.topology);
    const second = await replica(bus);
    const gateway = smallGateway();
    const { errors } = await attach(gateway, first.address);
    await until(() => gateway.relays.size === 1);
    const { epoch } = first.topology.core.leadership;
    await first.topology.stop();
    await until(() => errors.length > 0);
    expect(errors[0]!.code).toBe(status.FAILED_PRECONDITION);
    await leads(second.topology);
    const { welcome } = await attach(gateway, second.address);
    expect(welcome!.epoch).toBe(second.topology.core.leadership.epoch);
    expect(welcome!.epoch).toBeGreaterThan(epoch);
    await until(() => second.topology.core.state.trees.tree.counts.relays === 1);
    expect([gateway.opens, gateway.closes]).toEqual([1, 0]);
  });
});

describe('a replica', () => {
  it('is ready once it has heard the gateways, or another replica leads', async () => {
    const bus = newBus();
    const first = await replica(bus);
    expect(first.topology.notReady()).toBe('no topology replica leads');
    await leads(first.topology);
    expect(first.topology.notReady()).toBe('not all gateways have attached yet');
    await attach(smallGateway(), first.address);
    await until(() => first.topology.notReady() === null);
    const second = await replica(bus);
    expect(second.topology.core.leadership.inTerm).toBe(false);
    expect(second.topology.notReady()).toBeNull();
  });

  it('names the gateways that take calls: attached ones with an address that are not going to stop', async () => {
    const { topology, address } = await replica(newBus());
    expect(topology.gatewaysToAsk()).toEqual([]);
    await leads(topology);
    await attach(smallGateway(), address);
    await until(() => topology.core.control.live === 1);
    expect(topology.gatewaysToAsk()).toEqual([]);
    const known = topology.core.state.gateways.get('a.00000001')!;
    known.serviceAddress = 'a:1';
    expect(topology.gatewaysToAsk()).toEqual([{ id: 'a.00000001', name: 'a', address: 'a:1' }]);
    for (const fields of [{ attached: false }, { draining: true }]) {
      const before = { attached: known.attached, draining: known.draining };
      Object.assign(known, fields);
      expect(topology.gatewaysToAsk()).toEqual([]);
      Object.assign(known, before);
    }
  });

  it('is since when its lease has not been valid, when time has passed it by', async () => {
    const { topology } = await replica(newBus());
    await until(() => {
      clock.advance(20);
      return topology.core.view()?.role === ReplicaRole.REPLICA_ROLE_LEADER;
    });
    expect(topology.core.view()?.lagMs).toBe(0);
    // As after a pause of the process: no renewal has been answered meanwhile.
    clock.advance(3_600_000);
    const view = topology.core.view();
    expect(view?.role).toBe(ReplicaRole.REPLICA_ROLE_FROZEN);
    expect(view?.lagMs).toBeGreaterThan(3_599_000);
  });

  it('is nothing any more when it has stopped, and nothing of it goes on', async () => {
    const { topology, address } = await replica(newBus());
    await leads(topology);
    const { errors } = await attach(smallGateway(), address);
    await topology.stop();
    await until(() => errors.length > 0);
    expect([topology.core.leadership.inTerm, topology.core.state.gateways.size]).toEqual([false, 0]);
    clock.advance(120_000);
    expect(clock.pending).toBe(0);
  });
});

describe('a watch across a restart', () => {
  it('is told to list again, though the new process knows nothing of the old one and has counted as far', async () => {
    const life = async () => {
      const one = await replica(newBus());
      await leads(one.topology);
      const gateway = smallGateway();
      await attach(gateway, one.address);
      await until(() => gateway.relays.size === 1);
      return { ...one, position: one.topology.core.history.position };
    };
    const first = await life();
    const { revision } = first.topology.core.history;
    await first.topology.stop();
    const second = await life();
    expect(second.topology.core.history.position.n).toBeGreaterThanOrEqual(first.position.n);
    const client = new TopologyClient(second.address, credentials.createInsecure());
    cleanups.push(() => client.close());
    const responses: WatchResponse[] = [];
    for await (const response of client.watch({ revision, withRelays: false }) as AsyncIterable<WatchResponse>) {
      responses.push(response);
    }
    expect(responses).toMatchObject([{ listAgain: { reason: expect.stringContaining('another history') } }]);
  });
});

describe('GetStatus', () => {
  const ask = (address: string) => {
    const client = new TopologyClient(address, credentials.createInsecure());
    cleanups.push(() => client.close());
    return new Promise<GetStatusResponse>((resolve, reject) =>
      client.getStatus({}, (error, answer) => (error ? reject(error) : resolve(answer))),
    );
  };

  it('names nobody before the replica contends for the lease', async () => {
    const { address } = await replica(newBus(), { starts: false });
    expect(await ask(address)).toMatchObject({ replica: '', leader: undefined, revision: '' });
  });

  it('names the leader and the gateways, and counts the objects', async () => {
    const { topology, address } = await replica(newBus());
    await leads(topology);
    const gateway = smallGateway();
    const { stream } = await attach(gateway, address);
    await until(() => gateway.relays.size === 1);
    const { replica: id, leader, replicas, gateways, counts, revision } = await ask(address);
    const { epoch } = topology.core.leadership;
    expect(leader).toMatchObject({ replica: id, address, epoch, fullEpoch: epoch });
    // A new epoch in an empty store, which knows no earlier one, is the time in seconds.
    expect(epoch).toBeGreaterThanOrEqual(1_600_000_000);
    expect(replicas).toEqual([
      {
        replica: id,
        address,
        role: ReplicaRole.REPLICA_ROLE_LEADER,
        lagMs: 0,
        hasState: true,
        version: '1.0.0',
        revision,
      },
    ]);
    const { name, boot } = gateway;
    const numbers = { connections: 2, lnkConns: 1, links: 1, relays: 1 };
    const one = {
      name,
      boot,
      version: '1',
      serviceAddress: '',
      attached: true,
      draining: false,
      unheardMs: 0,
      ...numbers,
    };
    expect(gateways).toEqual([one]);
    expect(counts).toEqual({ clusters: 1, nodes: 1, refused: 0, ...numbers });
    stream.cancel();
    await until(() => topology.core.control.live === 0);
    expect((await ask(address)).gateways).toEqual([{ ...one, attached: false }]);
  });

  it('is answered while nobody leads', async () => {
    const { topology, address } = await replica(newBus());
    await topology.stop();
    const { leader, replicas, gateways } = await ask(address);
    expect([leader, gateways]).toEqual([undefined, []]);
    expect(replicas).toMatchObject([{ address, role: ReplicaRole.REPLICA_ROLE_STANDBY, hasState: false }]);
  });
});

describe('the rnss that relays add', () => {
  it('is the same for every replica of an installation, different for another installation, or as set', () => {
    expect(rnssAdd({ rnss: null, installation: 'x' })).toBe(rnssAdd({ rnss: null, installation: 'x' }));
    expect(rnssAdd({ rnss: null, installation: 'x' })).not.toBe(rnssAdd({ rnss: null, installation: 'y' }));
    expect(rnssAdd({ rnss: 5, installation: 'x' })).toBe(5);
    const read = (rnss: string) => readSettings(settings, { env: { SPANMESH_RNSS: rnss }, flags: {} }).rnss;
    expect(read('4294967295')).toBe(4294967295);
    expect(read('')).toBeNull();
    expect(() => read('4294967296')).toThrow('SPANMESH_RNSS');
  });
});
