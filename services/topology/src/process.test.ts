import { once } from 'node:events';
import { connect } from 'node:net';
import { type Client, status } from '@grpc/grpc-js';
import { ListProcessesRequest, ProcessClient, type ProcessInfo } from '@spanmesh/proto/v1/process';
import { ListTargetsRequest, VolconfClient, VolconfService } from '@spanmesh/proto/v1/volconf';
import type { Bus } from '@spanmesh/runtime/bus/bus';
import { LEASES_BUCKET, TOPOLOGY_ROLE, VOLCONF_ROLE } from '@spanmesh/runtime/bus/bus-names';
import { NatsBus } from '@spanmesh/runtime/bus/nats/nats-bus';
import { NatsServerProcess, natsOptionsFor } from '@spanmesh/runtime/bus/nats/nats-server.fixture';
import { systemClock } from '@spanmesh/runtime/clock';
import { createClient } from '@spanmesh/runtime/grpc/grpc-client';
import { GrpcServer } from '@spanmesh/runtime/grpc/grpc-server';
import { Lease } from '@spanmesh/runtime/lease/lease';
import { LeaseWatch } from '@spanmesh/runtime/lease/lease-watch';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { PATIENCE } from '@spanmesh/runtime/patience.fixture';
import { systemRandom } from '@spanmesh/runtime/random';
import { SettingError } from '@spanmesh/runtime/settings/setting';
import { Certificates } from '@spanmesh/runtime/tls/certificates.fixture';
import { TOPOLOGY_NAME } from '@spanmesh/runtime/tls/service-names';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createTopologyProcess, type TopologyProcess } from './process.ts';

const LISTEN = {
  SPANMESH_GRPC_LISTEN: '127.0.0.1:0',
  SPANMESH_SERVICE_LISTEN: '127.0.0.1:0',
  SPANMESH_HTTP_LISTEN: '127.0.0.1:0',
  SPANMESH_CONSOLE_LISTEN: '',
  SPANMESH_LOG_LEVEL: 'silent',
};

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

function made(env: Record<string, string> = {}): TopologyProcess {
  const replica = createTopologyProcess({ env: { ...LISTEN, ...env }, flags: {} });
  ends.push(() => replica.stop());
  return replica;
}

async function started(env: Record<string, string> = {}): Promise<TopologyProcess> {
  const replica = made(env);
  await replica.start();
  return replica;
}

function closing<C extends Client>(client: C): C {
  ends.push(() => client.close());
  return client;
}

/** What the process says of itself. */
function info({ ports }: TopologyProcess, of = ports.serviceAddress): Promise<ProcessInfo | undefined> {
  const client = closing(createClient(ProcessClient, ports.apiAddress));
  return new Promise((resolve, reject) =>
    client.listProcesses(ListProcessesRequest.create(), (error, answer) =>
      error === null ? resolve(answer.processes.find(({ serviceAddress }) => serviceAddress === of)) : reject(error),
    ),
  );
}

/** Asks volconf through this process: the token of the next page, or the details of the error. */
function ask({ ports }: TopologyProcess): Promise<string> {
  const client = closing(createClient(VolconfClient, ports.apiAddress));
  return new Promise((resolve) =>
    client.listTargets(ListTargetsRequest.create(), (error, answer) =>
      resolve(error === null ? answer.nextPageToken : `${status[error.code]}: ${error.details}`),
    ),
  );
}

/** Asks it until a volconf leads. */
async function untilLed(replica: TopologyProcess): Promise<string> {
  for (;;) {
    const said = await ask(replica);
    if (!said.includes('is known to lead')) return said;
  }
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const isOpen = await once(socket, 'connect').then(
    () => true,
    () => false,
  );
  socket.destroy();
  return isOpen;
}

describe('a topology process', () => {
  it('leads when it has started, and serves its ports and the console until it stops', async () => {
    const replica = await started({ SPANMESH_CONSOLE_LISTEN: '127.0.0.1:0' });
    const { apiPort, servicePort, httpPort } = replica.ports;
    expect((await fetch(`http://127.0.0.1:${httpPort}/livez`)).status).toBe(200);
    expect((await fetch(`${replica.console.url}session`)).status).toBe(200);
    await expect.poll(() => info(replica), PATIENCE).toMatchObject({ leads: ['topology'] });
    expect(await replica.metrics.text()).toContain('spanmesh_topology_');
    const { port } = replica.console;
    expect(await Promise.all([apiPort, servicePort, httpPort, port].map(isListening))).toEqual(Array(4).fill(true));
    await replica.stop();
    expect(await Promise.all([apiPort, servicePort, httpPort, port].map(isListening))).toEqual(Array(4).fill(false));
  });

  it('says that it has no volconf as long as none leads', async () => {
    expect(await ask(await started())).toBe(
      'UNAVAILABLE: No volconf replica is known to lead at the moment: try again.',
    );
  });

  it('has an address for others of 300 characters at most', () => {
    const address = 'x'.repeat(300);
    expect(() => made({ SPANMESH_TOPOLOGY_SERVICE_ADDRESS: address })).not.toThrow();
    expect(() => made({ SPANMESH_TOPOLOGY_SERVICE_ADDRESS: `${address}x` })).toThrow(
      'SPANMESH_TOPOLOGY_SERVICE_ADDRESS',
    );
  });
});

