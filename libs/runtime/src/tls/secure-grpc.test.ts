import { type Client, credentials, Metadata, type ServiceError, type sendUnaryData, status } from '@grpc/grpc-js';
import { DirectoryClient, DirectoryService, FindClusterResponse } from '@spanmesh/proto/v1/directory';
import {
  AcquireClusterRequest,
  AcquireClusterResponse,
  MessagingClient,
  MessagingService,
} from '@spanmesh/proto/v1/messaging';
import {
  GetTreeRequest,
  GetTreeResponse,
  ListClustersResponse,
  TopologyClient,
  TopologyService,
} from '@spanmesh/proto/v1/topology';
import {
  ListTargetsRequest,
  ListTargetsResponse,
  SetTargetRequest,
  SetTargetResponse,
  VolconfClient,
  VolconfService,
} from '@spanmesh/proto/v1/volconf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { API_CLIENT_NAMES, apiGate, apiUserOf } from '../access/api-access.ts';
import { createApiToken, watchApiTokens } from '../access/api-tokens.ts';
import { type Caller, REFUSAL_LOG_INTERVAL_MS } from '../access/gate.ts';
import { serviceGate } from '../access/service-callers.ts';
import { type Clock, systemClock } from '../clock.ts';
import { FakeClock } from '../fake-clock.ts';
import { createClient, PLAINTEXT } from '../grpc/grpc-client.ts';
import { GrpcServer } from '../grpc/grpc-server.ts';
import type { ServerSecurity } from '../grpc/security.ts';
import { CertificateAuthority } from './certificate-authority.ts';
import { Certificates, recordingLogger, VALID } from './certificates.fixture.ts';
import { API_NAME, LINK_GATEWAY_NAME, type ServiceName, TOPOLOGY_NAME, VOLCONF_NAME } from './service-names.ts';
import { type ChannelSecurity, channelCredentials, meaning, serverCredentials } from './tls-credentials.ts';
import { type TlsFiles, watchTlsFiles } from './tls-files.ts';

const LOOPBACK = { host: '127.0.0.1', port: 0 };

let certificates: Certificates;
let log: ReturnType<typeof recordingLogger>;
let closing: (() => unknown)[];
let refused: number;

beforeEach(() => {
  certificates = new Certificates();
  log = recordingLogger();
  closing = [];
  refused = 0;
});
afterEach(async () => {
  for (const close of closing.reverse()) await close();
  certificates.remove();
});

const answering =
  <R>(response: R) =>
  (_call: unknown, done: sendUnaryData<R>) =>
    done(null, response);

/** Starts a server with some services; returns its address. */
async function serve(security: ServerSecurity, clock: Clock = systemClock): Promise<string> {
  const server = new GrpcServer(
    { listen: LOOPBACK, setting: 'TEST', security },
    { logger: log.logger, clock, refused: () => refused++ },
  )
    .addService(DirectoryService, { findCluster: answering(FindClusterResponse.create()) })
    .addService(TopologyService, {
      listClusters: answering(ListClustersResponse.create()),
      getTree: (call: { write(part: GetTreeResponse): void }) => call.write(GetTreeResponse.create()),
    })
    .addService(MessagingService, { acquireCluster: answering(AcquireClusterResponse.create()) })
    .addService(VolconfService, {
      listTargets: answering(ListTargetsResponse.create()),
      setTarget: answering(SetTargetResponse.create()),
    });
  const port = await server.start();
  closing.push(() => server.stop(0));
  return `127.0.0.1:${port}`;
}

function open<C extends Client>(
  Constructor: Parameters<typeof createClient<C>>[0],
  address: string,
  security?: ChannelSecurity,
): C {
  const client = createClient(Constructor, address, security && { security });
  closing.push(() => client.close());
  return client;
}

/** Credentials of the service that a certificate names, for a channel to the service `name`. */
function as(files: TlsFiles, name: ServiceName = TOPOLOGY_NAME): ChannelSecurity {
  return { credentials: channelCredentials(files), options: { ...meaning(name), 'grpc.use_local_subchannel_pool': 1 } };
}

