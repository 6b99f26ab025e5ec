import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { EventKind } from '@spanmesh/proto/v1/events';
import { ListTargetsRequest, VolconfClient, VolconfService } from '@spanmesh/proto/v1/volconf';
import { service as healthDefinition } from 'grpc-health-check';
import { afterEach, describe, expect, it } from 'vitest';
import { createApiToken } from '../access/api-tokens.ts';
import type { Happened } from '../events/event-teller.ts';
import { FakeClock } from '../fake-clock.ts';
import { MAX_API_REQUEST_BYTES } from '../grpc/grpc-channel.ts';
import { createLogger } from '../log/logger.ts';
import { changes, samples } from '../metrics.fixture.ts';
import { Metrics } from '../metrics.ts';
import { until } from '../patience.fixture.ts';
import { readSettings } from '../settings/setting.ts';
import { Certificates } from '../tls/certificates.fixture.ts';
import { API_NAME, VOLCONF_NAME } from '../tls/service-names.ts';
import { LOOK_INTERVAL_MS } from '../tls/watched-files.ts';
import { ProcessPorts } from './process-ports.ts';
import { processSettings } from './process-settings.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const ANYWHERE = '127.0.0.1:0';

/** The ports of a process whose API has one method that answers; what it measures, logs and tells. */
async function ports(env: Record<string, string> = {}) {
  const metrics = new Metrics();
  const log: Record<string, unknown>[] = [];
  const told: Happened[] = [];
  const clock = new FakeClock({ wall: Date.now() });
  const defaults = processSettings({ grpc: ANYWHERE, service: ANYWHERE, http: ANYWHERE });
  const made = new ProcessPorts(readSettings(defaults, { env, flags: {} }), {
    ready: () => null,
    metrics,
    clock,
    logger: createLogger({
      level: 'warn',
      service: 'test',
      destination: { write: (line: string) => void log.push(JSON.parse(line)) },
    }),
    events: { tell: (happened) => void told.push(happened) },
    names: [VOLCONF_NAME],
  });
  const { listTargets } = VolconfService;
  made.api.addService(
    { listTargets },
    {
      listTargets: (_: unknown, done: (error: null, answer: object) => void) => {
        clock.advance(250);
        done(null, { targets: [], nextPageToken: '' });
      },
    },
  );
  await made.start();
  cleanups.push(() => made.stop());
  return { made, metrics, log, told, clock };
}

/** The ports of a process that nobody has started. */
function unstarted(env: Record<string, string>) {
  const defaults = processSettings({ grpc: ANYWHERE, service: ANYWHERE, http: ANYWHERE });
  const logger = createLogger({ level: 'silent', service: 'test' });
  const made = new ProcessPorts(readSettings(defaults, { env, flags: {} }), {
    ready: () => null,
    metrics: new Metrics(),
    logger,
  });
  cleanups.push(() => made.stop());
  return made;
}

/** Whether somebody listens on the port. */
async function isOpen(port: number): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port });
  cleanups.push(() => socket.destroy());
  return once(socket, 'connect').then(
    () => true,
    () => false,
  );
}

it('the ports of a process are known once it has started, and closed when it has stopped', async () => {
  const made = unstarted({});
  expect(made.all).toEqual([]);
  await made.start();
  const { apiPort, servicePort, httpPort } = made;
  expect(made.all).toEqual([apiPort, servicePort, httpPort]);
  expect([made.apiAddress, made.serviceAddress, made.advertisedServiceAddress]).toEqual([
    `127.0.0.1:${apiPort}`,
    `127.0.0.1:${servicePort}`,
    `127.0.0.1:${servicePort}`,
  ]);
  expect(await Promise.all(made.all.map(isOpen))).toEqual([true, true, true]);
  await made.stop();
  expect(await Promise.all(made.all.map(isOpen))).toEqual([false, false, false]);
});

it.each([
  { host: '0.0.0.0', own: '127.0.0.1', advertised: '' },
  { host: '[::]', own: '[::1]', advertised: '' },
  { host: '[::1]', own: '[::1]', advertised: '[::1]:0' },
  { host: 'localhost', own: 'localhost', advertised: 'localhost:0' },
])('a process that listens on $host reaches itself at $own', ({ host, own, advertised }) => {
  const made = unstarted({
    SPANMESH_GRPC_LISTEN: `${host}:0`,
    SPANMESH_SERVICE_LISTEN: `${host}:0`,
    SPANMESH_INSECURE: 'true',
  });
  expect([made.apiAddress, made.serviceAddress, made.advertisedServiceAddress]).toEqual([
    `${own}:0`,
    `${own}:0`,
    advertised,
  ]);
});