describe('with NATS, a topology process', () => {
  let nats: NatsServerProcess;
  beforeAll(async () => {
    nats = await NatsServerProcess.start();
  });
  afterAll(() => nats.remove());

  async function bus(): Promise<Bus> {
    const logger = createLogger({ level: 'silent', service: 'test' });
    const made = new NatsBus(natsOptionsFor([nats]), { clock: systemClock, logger, onError: () => {} });
    ends.push(() => made.close());
    await expect.poll(() => made.link.connected).toBe(true);
    return made;
  }

  /** A volconf that leads, at whose address another one answers. */
  async function volconf(name: string, answers = true): Promise<{ lease: Lease; asked: Promise<void> }> {
    const logger = createLogger({ level: 'silent', service: 'test' });
    const server = new GrpcServer({ listen: { host: '127.0.0.1', port: 0 }, setting: 'TEST' }, { logger });
    const { promise: asked, resolve } = Promise.withResolvers<void>();
    const { listTargets } = VolconfService;
    server.addService(
      { listTargets },
      {
        listTargets: (_: unknown, done: (error: null, answer: object) => void) => {
          resolve();
          if (answers) done(null, { targets: [], nextPageToken: name });
        },
      },
    );
    const address = `127.0.0.1:${await server.start()}`;
    ends.push(() => server.stop(0));
    const kv = await (await bus()).kv(LEASES_BUCKET);
    const lease = new Lease(
      { role: VOLCONF_ROLE, address, ttlMs: 2000, settings: '' },
      { kv, clock: systemClock, random: systemRandom },
    );
    ends.push(() => lease.stop());
    lease.start();
    return { lease, asked };
  }

  async function leader(): Promise<LeaseWatch> {
    const watch = new LeaseWatch(
      { role: TOPOLOGY_ROLE },
      { kv: await (await bus()).kv(LEASES_BUCKET), clock: systemClock },
    );
    ends.push(() => watch.stop());
    await watch.start();
    return watch;
  }

  it.each([
    ['where it listens', {}, ({ ports }: TopologyProcess) => ports.serviceAddress],
    ['that its setting names', { SPANMESH_TOPOLOGY_SERVICE_ADDRESS: 'topology.example:7' }, () => 'topology.example:7'],
  ])('leads under the address %s, and no longer when it has stopped', async (_, env, address) => {
    const replica = await started({ ...env, SPANMESH_NATS_URL: nats.url });
    const watch = await leader();
    await expect.poll(() => watch.holder()?.address, PATIENCE).toBe(address(replica));
    await expect.poll(() => info(replica, address(replica)), PATIENCE).toBeDefined();
    await replica.stop();
    await expect.poll(() => watch.holder()).toBeNull();
  });

  it('does not say that it leads while another one does', async () => {
    const first = await started({ SPANMESH_NATS_URL: nats.url });
    await expect.poll(async () => (await info(first))?.leads, PATIENCE).toEqual(['topology']);
    const second = await started({ SPANMESH_NATS_URL: nats.url });
    expect(await info(second)).toMatchObject({ leads: [] });
  });

  it('passes calls of volconf on to the one that leads, and ends those that wait for one that leads no longer', async () => {
    const replica = await started({ SPANMESH_NATS_URL: nats.url });
    const first = await volconf('first', false);
    const waiting = untilLed(replica);
    await first.asked;
    await first.lease.stop();
    expect(await waiting).toBe('UNAVAILABLE: The leader has changed: call again.');
    await volconf('second');
    expect(await untilLed(replica)).toBe('second');
  });

  it('ends the calls that it passes on when it stops', async () => {
    const replica = await started({ SPANMESH_NATS_URL: nats.url });
    const mute = await volconf('mute', false);
    const waiting = untilLed(replica);
    await mute.asked;
    await replica.stop();
    expect(await waiting).toBe('UNAVAILABLE: This process stops: call again.');
  });

  it('does not start if it listens everywhere, and has no address for others', async () => {
    const certificates = new Certificates();
    ends.push(() => certificates.remove());
    const { ca, cert, key } = certificates.files([TOPOLOGY_NAME]);
    const replica = made({
      SPANMESH_NATS_URL: nats.url,
      SPANMESH_SERVICE_LISTEN: '0.0.0.0:0',
      SPANMESH_TLS_CA: ca ?? '',
      SPANMESH_TLS_CERT: cert,
      SPANMESH_TLS_KEY: key,
    });
    await expect(replica.start()).rejects.toThrow(
      new SettingError(
        'SPANMESH_TOPOLOGY_SERVICE_ADDRESS',
        'must be set: the service port listens on all addresses, and others must be told one',
      ),
    );
  });
});