/** 'ok', or the status and its text. */
function outcome<Q, R>(
  call: (request: Q, metadata: Metadata, done: (error: ServiceError | null, response: R) => void) => unknown,
  request: Q,
  token?: string,
): Promise<string> {
  const metadata = new Metadata();
  if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
  return new Promise((resolve) => {
    call(request, metadata, (error) => resolve(error === null ? 'ok' : `${status[error.code]}: ${error.details}`));
  });
}

function findCluster(client: DirectoryClient): Promise<string> {
  return outcome(client.findCluster.bind(client), { cluster: undefined, nodes: 0, gateway: '' });
}

describe('a service port', () => {
  const requirements = (): ServerSecurity => ({
    credentials: serverCredentials(certificates.watched([TOPOLOGY_NAME]), 'required'),
    gate: serviceGate,
  });
  const gatewayFiles = () => certificates.watched([LINK_GATEWAY_NAME]);

  it('serves the services for which a method is meant', async () => {
    const address = await serve(requirements());
    expect(await findCluster(open(DirectoryClient, address, as(gatewayFiles())))).toBe('ok');
    expect(refused).toBe(0);
  });

  // Causes: code access/service-callers.ts PERMISSION_DENIED
  it('refuses other services, by name, and says so in the log', async () => {
    const address = await serve(requirements());
    const client = open(DirectoryClient, address, as(certificates.watched([VOLCONF_NAME])));
    expect(await findCluster(client)).toBe(
      'PERMISSION_DENIED: /spanmesh.v1.Directory/FindCluster is for link-gateway.spanmesh; ' +
        'the certificate shown is that of volconf.spanmesh.',
    );
    expect(refused).toBe(1);
    expect(log.lines.filter((line) => line.includes('call refused'))).toHaveLength(1);
  });

  it('refuses users of the API, whatever token they show', async () => {
    const { token } = createApiToken({ name: 'ann', role: 'operate' });
    const address = await serve(requirements());
    const client = open(DirectoryClient, address, as(certificates.watched([API_CLIENT_NAMES.operate])));
    expect(
      await outcome(client.findCluster.bind(client), { cluster: undefined, nodes: 0, gateway: '' }, token),
    ).toMatch(/^PERMISSION_DENIED: .* is that of operate\.clients\.spanmesh\.$/);
  });

  it('has no methods for a service that no rule names', async () => {
    const address = await serve(requirements());
    const client = open(MessagingClient, address, as(gatewayFiles()));
    expect(await outcome(client.acquireCluster.bind(client), AcquireClusterRequest.create())).toMatch(
      /^PERMISSION_DENIED: .* is for nobody;/,
    );
  });

  it.each<[string, () => ChannelSecurity]>([
    ['no TLS', () => PLAINTEXT],
    ['no certificate', () => ({ credentials: noCertificate(), options: meaning(TOPOLOGY_NAME) })],
    ['a certificate of another CA', () => as(certificates.watched([LINK_GATEWAY_NAME], { authority: otherCa() }))],
    ['a certificate for servers', () => as(certificates.watched([LINK_GATEWAY_NAME], { roles: ['server'] }))],
  ])('does not talk to a client with %s', async (_, security) => {
    const address = await serve(requirements());
    expect(await findCluster(open(DirectoryClient, address, security()))).toMatch(/^UNAVAILABLE: /);
    // The connections failed before any call.
    expect(refused).toBe(0);
  });

  it.each<[string, () => Partial<TlsFiles> & object, RegExp]>([
    [
      'another service',
      () => certificates.watched([VOLCONF_NAME]),
      /the certificate of the other side is that of volconf\.spanmesh, not of topology\.spanmesh/,
    ],
    ['a wildcard', () => certificates.watched(['*.spanmesh']), /is that of \*\.spanmesh, not of topology\.spanmesh/],
    ['only its address', () => certificates.watched(['127.0.0.1']), /is that of nobody, not of/],
    [
      'another CA',
      () => certificates.watched([TOPOLOGY_NAME], { authority: otherCa() }),
      /unable to (verify|get)|self.signed/,
    ],
    ['no use as a server', () => certificates.watched([TOPOLOGY_NAME], { roles: ['client'] }), /purpose/],
  ])('is not accepted by a client when its certificate is that of %s', async (_, files, why) => {
    const address = await serve({ credentials: serverCredentials(files() as TlsFiles, 'required') });
    const answer = await findCluster(open(DirectoryClient, address, as(gatewayFiles())));
    expect(answer).toMatch(/^UNAVAILABLE: /);
    expect(answer).toMatch(why);
  });

  const otherCa = () => CertificateAuthority.create({ subject: 'other CA', ...VALID });

  function noCertificate() {
    return credentials.createSsl(Buffer.from(certificates.authority.pem.cert));
  }
});

