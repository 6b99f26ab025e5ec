import type { Writable } from 'node:stream';
import {
  type Client,
  credentials,
  Metadata,
  type ServerDuplexStream,
  type ServerWritableStream,
  type ServiceError,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import {
  AcquireClusterRequest,
  AcquireClusterResponse,
  MessagingClient,
  MessagingService,
  OpenRouteRequest,
  OpenRouteResponse,
} from '@spanmesh/proto/v1/messaging';
import {
  ListTargetsRequest,
  ListTargetsResponse,
  SetTargetRequest,
  SetTargetResponse,
  VolconfClient,
  VolconfService,
  WatchTargetsRequest,
  type WatchTargetsResponse,
} from '@spanmesh/proto/v1/volconf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { API_CLIENT_NAMES } from '../access/api-access.ts';
import { apiPrincipal } from '../access/api-principal.ts';
import { createApiToken } from '../access/api-tokens.ts';
import { securitySettings } from '../access/security-settings.ts';
import { systemClock } from '../clock.ts';
import { Metrics } from '../metrics.ts';
import { readSettings } from '../settings/setting.ts';
import { CertificateAuthority } from '../tls/certificate-authority.ts';
import { Certificates, recordingLogger, VALID } from '../tls/certificates.fixture.ts';
import { API_NAME, TOPOLOGY_NAME, VOLCONF_NAME } from '../tls/service-names.ts';
import type { ChannelSecurity } from '../tls/tls-credentials.ts';
import { REPLICA_HEADER } from './forwarder.ts';
import { createClient, PLAINTEXT } from './grpc-client.ts';
import { GrpcServer } from './grpc-server.ts';
import { OtherServices, type OtherServicesOptions } from './other-services.ts';
import { Security } from './security.ts';

// Written once more: a change of them must be noticed.
const MAX_FORWARDED_CALLS_PER_PRINCIPAL = 1000;

const LOOPBACK = { host: '127.0.0.1', port: 0 };

let cleanups: (() => unknown)[];
let certificates: Certificates;
beforeEach(() => {
  certificates = new Certificates();
  cleanups = [() => certificates.remove()];
});
afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

const { logger } = recordingLogger();

/** The security of a process with these settings. */
function secured(name: typeof TOPOLOGY_NAME | typeof VOLCONF_NAME, env: Record<string, string>): Security {
  const listen = { grpcListen: LOOPBACK, serviceListen: LOOPBACK };
  const deps = { clock: systemClock, logger, metrics: new Metrics() };
  return new Security(readSettings(securitySettings, { env, flags: {} }), { names: [name], listen }, deps);
}

type Watch = ServerWritableStream<WatchTargetsRequest, WatchTargetsResponse>;
type Route = ServerDuplexStream<OpenRouteRequest, OpenRouteResponse>;

/** A process that answers for volconf and messaging, on its service port. */
class Answering {
  /** The callers' principals, as the process was told them. */
  readonly principals: string[] = [];
  readonly headers: Metadata[] = [];
  readonly watches: Watch[] = [];
  readonly routes: Route[] = [];
  address = '';
  #arrived: (() => void)[] = [];

  async start(security: Security): Promise<this> {
    const note = (call: { metadata: Metadata; getPeer(): string }): void => {
      this.principals.push(apiPrincipal(call));
      this.headers.push(call.metadata);
      for (const arrived of this.#arrived.splice(0)) arrived();
    };
    const answering =
      <R>(answer: R) =>
      (call: { metadata: Metadata; getPeer(): string }, done: sendUnaryData<R>) => {
        note(call);
        done(null, answer);
      };
    const server = new GrpcServer(
      { listen: LOOPBACK, setting: 'TEST', security: security.service, takesPassedOn: true },
      { logger },
    );
    server.addService(VolconfService, {
      listTargets: answering(ListTargetsResponse.create()),
      setTarget: answering(SetTargetResponse.create()),
      getTarget: (_: unknown, done: (error: unknown) => void) =>
        done({ code: status.UNAVAILABLE, details: 'in my own words' }),
      watchTargets: (call: Watch) => {
        this.watches.push(call);
        note(call);
      },
    });
    server.addService(MessagingService, {
      acquireCluster: answering(AcquireClusterResponse.fromPartial({ handle: 'h' })),
      openRoute: (call: Route) => {
        this.routes.push(call);
        note(call);
        call.on('data', (request: OpenRouteRequest) => {
          const { routed } = request;
          if (!call.write(OpenRouteResponse.fromPartial({ routed: routed ?? { command: 1 } }))) call.pause();
        });
        call.on('drain', () => call.resume());
        call.on('end', () => call.end());
      },
    });
    this.address = `127.0.0.1:${await server.start()}`;
    cleanups.push(() => server.stop(0));
    return this;
  }

  /** Resolves when this number of calls has come. */
  async called(times: number): Promise<void> {
    while (this.principals.length < times) await new Promise<void>((resolve) => this.#arrived.push(resolve));
  }
}

/** The API of a process that passes on calls of volconf and messaging. */
async function passing(security: Security, options: OtherServicesOptions) {
  const metrics = new Metrics();
  const server = new GrpcServer({ listen: LOOPBACK, setting: 'TEST', security: security.api }, { logger });
  const others = new OtherServices(options, { server, metrics, logger, clock: systemClock, random: () => 0 });
  const address = `127.0.0.1:${await server.start()}`;
  cleanups.push(() => server.stop(0));
  cleanups.push(() => others.stop());
  return { address, others, metrics };
}

async function pair(front: Record<string, string> = {}, back: Record<string, string> = front) {
  const [here, there] = [secured(TOPOLOGY_NAME, front), secured(VOLCONF_NAME, back)];
  const answering = await new Answering().start(there);
  const security = here.channel(VOLCONF_NAME);
  const gateway = { id: 'a.1', name: 'a', address: answering.address };
  const made = await passing(here, {
    volconf: { address: () => answering.address, security },
    messaging: { all: () => [gateway], security: () => security },
  });
  return { answering, ...made };
}

function open<C extends Client>(
  Constructor: Parameters<typeof createClient<C>>[0],
  address: string,
  security: ChannelSecurity = PLAINTEXT,
): C {
  const client = createClient(Constructor, address, { security });
  cleanups.push(() => client.close());
  return client;
}

const bearing = (token: string | null, more: Record<string, string> = {}): Metadata => {
  const metadata = new Metadata();
  if (token !== null) metadata.set('authorization', `Bearer ${token}`);
  for (const [name, value] of Object.entries(more)) metadata.set(name, value);
  return metadata;
};

/** 'ok', or the status and its text. */
function outcome<Q, R>(
  call: (request: Q, metadata: Metadata, done: (error: ServiceError | null, answer: R) => void) => unknown,
  request: Q,
  metadata = new Metadata(),
): Promise<string> {
  return new Promise((resolve) => {
    call(request, metadata, (error) => resolve(error === null ? 'ok' : `${status[error.code]}: ${error.details}`));
  });
}

const list = (client: VolconfClient, metadata?: Metadata) =>
  outcome(client.listTargets.bind(client), ListTargetsRequest.create(), metadata);
const set = (client: VolconfClient, metadata?: Metadata) =>
  outcome(client.setTarget.bind(client), SetTargetRequest.create(), metadata);

describe('an API of what other processes answer', () => {
  // Causes: metric spanmesh_calls_passed_on_total
  it('passes calls on, and says who has answered', async () => {
    const { answering, address, metrics } = await pair();
    const client = open(VolconfClient, address);
    const replica = new Promise((resolve) => {
      const call = client.listTargets(ListTargetsRequest.create(), () => {});
      call.on('metadata', (headers: Metadata) => resolve(headers.get(REPLICA_HEADER)[0]));
    });
    expect(await replica).toBe(answering.address);
    expect(await set(client)).toBe('ok');
    expect(await metrics.text()).toContain('spanmesh_calls_passed_on_total{service="volconf"} 2');
  });

  it('passes on errors in the words of the process that fails', async () => {
    const { address } = await pair();
    const client = open(VolconfClient, address);
    const get = outcome(client.getTarget.bind(client), { name: 'x' });
    expect(await get).toBe('UNAVAILABLE: in my own words');
  });

  // Causes: code grpc/other-services.ts UNAVAILABLE
  it('says in its own words that nobody answers, and that nobody is known', async () => {
    let where: string | null = '127.0.0.1:1';
    const { address } = await passing(secured(TOPOLOGY_NAME, {}), {
      volconf: { address: () => where, security: PLAINTEXT },
      messaging: { all: () => [], security: () => PLAINTEXT },
    });
    const client = open(VolconfClient, address);
    expect(await list(client)).toMatch(
      /^UNAVAILABLE: The volconf leader at 127\.0\.0\.1:1 does not answer: try again\./,
    );
    where = null;
    const nobody = 'No volconf replica is known to lead at the moment: try again.';
    expect(await list(client)).toBe(`UNAVAILABLE: ${nobody}`);
    const watch = client.watchTargets(WatchTargetsRequest.create());
    expect(await new Promise((resolve) => watch.on('error', ({ details }: ServiceError) => resolve(details)))).toBe(
      nobody,
    );
    const route = open(MessagingClient, address).openRoute();
    expect(await new Promise((resolve) => route.on('error', ({ details }: ServiceError) => resolve(details)))).toBe(
      'No link-gateway is known at the moment: try again.',
    );
  });

  it('ends streams when another process leads', async () => {
    const { answering, address, others } = await pair();
    const watch = open(VolconfClient, address).watchTargets(WatchTargetsRequest.create());
    const ended = new Promise((resolve) => watch.on('error', ({ details }: ServiceError) => resolve(details)));
    await answering.called(1);
    others.leaderChanged();
    answering.address = '127.0.0.1:1';
    others.leaderChanged();
    expect(await ended).toBe('The leader has changed: call again.');
  });
});

describe('a route that is passed on', () => {
  const message = (bytes: number) =>
    OpenRouteRequest.fromPartial({ routed: { command: 1, aux: Buffer.alloc(bytes, 7) } });

  it('carries messages both ways, in order, and ends when the client has', async () => {
    const { answering, address } = await pair();
    const route = open(MessagingClient, address).openRoute();
    const lengths: number[] = [];
    route.on('data', ({ routed }: OpenRouteResponse) => lengths.push(routed?.aux.length ?? -1));
    const ended = new Promise((resolve) => route.on('end', resolve));
    for (let i = 0; i < 100; i++) route.write(message(i));
    route.end();
    await ended;
    expect(lengths).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(answering.routes).toHaveLength(1);
  });

  it('goes at the speed of its reader', async () => {
    const { address } = await pair();
    const route = open(MessagingClient, address).openRoute();
    const [big, most] = [message(100_000), 1000];
    // The other process sends the messages back, and the client reads only the first one.
    let got = 0;
    const first = new Promise<void>((resolve) =>
      route.on('data', () => {
        if (got++ > 0) return;
        route.pause();
        resolve();
      }),
    );
    route.write(big);
    await first;
    let written = 1;
    while (written < most && (route.write(big) || (await Promise.race([drained(route), quiet()])))) written++;
    expect(written).toBeLessThan(most);
    const ended = new Promise((resolve) => route.on('end', resolve));
    route.end();
    route.resume();
    await ended;
    // The message that had to wait was taken all the same.
    expect(got).toBe(written + 1);
  });

  it('is cancelled when the client cancels', async () => {
    const { answering, address, others } = await pair();
    const route = open(MessagingClient, address).openRoute();
    route.on('error', () => {});
    await answering.called(1);
    const cancelled = new Promise((resolve) => answering.routes[0]!.on('cancelled', () => resolve('cancelled')));
    route.cancel();
    expect(await cancelled).toBe('cancelled');
    others.stop();
  });

  it('goes to one gateway for as long as that is there', async () => {
    const here = secured(TOPOLOGY_NAME, {});
    const both = [await new Answering().start(here), await new Answering().start(here)];
    let gateways = both.map(({ address }, i) => ({ id: `g${i}.1`, name: `g${i}`, address }));
    const { address } = await passing(here, { messaging: { all: () => gateways, security: () => PLAINTEXT } });
    const client = open(MessagingClient, address);
    const acquire = () => outcome(client.acquireCluster.bind(client), AcquireClusterRequest.create());
    const counts = () => both.map(({ principals }) => principals.length);
    await acquire();
    expect(counts()).toEqual([1, 0]);
    gateways = [gateways[1]!, gateways[0]!];
    await acquire();
    expect(counts()).toEqual([2, 0]);
    gateways = [gateways[0]!];
    await acquire();
    expect(counts()).toEqual([2, 1]);
    gateways = both.map(({ address }, i) => ({ id: `g${i}.1`, name: `g${i}`, address }));
    await acquire();
    expect(counts()).toEqual([2, 2]);
  });
});

describe('the caller of a call that is passed on', () => {
  const [ann, bob] = [createApiToken({ name: 'ann', role: 'operate' }), createApiToken({ name: 'bob', role: 'read' })];
  const between = (name: string): Record<string, string> => {
    const { ca, cert, key } = certificates.files([name]);
    return { SPANMESH_TLS_CA: ca ?? '', SPANMESH_TLS_CERT: cert, SPANMESH_TLS_KEY: key };
  };
  const users = (...lines: string[]) => ({ SPANMESH_API_TOKENS_FILE: certificates.file(lines.join('\n')) });

  it('is the user, at the process that answers, never the service that passes it on', async () => {
    const both = users(ann.line, bob.line);
    const { answering, address } = await pair(
      { ...between(TOPOLOGY_NAME), ...both },
      { ...between(VOLCONF_NAME), ...both },
    );
    const client = open(VolconfClient, address);
    expect(await set(client, bearing(ann.token))).toBe('ok');
    expect(await list(client, bearing(bob.token))).toBe('ok');
    expect(answering.principals).toEqual(['user:ann', 'user:bob']);
    // The process that handles the call gets no part of a token.
    for (const headers of answering.headers) expect(JSON.stringify(headers.getMap())).not.toContain('spm_');
    expect(await set(client, bearing(bob.token))).toMatch(/^PERMISSION_DENIED: .*needs the role operate; bob has/);
    expect(answering.principals).toHaveLength(2);
  });

  it('is checked by the process that answers: being let in here, or not asked here, gives no right there', async () => {
    // Here ann may operate, there she may only read; carl is known only here.
    const carl = createApiToken({ name: 'carl', role: 'operate' });
    const less = ann.line.replace(' operate ', ' read ');
    const { answering, address } = await pair(
      { ...between(TOPOLOGY_NAME), ...users(ann.line, carl.line) },
      { ...between(VOLCONF_NAME), ...users(less) },
    );
    const client = open(VolconfClient, address);
    expect(await list(client, bearing(ann.token))).toBe('ok');
    expect(await set(client, bearing(ann.token))).toMatch(/^PERMISSION_DENIED: .*; ann has the role read/);
    expect(await list(client, bearing(carl.token))).toMatch(
      /^UNAUTHENTICATED: This token is not known here\. The call/,
    );
    expect(answering.principals).toEqual(['user:ann']);
  });

  it('is nobody where he was not asked, unless he shows a token', async () => {
    const { address } = await pair(between(TOPOLOGY_NAME), { ...between(VOLCONF_NAME), ...users(bob.line) });
    const client = open(VolconfClient, address);
    expect(await list(client)).toMatch(/^UNAUTHENTICATED: The API needs a token/);
    expect(await list(client, bearing(bob.token))).toBe('ok');
  });

  it('is not taken from headers of the client: only the process that passes on may set those', async () => {
    const both = users(bob.line);
    const { answering, address } = await pair(
      { ...between(TOPOLOGY_NAME), ...both },
      { ...between(VOLCONF_NAME), ...both },
    );
    const client = open(VolconfClient, address);
    const lies = { 'spanmesh-forwarded': '1', 'spanmesh-user': 'ann', 'spanmesh-caller-address': '192.0.2.1' };
    expect(await list(client, bearing(bob.token, lies))).toBe('ok');
    expect(answering.principals).toEqual(['user:bob']);
    expect(await list(client, bearing(null, { ...lies, 'spanmesh-caller-token': bob.token }))).toMatch(
      /^UNAUTHENTICATED/,
    );
  });

  it('is the address of an unnamed client, not that of the process that passes the call on', async () => {
    const { answering, address } = await pair();
    const other = { credentials: credentials.createInsecure(), options: { 'grpc.use_local_subchannel_pool': 1 } };
    expect(await list(open(VolconfClient, address, other))).toBe('ok');
    expect(await list(open(VolconfClient, address), bearing(null, { 'spanmesh-caller-address': '192.0.2.1' }))).toBe(
      'ok',
    );
    expect(answering.principals).toEqual(['127.0.0.1', '127.0.0.1']);
  });

  it('is known by a certificate, if the answering process’s own CA for users has issued it', async () => {
    const elsewhere = CertificateAuthority.create({ subject: 'other CA', ...VALID });
    const api = (authority: CertificateAuthority) => {
      const { cert, key } = certificates.files([API_NAME]);
      const ca = certificates.file(authority.pem.cert);
      return { SPANMESH_API_TLS_CERT: cert, SPANMESH_API_TLS_KEY: key, SPANMESH_API_TLS_CA: ca };
    };
    const own = certificates.authority;
    const issue = (authority: CertificateAuthority, name: string) =>
      authority.issue({ subject: 'dora', names: [name], roles: ['client'], ...VALID });
    const client = (address: string, authority: CertificateAuthority, role: 'read' | 'operate') => {
      const { cert, key } = issue(authority, API_CLIENT_NAMES[role]);
      const ssl = credentials.createSsl(Buffer.from(own.pem.cert), Buffer.from(key), Buffer.from(cert));
      const options = { 'grpc.ssl_target_name_override': API_NAME, 'grpc.use_local_subchannel_pool': 1 };
      return open(VolconfClient, address, { credentials: ssl, options });
    };
    const same = await pair({ ...between(TOPOLOGY_NAME), ...api(own) }, { ...between(VOLCONF_NAME), ...api(own) });
    expect(await set(client(same.address, own, 'operate'))).toBe('ok');
    expect(same.answering.principals).toEqual(['user:dora']);
    expect(await set(client(same.address, own, 'read'))).toMatch(/^PERMISSION_DENIED: .*dora has the role read/);

    const other = await pair(
      { ...between(TOPOLOGY_NAME), ...api(elsewhere) },
      { ...between(VOLCONF_NAME), ...api(own) },
    );
    expect(await list(client(other.address, elsewhere, 'operate'))).toMatch(
      /^UNAUTHENTICATED: .*The call was passed on/,
    );
    expect(other.answering.principals).toEqual([]);
  });
});

// Causes: metric spanmesh_calls_passed_on_limits_total, spanmesh_calls_passed_on
it('passes on so many calls of one, and no more', async () => {
  const { answering, address, metrics } = await pair();
  const clients = Array.from({ length: 2 }, () =>
    open(VolconfClient, address, { ...PLAINTEXT, options: { 'grpc.use_local_subchannel_pool': 1 } }),
  );
  const most = MAX_FORWARDED_CALLS_PER_PRINCIPAL;
  const ended = new Promise<ServiceError>((resolve) => {
    for (let i = 0; i <= most; i++) {
      clients[i % 2]!.watchTargets(WatchTargetsRequest.create()).on('error', resolve);
    }
  });
  expect(await ended).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
  await answering.called(most);
  expect(answering.watches).toHaveLength(most);
  const text = await metrics.text();
  expect(text).toContain('spanmesh_calls_passed_on_limits_total{service="volconf"} 1');
  expect(text).toContain(`spanmesh_calls_passed_on{service="volconf"} ${most}`);
});

function drained(stream: Writable): Promise<boolean> {
  return new Promise((resolve) => stream.once('drain', () => resolve(true)));
}

/** Waits long enough for a stream over loopback to take more, if it does. */
function quiet(): Promise<boolean> {
  return new Promise((resolve) => setTimeout(resolve, 300, false));
}
