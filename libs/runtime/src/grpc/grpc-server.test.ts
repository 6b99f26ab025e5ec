import { once } from 'node:events';
import { connect as http2 } from 'node:http2';
import { createRequire } from 'node:module';
import {
  Client,
  credentials,
  loadPackageDefinition,
  makeGenericClientConstructor,
  type ServerWritableStream,
  type ServiceDefinition,
  type ServiceError,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { ListClustersRequest, ListClustersResponse, TopologyService } from '@spanmesh/proto/v1/topology';
import { service as healthService } from 'grpc-health-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLogger } from '../log/logger.ts';
import { until } from '../patience.fixture.ts';
import { SettingError } from '../settings/setting.ts';
import { type ClientConstructor, createClient } from './grpc-client.ts';
import { GrpcServer } from './grpc-server.ts';
import { MAX_PUBLIC_REQUEST_BYTES } from './public-requests.ts';

// Written once more: a change of them must be noticed.
const MAX_API_REQUEST_BYTES = 2 * 1024 * 1024;
const MAX_GRPC_MESSAGE_BYTES = 16 * 1024 * 1024;

const logger = createLogger({ level: 'silent', service: 'test' });
const TOPOLOGY = 'spanmesh.v1.Topology';
const HEALTH = 'grpc.health.v1.Health';
const SETTING = 'SPANMESH_GRPC_LISTEN';
const LOOPBACK = { host: '127.0.0.1', port: 0 };

type Done<T> = (error: ServiceError | null, reply?: T) => void;

interface HealthClient extends Client {
  check(request: { service: string }, done: Done<{ status: string }>): void;
  watch(request: { service: string }): AsyncIterable<{ status: string }> & { cancel(): void };
}
interface TopologyClient extends Client {
  listClusters(request: object, done: Done<{ clusters: unknown[] }>): void;
  watch(request: object): AsyncIterable<unknown>;
}

function clientOf<C>(definition: object, name: string): ClientConstructor<C> {
  return makeGenericClientConstructor(definition as ServiceDefinition, name) as unknown as ClientConstructor<C>;
}

function answer<T>(call: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, reply) => (error === null ? resolve(reply!) : reject(error)));
  });
}

/** Makes one request of server reflection, as any client would. */
function reflect(address: string, request: object, version: 'v1' | 'v1alpha' = 'v1'): Promise<Record<string, unknown>> {
  const proto = createRequire(import.meta.resolve('@grpc/reflection')).resolve(
    `@grpc/reflection/build/proto/grpc/reflection/${version}/reflection.proto`,
  );
  const loaded = loadPackageDefinition(loadSync(proto)) as unknown as {
    grpc: {
      reflection: Record<string, { ServerReflection: new (...args: ConstructorParameters<typeof Client>) => Client }>;
    };
  };
  const client = new loaded.grpc.reflection[version]!.ServerReflection(
    address,
    credentials.createInsecure(),
  ) as Client & {
    serverReflectionInfo(): NodeJS.ReadWriteStream & { write(request: object): void };
  };
  return new Promise((resolve, reject) => {
    const stream = client.serverReflectionInfo();
    stream.once('data', (reply) => {
      resolve(reply as unknown as Record<string, unknown>);
      stream.end();
    });
    stream.once('error', reject);
    stream.once('end', () => client.close());
    stream.write(request);
  });
}