describe('certificates that change', () => {
  /** Certificate and CA, as Kubernetes mounts them; `believed` is the CA to trust. */
  const mounted = (authority: CertificateAuthority, believed: string) => {
    const { cert, key } = authority.issue({
      subject: 'x',
      names: [TOPOLOGY_NAME, LINK_GATEWAY_NAME],
      roles: ['server', 'client'],
      ...VALID,
    });
    const { cert: certFile, key: keyFile, ca } = certificates.mount({ cert, key, ca: believed });
    return { cert: certFile!, key: keyFile!, ca: ca! };
  };

  it('are used for new connections, on both sides, while open ones stay', async () => {
    const first = certificates.authority;
    const second = CertificateAuthority.create({ subject: 'second CA', ...VALID });
    const watch = () => watchTlsFiles(mounted(first, first.pem.cert), { clock: systemClock, logger: log.logger });
    const files = watch();
    const address = await serve({ credentials: serverCredentials(files, 'required'), gate: serviceGate });
    const mine = as(files);

    const before = open(TopologyClient, address, mine).getTree(GetTreeRequest.create());
    await new Promise((resolve) => before.once('data', resolve));
    let ended = false;
    before.on('error', () => {
      ended = true;
    });

    const old = as(certificates.watched([LINK_GATEWAY_NAME]));
    expect(await findCluster(open(DirectoryClient, address, old))).toBe('ok');
    mounted(second, second.pem.cert);
    await files.look();
    expect(files.reloads).toBe(1);

    // The credentials object is the same one: new connections use the new files.
    expect(await findCluster(open(DirectoryClient, address, mine))).toBe('ok');
    expect(await findCluster(open(DirectoryClient, address, old))).toMatch(/^UNAVAILABLE: /);
    const renewed = certificates.watched([LINK_GATEWAY_NAME], { authority: second, believes: second });
    expect(await findCluster(open(DirectoryClient, address, as(renewed)))).toBe('ok');
    expect(ended).toBe(false);
    before.cancel();
  });

  it('are ignored when the new ones cannot be used', async () => {
    const first = certificates.authority;
    const files = watchTlsFiles(mounted(first, first.pem.cert), { clock: systemClock, logger: log.logger });
    const address = await serve({ credentials: serverCredentials(files, 'required'), gate: serviceGate });
    certificates.mount({ cert: 'nonsense', key: 'SECRET', ca: '' });
    await files.look();
    await files.look();
    expect([files.failures, files.reloads]).toEqual([1, 0]);
    expect(await findCluster(open(DirectoryClient, address, as(files)))).toBe('ok');
    expect(log.lines.join('\n')).not.toContain('SECRET');
  });
});

