import { hostname } from 'node:os';
import { pid } from 'node:process';
import { credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import {
  type InspectResponse,
  type ListProcessesResponse,
  ProcessClient,
  SetLogLevelRequest,
  type SetLogLevelResponse,
} from '@spanmesh/proto/v1/process';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { apiGate, apiUserOf } from '../access/api-access.ts';
import { createApiToken, parseApiTokens } from '../access/api-tokens.ts';
import { USER_HEADER } from '../access/gate.ts';
import { PROCESS_QUESTIONS, processAnswers } from '../bus/bus-names.ts';
import { InProcessBus } from '../bus/in-process/in-process-bus.ts';
import { systemClock } from '../clock.ts';
import { FakeClock } from '../fake-clock.ts';
import { settle } from '../fake-time.fixture.ts';
import { PLAINTEXT } from '../grpc/grpc-client.ts';
import { GrpcServer } from '../grpc/grpc-server.ts';
import { PROTOCOL_VERSION } from '../grpc/protocol-version.ts';
import type { ServerSecurity } from '../grpc/security.ts';
import { createLogger } from '../log/logger.ts';
import { limitsHit } from '../shares/limits-hit.ts';
import { VERSION } from '../version.ts';
import { ProcessControl, type ProcessControlDependencies } from './process-control.ts';
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

  it('says of nobody that he could not be reached if the order is not for him', async () => {
    const gateway = await process('link-gateway', { gateway: 'gw-1.0badcafe' });
    const [topology, volconf] = [await process('topology'), await process('volconf')];
    await volconf.servicePort.stop(0);
    for (const { client, service } of [
      { ...topology, service: 'topology' },
      { ...gateway, service: 'link-gateway' },
    ]) {
      const answer = await set(client, { level: 'debug', service });
      expect([changed(answer), answer]).toMatchObject([[`${service} debug`], { unreached: [] }]);
    }
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

describe('a process that is asked', () => {
  type Handlers = Record<string, (call: object, done?: (error: unknown, answer?: unknown) => void) => void>;

  /** A process whose handlers are called without a network. */
  function asked(more: Partial<ProcessControlDependencies> = {}, service = 'topology') {
    const clock = new FakeClock();
    const api: Handlers = {};
    const orders: Handlers = {};
    const ports = {
      api: { addService: (_: object, handlers: Handlers) => Object.assign(api, handlers) },
      service: { addService: (_: object, handlers: Handlers) => Object.assign(orders, handlers) },
      security: { api: {}, channel: () => PLAINTEXT },
    };
    const own = createLogger({ level: 'silent', service, destination: { write: () => {} } });
    const control = new ProcessControl(
      { service, logLevel: 'warn', settings: {} },
      { bus, link: null, clock, logger: own, ports: ports as never, ready: () => null, ...more },
    );
    stops.push(() => control.stop());
    const ask = (handlers: Handlers) => (method: string, request: object) =>
      new Promise<Record<string, unknown>>((resolve) => {
        const call = { request, metadata: new Metadata(), getPeer: () => '10.0.0.1:7' };
        handlers[method]?.(call, (error, answer) => resolve((error ?? answer) as Record<string, unknown>));
      });
    const inspect = async (name: string) => {
      const answer = await new Promise<unknown[]>((resolve) => {
        const reports: InspectResponse[] = [];
        api.inspect?.({
          request: { process: name },
          write: (report: InspectResponse) => reports.push(report),
          end: () => resolve(reports),
          emit: (_: string, { code, details }: ServiceError) => resolve([status[code], details]),
        });
      });
      await settle();
      return answer;
    };
    return { control, clock, call: ask(api), order: ask(orders), inspect };
  }

  const away = { connected: false, losses: 3, unchangedMs: 1999 };

  it('says what it is, and of NATS nothing if it uses none', () => {
    expect(asked().control.info()).toMatchObject({
      id: `topology-${hostname()}-${pid}`,
      service: 'topology',
      version: VERSION,
      protocolVersion: PROTOCOL_VERSION,
      host: hostname(),
      pid,
      gateway: '',
      startedAt: new Date(1_600_000_000_000),
      logLevel: 'warn',
      configuredLogLevel: 'warn',
      logLevelUntil: undefined,
      logLevelBy: '',
      notReady: '',
      leads: [],
      usesNats: false,
      natsConnected: false,
      natsLosses: 0,
      natsForSeconds: 0,
      keysProblems: 0,
      serviceAddress: '',
    });
    expect(asked({ link: away, keysProblems: () => 2, serviceAddress: () => 'a:1' }).control.info()).toMatchObject({
      usesNats: true,
      natsConnected: false,
      natsLosses: 3,
      natsForSeconds: 1,
      keysProblems: 2,
      serviceAddress: 'a:1',
    });
  });

  it('says who is at a limit, for how many seconds, and how many ago', () => {
    const about = { bound: 'total', principal: 'ann', held: 5, limit: 6, times: 7, withheld: true } as const;
    const all = [{ ...about, resource: 'links', forMs: 61_999, agoMs: 2999 }];
    const spy = vi.spyOn(limitsHit, 'all', 'get').mockReturnValue(all);
    stops.push(() => spy.mockRestore());
    expect(asked().control.info().atLimits).toEqual([
      {
        limit: 'links',
        principal: 'ann',
        times: 7,
        forSeconds: 61,
        agoSeconds: 2,
        value: 6,
        held: 5,
        ofAll: true,
        withheld: true,
      },
    ]);
  });

  it('lists itself at once if it uses no NATS, or NATS is away, and says so', async () => {
    const [alone, cutOff] = [asked(), asked({ link: away })];
    for (const [one, isCutOff] of [
      [alone, false],
      [cutOff, true],
    ] as const) {
      const own = one.control.info();
      expect(await one.call('listProcesses', {})).toMatchObject({
        processes: [{ id: own.id }],
        answeredBy: own.id,
        alone: isCutOff,
        natsCopies: [],
      });
      const reports = (await one.inspect('')) as InspectResponse[];
      expect(reports.map(({ process, alone: isAlone }) => [process?.id, isAlone])).toEqual([
        [own.id, false],
        ...(isCutOff ? [[undefined, true]] : []),
      ]);
      expect(await one.inspect('x'.repeat(300))).toHaveLength(isCutOff ? 1 : 0);
    }
    expect(await alone.inspect('x'.repeat(301))).toEqual(['INVALID_ARGUMENT', 'A name has at most 300 characters.']);
  });

  it('reports its metrics and settings', async () => {
    const { inspect } = asked({ metrics: { text: async () => 'spanmesh_x 1' } });
    expect(await inspect('')).toMatchObject([{ metrics: 'spanmesh_x 1', alone: false }]);
    expect(await asked().inspect(hostname())).toMatchObject([{ metrics: '' }]);
  });

  it('obeys an order about its level for the time that it is given, and names who gave it', async () => {
    const { call, control, clock } = asked();
    const until = new Date(clock.wall() + 1000);
    expect(
      await call('setLogLevel', SetLogLevelRequest.fromPartial({ level: 'debug', durationMs: 1000 })),
    ).toMatchObject({
      processes: [{ logLevel: 'debug', logLevelUntil: until, logLevelBy: 'somebody from 10.0.0.1' }],
      alone: false,
      unreached: [],
    });
    control.stop();
    expect(clock.pending).toBe(0);
  });

  it('says that no process fits, and that only it could be asked if NATS is away', async () => {
    const other = SetLogLevelRequest.fromPartial({ level: 'debug', process: 'other' });
    expect(await asked().call('setLogLevel', other)).toEqual({
      code: status.NOT_FOUND,
      details: 'No process that answers fits.',
    });
    expect(await asked({ link: away }).call('setLogLevel', other)).toEqual({
      code: status.NOT_FOUND,
      details: 'No process that answers fits. NATS is away: only the process that was called could be asked.',
    });
  });

  it('takes orders of other processes, and does not obey those that are for others', async () => {
    const { order, control } = asked();
    const by = 'x'.repeat(301);
    const send = (level: string, more = {}) => order('orderLogLevel', { order: { level, ...more }, by });
    expect(await send('debug')).toMatchObject({ process: { logLevel: 'debug', logLevelBy: by.slice(0, 300) } });
    expect(await send('trace', { service: 'volconf' })).toEqual({ process: undefined });
    expect(control.logLevel.level).toBe('debug');
    expect(await send('loud')).toMatchObject({ code: status.INVALID_ARGUMENT });
    // An order that says nothing returns to the settings.
    expect(await order('orderLogLevel', { order: undefined, by: 'ann' })).toMatchObject({
      process: { logLevel: 'warn' },
    });
  });

  it('says why the others cannot be asked, each time', async () => {
    const { call, inspect } = asked({ link: { ...away, connected: true } });
    await bus.close();
    expect(await call('listProcesses', {})).toEqual({
      code: status.UNAVAILABLE,
      details: 'The other processes cannot be asked: BusError: the bus is closed',
    });
    for (let n = 0; n < 2; n++) {
      expect(await inspect('')).toEqual(['UNAVAILABLE', 'The processes cannot be asked: BusError: the bus is closed']);
    }
  });

  it('answers the questions of others from its start to its stop', async () => {
    const { control } = asked();
    let answers = 0;
    const question = async () => {
      const id = crypto.randomUUID();
      const subscription = bus.subscribe(processAnswers(id), () => answers++);
      bus.publish(PROCESS_QUESTIONS, Buffer.from(JSON.stringify({ id, from: 'other', order: null })));
      await settle();
      subscription.unsubscribe();
      return answers;
    };
    expect(await question()).toBe(0);
    control.start();
    expect(await question()).toBe(1);
    control.stop();
    expect(await question()).toBe(1);
  });
});
