import type { ServerWritableStream } from '@grpc/grpc-js';
import { type InspectRequest, InspectResponse, ProcessService, type SettingInForce } from '@spanmesh/proto/v1/process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeServer } from '../grpc-server.fixture.ts';
import { main } from '../main.ts';
import { GATEWAY_PROCESS, TOPOLOGY_PROCESS } from '../process.fixture.ts';
import { RecordingTerminal } from '../terminal.fixture.ts';

const setting = (name: string, value: string, source: string, secret = false): SettingInForce => ({
  name,
  value,
  source,
  secret,
});

let reports: Partial<InspectResponse>[];
let server: FakeServer;
let terminal: RecordingTerminal;
beforeEach(async () => {
  reports = [
    {
      process: GATEWAY_PROCESS,
      settings: [
        setting('SPANMESH_DMSG_LISTEN', '\x1b[2J', 'flag'),
        setting('SPANMESH_NATS_TOKEN', '', 'environment', true),
        setting('SPANMESH_LOG_LEVEL', 'info', 'default'),
      ],
    },
    { process: TOPOLOGY_PROCESS, settings: [setting('SPANMESH_LOG_LEVEL', 'info', 'default')] },
  ];
  terminal = new RecordingTerminal();
  server = new FakeServer(ProcessService, {
    inspect: (call: ServerWritableStream<InspectRequest, InspectResponse>) => {
      for (const report of reports) call.write(InspectResponse.fromPartial(report));
      call.end();
    },
  });
  await server.start();
});
afterEach(() => server.stop());

const run = (...args: string[]) => main(['config', 'show', ...args, '--address', server.address], terminal);

describe('spanmesh config show', () => {
  it('shows settings that differ from the default, and no secret’s value', async () => {
    expect(await run()).toBe(0);
    expect(terminal.printed).toBe(
      [
        'PROCESS           SETTING               FROM         VALUE',
        'link-gateway-a-8  SPANMESH_DMSG_LISTEN  flag         \\x1b[2J',
        'link-gateway-a-8  SPANMESH_NATS_TOKEN   environment  (a secret)',
        '',
      ].join('\n'),
    );
    expect(terminal.noted).toBe('spanmesh: topology-a-7: everything is as it is by default\n');
  });

  it('prints a list with the usual options', async () => {
    expect(await run('--all', '--sort=-setting,process', '--columns', 'process,setting', '--limit', '2')).toBe(0);
    expect(terminal.printed.trimEnd().split('\n').slice(1)).toEqual([
      'link-gateway-a-8  SPANMESH_NATS_TOKEN',
      'link-gateway-a-8  SPANMESH_LOG_LEVEL',
    ]);
  });

  it('prints a document of the processes', async () => {
    reports.push({ alone: true });
    expect(await run('-o', 'json', '--sort', 'value')).toBe(0);
    expect(JSON.parse(terminal.printed)).toEqual({
      processes: [
        {
          process: 'link-gateway-a-8',
          settings: [
            { name: 'SPANMESH_NATS_TOKEN', value: '', source: 'environment', secret: true },
            { name: 'SPANMESH_DMSG_LISTEN', value: '\x1b[2J', source: 'flag', secret: false },
          ],
        },
        { process: 'topology-a-7', settings: [] },
      ],
    });
    expect(terminal.noted).toContain('NATS is away from the process that was called');
  });

  it('names what is no setting beside them', async () => {
    reports[1] = { process: TOPOLOGY_PROCESS, unknownSettings: [{ name: 'SPANMESH_NO_\x1bSUCH', meant: '' }] };
    reports.push({
      process: GATEWAY_PROCESS,
      unknownSettings: [{ name: 'SPANMESH_NATS_URLS', meant: 'SPANMESH_NATS_URL' }],
    });
    expect(await run()).toBe(0);
    expect(terminal.noted.split('\n')).toEqual([
      'spanmesh: topology-a-7: everything is as it is by default',
      'spanmesh: link-gateway-a-8: everything is as it is by default',
      'spanmesh: topology-a-7: SPANMESH_NO_\\x1bSUCH is no setting, and is not used',
      'spanmesh: link-gateway-a-8: SPANMESH_NATS_URLS is no setting (did you mean SPANMESH_NATS_URL?), and is not used',
      '',
    ]);
  });

  it('has it in documents, too', async () => {
    reports = [{ process: TOPOLOGY_PROCESS, unknownSettings: [{ name: 'SPANMESH_NO_SUCH', meant: '' }] }];
    expect(await run('-o', 'json')).toBe(0);
    expect(JSON.parse(terminal.printed)).toEqual({
      processes: [
        { process: 'topology-a-7', settings: [], unknownSettings: [{ name: 'SPANMESH_NO_SUCH', meant: '' }] },
      ],
    });
  });

  it('fails if none fits', async () => {
    reports = [];
    expect(await run('--process', 'nobody')).toBe(1);
    expect(terminal.noted).toBe('spanmesh: no process that answers fits\n');
  });
});