describe('the API', () => {
  const ann = createApiToken({ name: 'ann', role: 'operate' });
  const bot = createApiToken({ name: 'bot', role: 'read' });
  const list = (client: VolconfClient, token?: string) =>
    outcome(client.listTargets.bind(client), ListTargetsRequest.create(), token);
  const set = (client: VolconfClient, token?: string) =>
    outcome(client.setTarget.bind(client), SetTargetRequest.create(), token);

  const tokens = () =>
    watchApiTokens(certificates.file(`${ann.line}\n${bot.line}\n`), { clock: systemClock, logger: log.logger });

  it('allows a token what its role allows', async () => {
    const known = tokens();
    const client = open(VolconfClient, await serve({ gate: apiGate(() => known.value) }));
    expect([await list(client, ann.token), await set(client, ann.token)]).toEqual(['ok', 'ok']);
    expect(await list(client, bot.token)).toBe('ok');
    expect(await set(client, bot.token)).toBe(
      'PERMISSION_DENIED: /spanmesh.v1.Volconf/SetTarget needs the role operate; bot has the role read.',
    );
    expect(await list(client)).toBe(
      'UNAUTHENTICATED: The API needs a token (authorization: Bearer …) or a client certificate.',
    );
    expect(await list(client, `${ann.token.slice(0, -1)}_`)).toBe('UNAUTHENTICATED: This token is not known here.');
    expect(refused).toBe(3);
  });

  it('forgets a token that is removed from its file', async () => {
    const file = certificates.file(ann.line, 'tokens');
    const known = watchApiTokens(file, { clock: systemClock, logger: log.logger });
    const client = open(VolconfClient, await serve({ gate: apiGate(() => known.value) }));
    expect(await list(client, ann.token)).toBe('ok');
    certificates.file(bot.line, 'tokens');
    await known.look();
    expect(await list(client, ann.token)).toMatch(/^UNAUTHENTICATED/);
    expect(await list(client, bot.token)).toBe('ok');
  });

  it('recognises users by certificates that a CA has signed, and demands none', async () => {
    const address = await serve({
      credentials: serverCredentials(certificates.watched([API_NAME]), 'optional'),
      gate: apiGate(() => null),
    });
    const user = (names: string[], more = {}) =>
      open(VolconfClient, address, {
        credentials: channelCredentials(certificates.watched(names, { roles: ['client'], ...more })),
        options: { 'grpc.ssl_target_name_override': API_NAME },
      });
    const operator = user([API_CLIENT_NAMES.operate]);
    expect([await list(operator), await set(operator)]).toEqual(['ok', 'ok']);
    const reader = user([API_CLIENT_NAMES.read], { subject: 'bob' });
    expect(await list(reader)).toBe('ok');
    expect(await set(reader)).toMatch(/bob has the role read\.$/);
    expect(await list(user([LINK_GATEWAY_NAME]))).toMatch(
      /^UNAUTHENTICATED: The certificate shown is not that of a user/,
    );
    // A certificate of another CA counts as none.
    const authority = CertificateAuthority.create({ subject: 'mine', ...VALID });
    expect(await list(user([API_CLIENT_NAMES.operate], { authority }))).toMatch(
      /^UNAUTHENTICATED: The API needs a token/,
    );
  });

  // Causes: code access/api-access.ts UNAUTHENTICATED
  it('refuses streams, too, before they begin', async () => {
    const known = tokens();
    const client = open(TopologyClient, await serve({ gate: apiGate(() => known.value) }));
    const stream = client.getTree(GetTreeRequest.create());
    const error = await new Promise<ServiceError>((resolve) => stream.once('error', resolve));
    expect(error.code).toBe(status.UNAUTHENTICATED);
    stream.removeAllListeners();
  });

  it('logs the same refused caller once in a while, and never a token', async () => {
    const clock = new FakeClock();
    const known = tokens();
    const client = open(VolconfClient, await serve({ gate: apiGate(() => known.value) }, clock));
    const refusals = () => log.lines.filter((line) => line.includes('call refused')).map((line) => JSON.parse(line));
    const stranger = createApiToken({ name: 'x', role: 'read' });
    for (let i = 0; i < 3; i++) await list(client, stranger.token);
    expect(refusals()).toMatchObject([
      { peer: '127.0.0.1', method: '/spanmesh.v1.Volconf/ListTargets', suppressed: 0 },
    ]);
    clock.advance(REFUSAL_LOG_INTERVAL_MS);
    await list(client, stranger.token);
    await set(client, bot.token);
    expect(refusals().at(-1)).toMatchObject({ suppressed: 2 });
    const everything = log.lines.join('\n');
    for (const { token } of [stranger, bot, ann]) expect(everything).not.toContain(token);
  });

  it('logs the user who is refused, each one even if many come from one host', async () => {
    const known = tokens();
    const userOf = apiUserOf(() => known.value);
    const security = {
      gate: apiGate(() => known.value),
      userOf: (caller: Caller) => userOf(caller)?.name ?? null,
    };
    const client = open(VolconfClient, await serve(security, new FakeClock()));
    const refusals = () => log.lines.filter((line) => line.includes('call refused')).map((line) => JSON.parse(line));
    await list(client);
    for (let i = 0; i < 2; i++) await set(client, bot.token);
    expect(refusals()).toMatchObject([{ peer: '127.0.0.1' }, { peer: '127.0.0.1', user: 'bot' }]);
    expect(refusals()[0]).not.toHaveProperty('user');
  });
});