describe('GrpcServer', () => {
  let server: GrpcServer;
  let clients: Client[];
  /** Calls that wait until the test answers them. */
  let held: sendUnaryData<unknown>[];
  let onHeld: () => void;
  beforeEach(() => {
    clients = [];
    held = [];
    onHeld = () => {};
    server = serving();
  });
  afterEach(async () => {
    for (const client of clients) {
      client.close();
    }
    await server.stop(0);
  });

  function serving(port = 0): GrpcServer {
    return new GrpcServer({ listen: { ...LOOPBACK, port }, setting: SETTING }, { logger }).addService(TopologyService, {
      listClusters: (_: unknown, done: sendUnaryData<unknown>) => {
        held.push(done);
        onHeld();
      },
      watch: (call: ServerWritableStream<unknown, unknown>) => call.sendMetadata(call.metadata),
    });
  }

  function open<C extends Client>(Constructor: ClientConstructor<C>, port: number): C {
    const client = createClient(Constructor, `127.0.0.1:${port}`);
    clients.push(client);
    return client;
  }
  const health = (port: number): HealthClient => open(clientOf<HealthClient>(healthService, 'Health'), port);
  const topology = (port: number): TopologyClient => open(clientOf<TopologyClient>(TopologyService, 'Topology'), port);
  const statusOf = async (client: HealthClient, service: string): Promise<string> =>
    (await answer<{ status: string }>((done) => client.check({ service }, done))).status;

  it('lists and describes its services through reflection', async () => {
    const address = `127.0.0.1:${await server.start()}`;
    const listed = (await reflect(address, { listServices: '*' })) as {
      listServicesResponse: { service: { name: string }[] };
    };
    expect(listed.listServicesResponse.service.map(({ name }) => name).toSorted()).toEqual([HEALTH, TOPOLOGY]);
    const described = (await reflect(address, { fileContainingSymbol: TOPOLOGY })) as {
      fileDescriptorResponse: { fileDescriptorProto: Uint8Array[] };
    };
    expect(described.fileDescriptorResponse.fileDescriptorProto.length).toBeGreaterThan(0);
  });

  // Limits: grpc/grpc-channel.ts MAX_GRPC_MESSAGE_BYTES
  // Limits: grpc/grpc-channel.ts MAX_API_REQUEST_BYTES
  it.each([
    { of: 'services', most: MAX_GRPC_MESSAGE_BYTES, limits: {} },
    { of: 'users', most: MAX_API_REQUEST_BYTES, limits: { maxRequestBytes: MAX_API_REQUEST_BYTES } },
  ])('takes a message of $of of the largest size, and none that is a byte longer', async ({ most, limits }) => {
    server = new GrpcServer({ listen: LOOPBACK, setting: SETTING, ...limits }, { logger });
    const asItIs = (bytes: Buffer): Buffer => bytes;
    const sizes = {
      path: '/test.Sizes/Length',
      requestStream: false,
      responseStream: false,
      requestSerialize: asItIs,
      requestDeserialize: asItIs,
      responseSerialize: asItIs,
      responseDeserialize: asItIs,
    };
    server.addService({ length: sizes }, {
      length: ({ request }: { request: Buffer }, done: sendUnaryData<Buffer>) =>
        done(null, Buffer.from(String(request.length))),
    } as never);
    const client = new Client(`127.0.0.1:${await server.start()}`, credentials.createInsecure());
    clients.push(client);
    const send = (bytes: number) =>
      answer<Buffer>((done) => client.makeUnaryRequest(sizes.path, asItIs, asItIs, Buffer.alloc(bytes), done));
    expect(String(await send(most))).toBe(String(most));
    await expect(send(most + 1)).rejects.toMatchObject({ code: status.RESOURCE_EXHAUSTED });
  });

  // Limits: grpc/grpc-server.ts MAX_STREAMS_PER_CONNECTION
  it('takes so many calls on a connection, and refuses those beyond', async () => {
    const session = http2(`http://127.0.0.1:${await server.start()}`);
    await once(session, 'remoteSettings');
    expect(session.remoteSettings.maxConcurrentStreams).toBe(1024);
    session.destroy();
  });

  it('serves the older name of reflection, too', async () => {
    const address = `127.0.0.1:${await server.start()}`;
    const listed = await reflect(address, { listServices: '*' }, 'v1alpha');
    expect(JSON.stringify(listed)).toContain(TOPOLOGY);
  });

  it('refuses bytes that are no reflection request, and goes on', async () => {
    const address = `127.0.0.1:${await server.start()}`;
    const same = (bytes: Buffer): Buffer => bytes;
    const client = new Client(address, credentials.createInsecure());
    const path = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
    const stream = client.makeBidiStreamRequest(path, same, same);
    const refused = new Promise((resolve) => stream.once('error', resolve));
    stream.resume();
    stream.write(Buffer.from([0x0a, 0xff]));
    await expect(refused).resolves.toMatchObject({ code: status.INVALID_ARGUMENT });
    client.close();
    await expect(reflect(address, { listServices: '*' })).resolves.toBeDefined();
  });

  // Causes: code grpc/health-service.ts NOT_FOUND
  it('answers health checks for itself and each service', async () => {
    const client = health(await server.start());
    expect([await statusOf(client, ''), await statusOf(client, TOPOLOGY)]).toEqual(['SERVING', 'SERVING']);
    server.setServing(TOPOLOGY, false);
    expect([await statusOf(client, ''), await statusOf(client, TOPOLOGY)]).toEqual(['SERVING', 'NOT_SERVING']);
    server.setServing(TOPOLOGY, true);
    expect(await statusOf(client, TOPOLOGY)).toBe('SERVING');
    await expect(statusOf(client, 'none')).rejects.toMatchObject({ code: status.NOT_FOUND });
  });

  // Limits: grpc/public-requests.ts MAX_PUBLIC_REQUEST_BYTES
  it('decodes no long request of a service that answers everybody', async () => {
    const port = await server.start();
    const client = health(port);
    // The field's number and its length take three bytes.
    const longest = 'x'.repeat(MAX_PUBLIC_REQUEST_BYTES - 3);
    await expect(statusOf(client, longest)).rejects.toMatchObject({ code: status.NOT_FOUND });
    await expect(statusOf(client, `${longest}x`)).rejects.toMatchObject({ code: status.INTERNAL });
    const address = `127.0.0.1:${port}`;
    await expect(reflect(address, { fileContainingSymbol: longest })).resolves.toHaveProperty('errorResponse');
    await expect(reflect(address, { fileContainingSymbol: `${longest}x` })).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
    });
    expect(await statusOf(client, '')).toBe('SERVING');
  });

  it('starts with a service not serving when that was set before', async () => {
    server.setServing(TOPOLOGY, false);
    const client = health(await server.start());
    expect(await statusOf(client, TOPOLOGY)).toBe('NOT_SERVING');
  });

  it('does not listen without an address', async () => {
    const off = new GrpcServer({ listen: null, setting: SETTING }, { logger });
    expect(await off.start()).toBe(0);
    await off.stop(0);
  });

  it('names the setting when its port is taken', async () => {
    const port = await server.start();
    const second = serving(port);
    const error = await second.start().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(SettingError);
    expect((error as SettingError).setting).toBe(SETTING);
    expect((error as SettingError).message).toMatch(
      new RegExp(`^${SETTING}: cannot listen on 127\\.0\\.0\\.1:${port}: EADDRINUSE, the port is taken`),
    );
    await second.stop(0);
  });

  it('lets an open call end before it stops', async () => {
    const client = topology(await server.start());
    const arrived = new Promise<void>((resolve) => {
      onHeld = resolve;
    });
    const reply = answer<{ clusters: unknown[] }>((done) =>
      client.listClusters(ListClustersRequest.decode(new Uint8Array(0)), done),
    );
    await arrived;
    const stopped = server.stop(60_000);
    held[0]!(null, ListClustersResponse.decode(new Uint8Array(0)));
    expect((await reply).clusters).toEqual([]);
    await stopped;
  });

  it('cuts calls that are still open at the deadline', async () => {
    const client = topology(await server.start());
    const arrived = new Promise<void>((resolve) => {
      onHeld = resolve;
    });
    const reply = answer((done) => client.listClusters(ListClustersRequest.decode(new Uint8Array(0)), done)).catch(
      (error: unknown) => error,
    );
    await arrived;
    await server.stop(1);
    expect(await reply).toMatchObject({ code: expect.any(Number) });
  });

  it('says NOT_SERVING before it stops, and answers calls all the same', async () => {
    const port = await server.start();
    const client = health(port);
    server.notServing();
    for (const service of ['', TOPOLOGY]) expect(await statusOf(client, service)).toBe('NOT_SERVING');
  });

  it('reports to health watchers that it drains', async () => {
    const port = await server.start();
    const client = health(port);
    const watch = client.watch({ service: TOPOLOGY });
    const seen: string[] = [];
    let stopped: Promise<void> | undefined;
    try {
      for await (const { status: now } of watch) {
        seen.push(now);
        stopped ??= server.stop(1000);
        if (now === 'NOT_SERVING') {
          break;
        }
      }
    } finally {
      watch.cancel();
    }
    await stopped;
    expect(seen).toEqual(['SERVING', 'NOT_SERVING']);
  });

  // Causes: code grpc/open-calls.ts RESOURCE_EXHAUSTED
  it('bounds the calls of its health service on a connection, with and without a message', async () => {
    const session = http2(`http://127.0.0.1:${await server.start()}`);
    const codes = Array.from({ length: 40 }, (_, i) => {
      // A call with headers and no message counts as open, too. The other calls are Watch for unknown names.
      const stream = session.request({
        ':method': 'POST',
        ':path': `/${HEALTH}/${i % 2 === 0 ? 'Check' : 'Watch'}`,
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      stream.on('error', () => {});
      if (i % 2 === 1) stream.end(Buffer.from([0, 0, 0, 0, 0]));
      return stream;
    });
    // A call over the limit gets only a status.
    const refused = await Promise.all(codes.slice(16).map((stream) => once(stream, 'response')));
    expect(refused.map(([headers]) => Number(headers['grpc-status']))).toEqual(Array(24).fill(8));
    expect([server.publicCalls.size, server.publicCalls.refused]).toEqual([16, 24]);
    session.destroy();
    await until(() => server.publicCalls.size === 0);
  });
});
