import { connect } from 'node:net';
import { ReportEventsRequest } from '@spanmesh/proto/v1/event_report';
import { EventKind } from '@spanmesh/proto/v1/events';
import { ListProcessesRequest, ProcessClient, type ProcessInfo } from '@spanmesh/proto/v1/process';
import { afterEach, describe, expect, it } from 'vitest';
import { natsSettings } from '../bus/nats/nats-settings.ts';
import { createClient } from '../grpc/grpc-client.ts';
import { PATIENCE } from '../patience.fixture.ts';
import { readSettings, SettingError } from '../settings/setting.ts';
import { text } from '../settings/setting-types.ts';
import { recordingLogger } from '../tls/certificates.fixture.ts';
import { VOLCONF_NAME } from '../tls/service-names.ts';
import { createByName, type FramedService, ProcessFrame, processId } from './process-frame.ts';
import { processSettings } from './process-settings.ts';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

const ANYWHERE = '127.0.0.1:0';
const all = { ...processSettings({ grpc: ANYWHERE, service: ANYWHERE, http: ANYWHERE }), ...natsSettings };

/** A frame whose service says when it begins and ends, with the ports that are open then. */
function framed(service: Partial<FramedService> = {}, env: Record<string, string> = {}) {
  const said: [string, number][] = [];
  const { logger, lines } = recordingLogger();
  const frame: ProcessFrame = new ProcessFrame(
    { service: 'volconf', name: VOLCONF_NAME, settings: readSettings(all, { env, flags: {} }), env: {} },
    {
      logger,
      service: {
        notReady: () => null,
        serviceAddress: () => 'volconf.example:7',
        begin: async () => void said.push(['begin', await listening(frame)]),
        end: async () => void said.push(['end', await listening(frame)]),
        ...service,
      },
    },
  );
  ends.push(() => frame.stop());
  return { frame, said, lines };
}

async function listening({ ports }: ProcessFrame): Promise<number> {
  const open = await Promise.all(
    ports.all.map((port) => {
      const socket = connect(port, '127.0.0.1');
      ends.push(() => socket.destroy());
      return new Promise<number>((resolve) => socket.once('connect', () => resolve(1)).once('error', () => resolve(0)));
    }),
  );
  return open.reduce((sum, one) => sum + one, 0);
}

function info({ ports }: ProcessFrame): Promise<ProcessInfo | undefined> {
  const client = createClient(ProcessClient, ports.apiAddress);
  ends.push(() => client.close());
  return new Promise((resolve, reject) =>
    client.listProcesses(ListProcessesRequest.create(), (error, answer) =>
      error === null ? resolve(answer.processes[0]) : reject(error),
    ),
  );
}

describe('the surroundings of a service', () => {
  it('are there before it begins and until it has ended, and say what it is', async () => {
    const { frame, said } = framed({ leads: () => ['volconf'], gateway: () => 'gw.1', notReady: () => 'not yet' });
    expect(frame.ports.all).toEqual([]);
    await frame.start();
    expect(said).toEqual([['begin', 3]]);
    expect(await info(frame)).toMatchObject({
      id: processId('volconf'),
      service: 'volconf',
      leads: ['volconf'],
      gateway: 'gw.1',
      notReady: 'not yet',
      serviceAddress: 'volconf.example:7',
      usesNats: false,
    });
    expect(await frame.metrics.text()).toContain('nodejs_eventloop_lag_seconds');
    await frame.stop();
    expect(said).toEqual([
      ['begin', 3],
      ['end', 3],
    ]);
    expect(await listening(frame)).toBe(0);
    expect(() => frame.bus.publish('x', new Uint8Array())).toThrow('closed');
  });

  it('say of a service that is no gateway and leads nothing that it does not', async () => {
    const { frame } = framed();
    await frame.start();
    expect(await info(frame)).toMatchObject({ leads: [], gateway: '', notReady: '' });
  });

  it('end when the service cannot begin', async () => {
    const { frame, said } = framed({ begin: () => Promise.reject(new Error('no luck')) });
    await expect(frame.start()).rejects.toThrow('no luck');
    expect(said).toEqual([['end', 3]]);
    expect(await listening(frame)).toBe(0);
  });

  it.each([
    ['of a gateway under its id', { gateway: () => 'gw.1' }, 'gw.1'],
    ['of another process under that of the process', {}, processId('volconf')],
  ])('report events %s, by the service where there is no NATS', async (_, service, reporter) => {
    const { promise, resolve } = Promise.withResolvers<Uint8Array>();
    const { frame } = framed({ ...service, report: resolve });
    await frame.start();
    frame.events.tell({ kind: EventKind.EVENT_KIND_CERTIFICATES_RELOADED, subject: 'x', principal: '' });
    const { events } = ReportEventsRequest.decode(await promise);
    expect(events).toMatchObject([{ kind: EventKind.EVENT_KIND_CERTIFICATES_RELOADED, reporter }]);
  });

  it('need an address for others only with NATS, and only where the service port listens everywhere', () => {
    const everywhere = { SPANMESH_SERVICE_LISTEN: '0.0.0.0:0', SPANMESH_INSECURE: 'true' };
    const nats = { SPANMESH_NATS_URL: 'nats://127.0.0.1:1' };
    const check = (env: Record<string, string>, isSet: boolean) => () =>
      framed({}, env).frame.checkReachable('SPANMESH_X', { isSet });
    expect(check(everywhere, false)).not.toThrow();
    expect(check(nats, false)).not.toThrow();
    expect(check({ ...everywhere, ...nats }, true)).not.toThrow();
    expect(check({ ...everywhere, ...nats }, false)).toThrow(
      new SettingError(
        'SPANMESH_X',
        'must be set: the service port listens on all addresses, and others must be told one',
      ),
    );
  });

  it('go on without NATS while it is away, and say so', async () => {
    const { frame } = framed({}, { SPANMESH_NATS_URL: 'nats://127.0.0.1:1' });
    await frame.start();
    await expect.poll(() => info(frame), PATIENCE).toMatchObject({ usesNats: true, natsConnected: false });
  });
});

it('a process is made from its settings, with a logger of its level', () => {
  const settings = {
    ...all,
    word: { env: 'SPANMESH_WORD', flag: '--word', default: '', describe: 'A word.', parse: text({ max: 5 }) },
  };
  const from = { env: { SPANMESH_WORD: 'hello', SPANMESH_LOG_LEVEL: 'error' }, flags: {} };
  const made = createByName('volconf', settings, from, (options, logger, env) => ({ options, logger, env }));
  expect(made).toMatchObject({ options: { word: 'hello' }, logger: { level: 'error' }, env: from.env });
  expect(made.logger.bindings()).toMatchObject({ service: 'volconf' });
});