it('a process whose last port is taken does not start, and leaves none of its ports open', async () => {
  const taken = createServer();
  taken.listen(0, '127.0.0.1');
  await once(taken, 'listening');
  cleanups.push(() => taken.close());
  const { port } = taken.address() as AddressInfo;
  const made = unstarted({ SPANMESH_GRPC_LISTEN: `127.0.0.1:${port}` });
  await expect(made.start()).rejects.toThrow(/^SPANMESH_GRPC_LISTEN: .*EADDRINUSE/);
  expect([made.httpPort === 0, made.servicePort === 0, made.apiPort]).toEqual([false, false, 0]);
  expect(await Promise.all(made.all.map(isOpen))).toEqual([false, false]);
});

it('a process that is about to stop says so on both gRPC ports', async () => {
  const made = unstarted({});
  await made.start();
  const said = (port: number) => {
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
    cleanups.push(() => client.close());
    const [check] = Object.values(healthDefinition).filter(({ path }) => path.endsWith('/Check'));
    if (check === undefined) throw new Error('health has no such method');
    return new Promise<unknown>((resolve, reject) =>
      client.makeUnaryRequest(
        check.path,
        check.requestSerialize,
        check.responseDeserialize,
        { service: '' },
        (error, answer) => (error === null ? resolve(answer) : reject(error)),
      ),
    );
  };
  const both = () => Promise.all([made.apiPort, made.servicePort].map(said));
  expect(await both()).toEqual([{ status: 'SERVING' }, { status: 'SERVING' }]);
  made.notServing();
  expect(await both()).toEqual([{ status: 'NOT_SERVING' }, { status: 'NOT_SERVING' }]);
});

/** Asks the API; the name of the code of the answer. */
function ask(port: number, token = '', request = ListTargetsRequest.create()): Promise<string> {
  const client = new VolconfClient(`127.0.0.1:${port}`, credentials.createInsecure());
  cleanups.push(() => client.close());
  const metadata = new Metadata();
  if (token !== '') metadata.set('authorization', `Bearer ${token}`);
  return new Promise((resolve) => {
    client.listTargets(request, metadata, (error: ServiceError | null) =>
      resolve(status[error?.code ?? status.OK] ?? ''),
    );
  });
}

it('the API takes no request that is longer than users may make', async () => {
  const { made } = await ports();
  const request = (chars: number) => ListTargetsRequest.create({ pageToken: 'x'.repeat(chars) });
  // The field's tag and length take four bytes.
  expect(await ask(made.apiPort, '', request(MAX_API_REQUEST_BYTES - 4))).toBe('OK');
  expect(await ask(made.apiPort, '', request(MAX_API_REQUEST_BYTES - 3))).toBe('RESOURCE_EXHAUSTED');
});

it('the API reads the next request of a user later who has sent much', async () => {
  const { made, told, clock } = await ports();
  const large = ListTargetsRequest.create({ pageToken: 'x'.repeat(MAX_API_REQUEST_BYTES - 4) });
  for (let i = 0; i < 3; i++) expect(await ask(made.apiPort, '', large)).toBe('OK');
  const waiting = ask(made.apiPort);
  await until(() => told.length > 0);
  expect(told).toMatchObject([
    { kind: EventKind.EVENT_KIND_LIMIT_HIT, principal: '127.0.0.1', limit: { limit: 'bytes of large requests' } },
  ]);
  // 2 MiB too many, and 1 MiB a second.
  clock.advance(2000);
  expect(await waiting).toBe('OK');
});

