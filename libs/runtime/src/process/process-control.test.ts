import { credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import {
  type InspectResponse,
  type ListProcessesResponse,
  ProcessClient,
  SetLogLevelRequest,
  type SetLogLevelResponse,
} from '@spanmesh/proto/v1/process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { apiGate, apiUserOf } from '../access/api-access.ts';
import { createApiToken, parseApiTokens } from '../access/api-tokens.ts';
import { USER_HEADER } from '../access/gate.ts';
import { PROCESS_QUESTIONS, processAnswers } from '../bus/bus-names.ts';
import { InProcessBus } from '../bus/in-process/in-process-bus.ts';
import { systemClock } from '../clock.ts';
import { PLAINTEXT } from '../grpc/grpc-client.ts';
import { GrpcServer } from '../grpc/grpc-server.ts';
import type { ServerSecurity } from '../grpc/security.ts';
import { createLogger } from '../log/logger.ts';
import { limitsHit } from '../shares/limits-hit.ts';
import { ProcessControl } from './process-control.ts';
import { ProcessDirectory } from './process-directory.ts';

const logger = createLogger({ level: 'silent', service: 'test' });
/** The copies of buckets that the called process reports. */
const copies = [{ bucket: 'spanmesh-leases', wanted: 3, there: 2, trouble: '' }];
let bus: InProcessBus;
let stops: (() => Promise<unknown> | unknown)[];
beforeEach(() => {
  bus = new InProcessBus({ onError: (error) => expect.fail(String(error)) });
  stops = [() => bus.close()];
});
afterEach(async () => {
  for (const stop of stops.reverse()) await stop();
});

interface Made {
  readonly control: ProcessControl;
  readonly client: ProcessClient;
  readonly link: { connected: boolean; losses: number; unchangedMs: number };
  readonly servicePort: GrpcServer;
}

async function process(
  service: string,
  { security = {}, gateway = '' } = {} as { security?: ServerSecurity; gateway?: string },
): Promise<Made> {
  const listen = { host: '127.0.0.1', port: 0 };
  const api = new GrpcServer({ listen, setting: 'X', security }, { logger });
  const servicePort = new GrpcServer({ listen, setting: 'Y' }, { logger });
  let serviceAddress = '';
  const link = { connected: true, losses: 0, unchangedMs: 61_900 };
  // A logger of its own, so that its level can be changed.
  const own = createLogger({ level: 'silent', service, destination: { write: () => {} } });
  const control = new ProcessControl(
    { service, logLevel: 'warn' },
    {
      bus,
      link,
      clock: systemClock,
      logger: own,
      ports: { api, service: servicePort, security: { api: security, channel: () => PLAINTEXT } } as never,
      serviceAddress: () => serviceAddress,
      ready: () => (service === 'volconf' ? 'waits' : null),
      leads: () => (service === 'topology' ? ['topology'] : []),
      gateway: () => gateway,
      copies: async () => copies,
    },
  );
  const client = new ProcessClient(`127.0.0.1:${await api.start()}`, credentials.createInsecure());
  serviceAddress = `127.0.0.1:${await servicePort.start()}`;
  control.start();
  stops.push(
    () => api.stop(0),
    () => servicePort.stop(0),
    () => client.close(),
    () => control.stop(),
  );
  return { control, client, link, servicePort };
}

function list(client: ProcessClient): Promise<ListProcessesResponse> {
  return new Promise((resolve, reject) => {
    client.listProcesses({}, (error, answer) => (error === null ? resolve(answer) : reject(error)));
  });
}

function set(
  client: ProcessClient,
  request: Partial<SetLogLevelRequest>,
  metadata = new Metadata(),
): Promise<SetLogLevelResponse | string> {
  return new Promise((resolve) => {
    client.setLogLevel(SetLogLevelRequest.fromPartial(request), metadata, (error: ServiceError | null, answer) =>
      resolve(error === null ? answer : `${status[error.code]}: ${error.details}`),
    );
  });
}

const changed = (answer: SetLogLevelResponse | string) =>
  typeof answer === 'string' ? answer : answer.processes.map(({ service, logLevel }) => `${service} ${logLevel}`);

describe('ProcessControl', () => {
  it('names who is at a limit of a process', async () => {
    const { client } = await process('link-gateway');
    limitsHit.note('links ann', { resource: 'links', bound: 'share', principal: 'ann', held: 4, limit: 4 });
    const { processes } = await list(client);
    expect(processes[0]!.atLimits).toContainEqual(
      expect.objectContaining({ limit: 'links', principal: 'ann', times: 1, value: 4, held: 4, ofAll: false }),
    );
  });

  it('knows of every process through any one of them', async () => {
    const before = systemClock.wall();
    const [gateway, topology] = [
      await process('link-gateway', { gateway: 'gw-1.0badcafe' }),
      await process('topology'),
    ];
    await process('volconf');
    for (const { client, control } of [gateway, topology]) {
      const { processes, alone, answeredBy, natsCopies } = await list(client);
      expect(natsCopies).toEqual(copies);
      expect(processes.map(({ service, notReady, leads }) => [service, notReady, leads])).toEqual([
        ['link-gateway', '', []],
        ['topology', '', ['topology']],
        ['volconf', 'waits', []],
      ]);
      expect(processes[0]?.startedAt?.getTime()).toBeGreaterThanOrEqual(before);
      expect(processes[0]).toMatchObject({
        gateway: 'gw-1.0badcafe',
        natsConnected: true,
        natsForSeconds: 61,
        logLevel: 'warn',
      });
      expect([alone, answeredBy]).toEqual([false, control.info().id]);
    }
  });

  // Causes: code process/process-control.ts NOT_FOUND
  it('changes all, those of a service, or one by whatever it is called', async () => {
    const gateway = await process('link-gateway', { gateway: 'gw-1.0badcafe' });
    const topology = await process('topology');
    expect(changed(await set(topology.client, { level: 'debug' }))).toEqual(['link-gateway debug', 'topology debug']);
    expect(changed(await set(topology.client, { level: 'error', service: 'link-gateway' }))).toEqual([
      'link-gateway error',
    ]);
    for (const name of ['gw-1', 'gw-1.0badcafe', gateway.control.info().id]) {
      expect(changed(await set(topology.client, { level: '', process: name }))).toEqual(['link-gateway warn']);
    }
    expect(topology.control.logLevel.state).toMatchObject({ kind: 'changed', by: 'somebody from 127.0.0.1' });
    expect(await set(topology.client, { level: 'debug', process: 'gw-2' })).toBe(
      'NOT_FOUND: No process that answers fits.',
    );
  });

  // Causes: code process/process-control.ts FAILED_PRECONDITION
  it('of a gateway changes the gateway alone, and says who else was meant', async () => {
    const gateway = await process('link-gateway', { gateway: 'gw-1.0badcafe' });
    const topology = await process('topology');
    const answer = await set(gateway.client, { level: 'debug' });
    expect(changed(answer)).toEqual(['link-gateway debug']);
    expect(answer).toMatchObject({ unreached: [topology.control.info().id] });
    expect(await set(gateway.client, { level: 'debug', service: 'topology' })).toMatch(
      /^FAILED_PRECONDITION: A gateway gives no orders .*: call topology or volconf/,
    );
    expect(topology.control.logLevel.level).toBe('warn');
  });

  // Causes: code process/process-control.ts UNAVAILABLE
  it('says whom it could not reach', async () => {
    const [topology, volconf] = [await process('topology'), await process('volconf')];
    await volconf.servicePort.stop(0);
    const answer = await set(topology.client, { level: 'debug' });
    expect(changed(answer)).toEqual(['topology debug']);
    expect(answer).toMatchObject({ unreached: [volconf.control.info().id] });
    expect(await set(topology.client, { level: 'debug', service: 'volconf' })).toMatch(/^UNAVAILABLE: /);
  });

  it('obeys no order on the bus, as earlier versions did', async () => {
    const { control } = await process('topology');
    const id = crypto.randomUUID();
    const answers: Uint8Array[] = [];
    bus.subscribe(processAnswers(id), (_, data) => answers.push(data));
    const order = { level: 'trace', forMs: 60_000, by: 'root', service: '', process: '' };
    bus.publish(PROCESS_QUESTIONS, Buffer.from(JSON.stringify({ id, from: 'a', order })));
    // A later question has been answered, so the order has been read.
    const last = crypto.randomUUID();
    await new Promise<void>((resolve) => {
      bus.subscribe(processAnswers(last), () => resolve());
      bus.publish(PROCESS_QUESTIONS, Buffer.from(JSON.stringify({ id: last, from: 'a', order: null })));
    });
    expect([control.logLevel.state.kind, answers]).toEqual(['configured', []]);
  });

  it('changes its own level while NATS is away, and says that the others were not reached', async () => {
    const topology = await process('topology');
    const volconf = await process('volconf');
    topology.link.connected = false;
    const answer = await set(topology.client, { level: 'debug' });
    expect(answer).toMatchObject({ alone: true });
    expect(changed(answer)).toEqual(['topology debug']);
    expect(volconf.control.logLevel.level).toBe('warn');
    expect(await list(topology.client)).toMatchObject({ alone: true });
    expect(await set(topology.client, { level: 'debug', service: 'volconf' })).toMatch(/^NOT_FOUND: .* NATS is away/);
  });

  // Causes: code process/process-control.ts INVALID_ARGUMENT
  it.each([
    [{ level: 'loud' }, /^INVALID_ARGUMENT: .*trace, debug, info/],
    [{ level: 'debug', durationMs: 86_400_001 }, /^INVALID_ARGUMENT: .*24 hours.*SPANMESH_LOG_LEVEL/],
    [{ level: 'debug', process: 'x'.repeat(301) }, /^INVALID_ARGUMENT/],
  ])('refuses %j', async (request, why) => {
    const { client, control } = await process('topology');
    expect(await set(client, request)).toMatch(why);
    expect(control.logLevel.state.kind).toBe('configured');
  });

  // Causes: code process/process-control.ts RESOURCE_EXHAUSTED
  it('is asked what all know by one at a time, and by the next when that is over', async () => {
    const { client } = await process('topology');
    const inspect = (name = '') =>
      new Promise<string>((resolve) => {
        const services: string[] = [];
        client
          .inspect({ process: name })
          .on('data', (report: InspectResponse) => services.push(report.process?.service ?? ''))
          .on('end', () => resolve(services.join()))
          .on('error', ({ code }: ServiceError) => resolve(status[code] ?? ''));
      });
    expect(await Promise.all([inspect(), inspect()])).toEqual(['topology', 'RESOURCE_EXHAUSTED']);
    expect(await inspect()).toBe('topology');
    expect(await inspect('x'.repeat(301))).toBe('INVALID_ARGUMENT');
  });

  it('logs who has ordered it, and ignores a name that the caller claims', async () => {
    const ann = createApiToken({ name: 'ann', role: 'operate' });
    const tokens = parseApiTokens('tokens', Buffer.from(ann.line));
    const userOf = apiUserOf(() => tokens);
    const security = {
      gate: apiGate(() => tokens),
      userOf: (caller: Parameters<typeof userOf>[0]) => userOf(caller)?.name ?? null,
    };
    const { client, control } = await process('topology', { security });
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${ann.token}`);
    metadata.set(USER_HEADER, 'root');
    await set(client, { level: 'debug' }, metadata);
    expect(control.logLevel.state).toMatchObject({ by: 'ann from 127.0.0.1' });
  });
});

describe('ProcessDirectory', () => {
  it('ignores messages that it cannot decode', async () => {
    const { control, client } = await process('topology');
    const other = new ProcessDirectory({
      bus,
      clock: systemClock,
      self: () => ({ ...control.info(), id: 'other' }),
    });
    other.start();
    stops.push(() => other.stop());
    for (const text of [
      '',
      '{',
      '{"id":"x"}',
      JSON.stringify({ id: crypto.randomUUID(), from: 'a', order: { level: 'loud' } }),
    ]) {
      bus.publish(PROCESS_QUESTIONS, Buffer.from(text));
    }
    bus.subscribe(PROCESS_QUESTIONS, (_, data) => {
      const { id } = JSON.parse(Buffer.from(data).toString()) as { id: string };
      bus.publish(processAnswers(id), Buffer.from([0xff, 0xff]));
      bus.publish(processAnswers(id), Buffer.alloc(100_000));
    });
    expect((await list(client)).processes.map(({ id }) => id)).toEqual(['other', control.info().id].sort());
  });
});