describe('the ports of a process show', () => {
  // Causes: metric spanmesh_grpc_connections, spanmesh_grpc_calls_total, spanmesh_grpc_call_seconds
  it('connections, and calls with what was answered and how long it took', async () => {
    const { made, metrics } = await ports();
    expect(await changes(metrics, () => ask(made.apiPort))).toEqual({
      'grpc_connections{port="api"}': 1,
      'grpc_calls_total{method="spanmesh.v1.Volconf/ListTargets",code="OK"}': 1,
      'grpc_call_seconds_sum{method="spanmesh.v1.Volconf/ListTargets"}': 0.25,
      'grpc_call_seconds_count{method="spanmesh.v1.Volconf/ListTargets"}': 1,
    });
  });

  // Causes: metric spanmesh_grpc_connections_refused_total
  it('connections that are refused because their address has too many', async () => {
    const { made, metrics } = await ports({ SPANMESH_MAX_API_CONNECTIONS: '4' });
    const refused = await changes(metrics, async () => {
      for (let n = 0; n < 3; n++) {
        const socket = connect({ host: '127.0.0.1', port: made.apiPort });
        cleanups.push(() => socket.destroy());
        socket.on('error', () => {}).resume();
        if (n === 2) await once(socket, 'close');
        else await once(socket, 'data');
      }
    });
    expect(refused).toEqual({ 'grpc_connections{port="api"}': 2, 'grpc_connections_refused_total{port="api"}': 1 });
  });

  // Causes: metric spanmesh_public_calls_refused_total
  it('calls of the health service beyond the limit of one connection', async () => {
    const { made, metrics } = await ports();
    const { connect: http2 } = await import('node:http2');
    const session = http2(`http://127.0.0.1:${made.apiPort}`);
    cleanups.push(() => session.destroy());
    const headers = {
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
    };
    // Headers alone hold a call open.
    const calls = Array.from({ length: 17 }, () => session.request(headers).on('error', () => {}));
    const last = calls.at(-1);
    if (last !== undefined) await once(last, 'response');
    expect((await samples(metrics))['public_calls_refused_total{port="api"}']).toBe(1);
  });

  // Causes: metric spanmesh_build_info
  it('what runs', async () => {
    const { metrics } = await ports();
    const [name] = Object.entries(await samples(metrics)).find(([one]) => one.startsWith('build_info')) ?? [''];
    expect(name).toMatch(/^build_info\{version="\d+\.\d+\.\d+",node="\d+\..+"\}$/);
  });

  // Causes: metric spanmesh_calls_refused_total
  // Causes: line call refused
  it('calls of services that do not show who they are', async () => {
    const certificates = new Certificates();
    cleanups.push(() => certificates.remove());
    const { ca, cert, key } = certificates.files([VOLCONF_NAME]);
    const api = certificates.files([API_NAME]);
    const user = createApiToken({ name: 'ann', role: 'read' });
    const { made, metrics, log } = await ports({
      SPANMESH_TLS_CA: ca ?? '',
      SPANMESH_TLS_CERT: cert,
      SPANMESH_TLS_KEY: key,
      SPANMESH_API_TLS_CERT: api.cert,
      SPANMESH_API_TLS_KEY: api.key,
      SPANMESH_API_TOKENS_FILE: certificates.file(user.line),
    });
    const client = new VolconfClient(
      `127.0.0.1:${made.apiPort}`,
      credentials.createSsl(Buffer.from(certificates.authority.pem.cert)),
      {
        'grpc.ssl_target_name_override': API_NAME,
      },
    );
    cleanups.push(() => client.close());
    const refused = await changes(
      metrics,
      () =>
        new Promise((resolve) =>
          client.listTargets(ListTargetsRequest.create(), (error: ServiceError | null) => resolve(error)),
        ),
    );
    expect(refused).toMatchObject({ 'calls_refused_total{port="api"}': 1 });
    expect(log.filter(({ msg }) => msg === 'call refused')).toMatchObject([{ level: 'warn' }]);
  });

  // Causes: metric spanmesh_tls_certificate_expiry_timestamp_seconds, spanmesh_tls_reloads_total, spanmesh_tls_reload_failures_total
  // Causes: event CERTIFICATES_RELOADED, CERTIFICATES_BAD
  // Causes: line changed files cannot be used; what they held before stays in use
  it('files that are read again, and those that cannot be used', async () => {
    const certificates = new Certificates();
    cleanups.push(() => certificates.remove());
    const api = certificates.files([API_NAME]);
    const [ann, bob] = ['ann', 'bob'].map((name) => createApiToken({ name, role: 'read' as const }).line);
    const tokens = certificates.file(ann ?? '');
    const { metrics, clock, told, log } = await ports({
      SPANMESH_API_TLS_CERT: api.cert,
      SPANMESH_API_TLS_KEY: api.key,
      SPANMESH_API_TOKENS_FILE: tokens,
    });
    const expiry = (await samples(metrics))['tls_certificate_expiry_timestamp_seconds{use="api"}'] ?? 0;
    expect(expiry * 1000).toBeGreaterThan(Date.now());
    const becomes = (name: string) =>
      expect
        .poll(async () => {
          clock.advance(LOOK_INTERVAL_MS);
          return (await samples(metrics))[`${name}{use="tokens"}`];
        })
        .toBe(1);
    writeFileSync(tokens, bob ?? '');
    await becomes('tls_reloads_total');
    expect(told.at(-1)).toMatchObject({ kind: EventKind.EVENT_KIND_CERTIFICATES_RELOADED });
    rmSync(tokens);
    await becomes('tls_reload_failures_total');
    expect(told.at(-1)).toMatchObject({ kind: EventKind.EVENT_KIND_CERTIFICATES_BAD, files: { files: [tokens] } });
    expect(log.map(({ msg }) => msg)).toContain('changed files cannot be used; what they held before stays in use');
  });
});
