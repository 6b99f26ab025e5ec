import type { ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js';
import { ListProcessesResponse, ProcessInfo } from '@spanmesh/proto/v1/process';
import {
  GatewayStatus,
  GetStatusResponse,
  ProcessKind,
  RefusalCause,
  ReplicaRole,
  ReplicaStatus,
  TopologyService,
} from '@spanmesh/proto/v1/topology';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeServer } from '../grpc-server.fixture.ts';
import { main } from '../main.ts';
import { FakeProcesses, GATEWAY_PROCESS, TOPOLOGY_PROCESS } from '../process.fixture.ts';
import { RecordingTerminal } from '../terminal.fixture.ts';
import { copiesProblems } from './copies.ts';
import { fewerThanExpected, parseExpected } from './expect.ts';
import { notesOf, problemsOf, type Status } from './problems.ts';

const VOLCONF_PROCESS = ProcessInfo.fromPartial({
  ...TOPOLOGY_PROCESS,
  id: 'volconf-a-9',
  service: 'volconf',
  leads: ['volconf'],
});
const LEADER = { replica: 'x', address: '192.0.2.1:7986', epoch: 12, leaseAgeMs: 300, fullEpoch: 12 };
const GATEWAY = GatewayStatus.fromPartial({
  name: 'gw-1',
  boot: '0badcafe',
  version: '0.1.0',
  attached: true,
  connections: 4,
  links: 3,
  relays: 12,
});
const REPLICAS = [
  { replica: 'x', address: '192.0.2.1:7986', role: ReplicaRole.REPLICA_ROLE_LEADER, hasState: true, version: '0.1.0' },
  {
    replica: 'y',
    address: '192.0.2.2:7986',
    role: ReplicaRole.REPLICA_ROLE_STANDBY,
    hasState: true,
    lagMs: 90,
    version: '0.1.0',
  },
].map((replica) => ReplicaStatus.fromPartial(replica));

function topologyWith(changes: Partial<GetStatusResponse> = {}): GetStatusResponse {
  const counts = { clusters: 1, nodes: 3, links: 3, connections: 4, relays: 12 };
  const all = GetStatusResponse.fromPartial({ leader: LEADER, replicas: REPLICAS, gateways: [GATEWAY], counts });
  return { ...all, ...changes };
}

function statusWith(changes: {
  topology?: GetStatusResponse;
  processes?: readonly ProcessInfo[] | null;
  alone?: boolean;
}): Status {
  const {
    topology = topologyWith(),
    processes = [GATEWAY_PROCESS, TOPOLOGY_PROCESS, VOLCONF_PROCESS],
    alone = false,
  } = changes;
  return {
    topology,
    tried: null,
    processes:
      processes === null
        ? null
        : ListProcessesResponse.fromPartial({ processes: [...processes], alone, answeredBy: TOPOLOGY_PROCESS.id }),
  };
}

describe('copies that NATS keeps', () => {
  const copies = (bucket: string, wanted: number, there: number, trouble = '') => ({ bucket, wanted, there, trouble });

  it('are no problem while all are there', () => {
    expect(copiesProblems([copies('a', 1, 1), copies('b', 3, 3)])).toEqual([]);
  });

  it('are one problem when some are missing, and one sentence for all buckets with the same numbers', () => {
    expect(copiesProblems([copies('a', 3, 2), copies('b', 3, 2), copies('c', 5, 4)])).toEqual([
      'NATS keeps a, b in 2 of 3 copies: start the NATS servers that are missing; when another one goes, nothing can be stored',
      'NATS keeps c in 4 of 5 copies: start the NATS servers that are missing',
    ]);
  });

  it('are a problem when nobody can tell how many there are, as without a majority', () => {
    expect(copiesProblems([copies('a', 3, 0, 'JetStream: TIMEOUT\x1b')])).toEqual([
      'NATS does not say in how many copies it keeps a: JetStream: TIMEOUT\\x1b',
    ]);
  });

  it('are shown by spanmesh status', () => {
    const status = statusWith({});
    const processes = { ...status.processes!, natsCopies: [copies('a', 3, 2)] };
    expect(problemsOf({ ...status, processes })).toEqual([expect.stringMatching(/^NATS keeps a in 2 of 3 copies/)]);
  });
});

describe('problems', () => {
  it('there are none if all is well', () => {
    expect(problemsOf(statusWith({}))).toEqual([]);
    expect(problemsOf(statusWith({ processes: null }))).toEqual([]);
    // An installation without volconf processes does not need volconf.
    expect(problemsOf(statusWith({ processes: [GATEWAY_PROCESS, TOPOLOGY_PROCESS] }))).toEqual([]);
  });

  const standby = { ...REPLICAS[1]! };
  it.each<[string, Parameters<typeof statusWith>[0], RegExp]>([
    ['no leader', { topology: topologyWith({ leader: undefined }) }, /^no topology replica leads/],
    [
      'a lease that is late',
      { topology: topologyWith({ leader: { ...LEADER, leaseAgeMs: 6100 } }) },
      /not renewed for 6\.1 s: the leader at 192\.0\.2\.1:7986/,
    ],
    [
      'a leader that is frozen',
      {
        topology: topologyWith({
          replicas: [{ ...REPLICAS[0]!, role: ReplicaRole.REPLICA_ROLE_FROZEN, lagMs: 7200 }],
        }),
      },
      /192\.0\.2\.1:7986 has led and is frozen since 7\.2 s/,
    ],
    [
      'a leader that waits',
      { topology: topologyWith({ replicas: [{ ...REPLICAS[0]!, role: ReplicaRole.REPLICA_ROLE_TAKING_OVER }] }) },
      /192\.0\.2\.1:7986 takes over/,
    ],
    [
      'a standby far behind',
      { topology: topologyWith({ replicas: [{ ...standby, lagMs: 7000 }] }) },
      /standby at 192\.0\.2\.2:7986 is 7\.0 s behind/,
    ],
    [
      'a standby without state',
      { topology: topologyWith({ replicas: [{ ...standby, hasState: false }] }) },
      /standby at 192\.0\.2\.2:7986 has heard nothing/,
    ],
    ['no gateway', { topology: topologyWith({ gateways: [] }), processes: [] }, /^no gateway is attached/],
    [
      'a gateway cut off',
      { topology: topologyWith({ gateways: [{ ...GATEWAY, attached: false }] }) },
      /^gateway gw-1\.0badcafe is not attached/,
    ],
    [
      'a gateway cut off from NATS only',
      { topology: topologyWith({ gateways: [{ ...GATEWAY, unheardMs: 72_000 }] }) },
      /^gateway gw-1\.0badcafe is attached, and without NATS for 1 min:/,
    ],
    [
      'a gateway that drains',
      { topology: topologyWith({ gateways: [{ ...GATEWAY, draining: true }] }) },
      /^gateway gw-1\.0badcafe drains/,
    ],
    [
      'a gateway that topology does not know',
      { processes: [GATEWAY_PROCESS, { ...GATEWAY_PROCESS, id: 'g2', gateway: 'gw-2.00000002' }] },
      /^gateway gw-2\.00000002 runs \(g2\), and topology does not know it/,
    ],
    [
      'volconf without a leader',
      { processes: [GATEWAY_PROCESS, { ...VOLCONF_PROCESS, leads: [] }] },
      /^no volconf replica leads/,
    ],
    ['one that is not ready', { processes: [{ ...GATEWAY_PROCESS, notReady: 'why\x1b' }] }, /is not ready: why\\x1b$/],
    [
      'NATS away',
      { processes: [{ ...GATEWAY_PROCESS, usesNats: true }], alone: true },
      /^NATS is away from topology-a-7/,
    ],
    [
      'NATS away for some time',
      {
        processes: [{ ...TOPOLOGY_PROCESS, usesNats: true, natsConnected: false, natsForSeconds: 190 }],
        alone: true,
      },
      /^NATS is away from topology-a-7 for 3 min: others/,
    ],
    [
      'keys that cannot be used',
      { processes: [{ ...GATEWAY_PROCESS, keysProblems: 2 }, TOPOLOGY_PROCESS, VOLCONF_PROCESS] },
      /cannot use 2 of the files of its keys directory/,
    ],
    [
      'a process without NATS',
      {
        processes: [
          { ...GATEWAY_PROCESS, usesNats: true, natsConnected: false, natsForSeconds: 7 },
          TOPOLOGY_PROCESS,
          VOLCONF_PROCESS,
        ],
      },
      /is without NATS for 7 s$/,
    ],
    [
      'a topology replica that is missing',
      {
        topology: topologyWith({
          missing: [
            {
              kind: ProcessKind.PROCESS_KIND_TOPOLOGY,
              name: '192.0.2.3:7986',
              id: 'z',
              missingMs: 190_000,
              dead: false,
            },
          ],
        }),
      },
      /^the topology replica at 192\.0\.2\.3:7986 is missing for 3 min$/,
    ],
    [
      'a gateway that was declared dead',
      {
        topology: topologyWith({
          missing: [
            {
              kind: ProcessKind.PROCESS_KIND_LINK_GATEWAY,
              name: 'gw-2',
              id: 'gw-2.00000002',
              missingMs: 7000,
              dead: true,
            },
          ],
        }),
      },
      /^gateway gw-2 is missing for 7 s: declared dead, what it held has been given up$/,
    ],
    [
      'a gateway that is refused',
      {
        topology: topologyWith({
          refused: [
            {
              kind: ProcessKind.PROCESS_KIND_LINK_GATEWAY,
              name: 'gw-1.00000009',
              cause: RefusalCause.REFUSAL_CAUSE_NAME_TAKEN,
              details: 'Another gateway runs under the name gw-1.\x1b',
              ageMs: 2000,
              times: 4,
            },
          ],
        }),
      },
      /^gateway gw-1\.00000009 is refused, 4×, last 2 s ago: Another gateway runs under the name gw-1\.\\x1b To do: give each gateway/,
    ],
    [
      'several versions',
      { processes: [GATEWAY_PROCESS, { ...TOPOLOGY_PROCESS, version: '0.2.0' }] },
      /^several versions run: 0\.1\.0, 0\.2\.0/,
    ],
  ])('%s', (_, changes, words) => {
    expect(problemsOf(statusWith(changes))[0]).toMatch(words);
  });
});

describe('a gateway that is not attached', () => {
  it('is reported once', () => {
    const missing = {
      kind: ProcessKind.PROCESS_KIND_LINK_GATEWAY,
      name: 'gw-1',
      id: 'gw-1.0badcafe',
      missingMs: 1,
      dead: false,
    };
    const topology = topologyWith({ gateways: [{ ...GATEWAY, attached: false }], missing: [missing] });
    expect(problemsOf(statusWith({ topology }))).toEqual([
      expect.stringMatching(/^gateway gw-1\.0badcafe is not attached/),
    ]);
  });
});

describe('notes, which are no problems', () => {
  const alone = topologyWith({ replicas: [REPLICAS[0]!] });

  it('name a topology without a standby, where it might have one', () => {
    const processes = [{ ...TOPOLOGY_PROCESS, usesNats: true, natsConnected: true }];
    expect(notesOf(statusWith({ topology: alone, processes }))).toEqual([
      expect.stringMatching(/^topology has no standby/),
    ]);
    expect(notesOf(statusWith({ processes }))).toEqual([]);
    expect(notesOf(statusWith({ topology: alone }))).toEqual([]);
  });

  it('is who is at a limit of a process: which, and since when', () => {
    const who = { limit: 'links', principal: '192.0.2.7', withheld: false };
    const atLimit = { ...who, times: 12, forSeconds: 190, agoSeconds: 1 };
    const atLimits = [
      { ...atLimit, limit: 'relays offered', value: 60, held: 90, ofAll: false, withheld: true },
      { ...atLimit, value: 100, held: 100, ofAll: false },
      { ...atLimit, limit: 'relays asked for', value: 900, held: 500, ofAll: true },
    ];
    const status = statusWith({ processes: [{ ...GATEWAY_PROCESS, atLimits }, VOLCONF_PROCESS] });
    const where = `at ${GATEWAY_PROCESS.id}: refused or closed 12× in 3 min`;
    expect(notesOf(status)).toEqual([
      `192.0.2.7 has its share of relays offered, 60, at ${GATEWAY_PROCESS.id}: none of its links at other gateways is relayed there, for 3 min`,
      `192.0.2.7 has its share of links, 100, ${where}`,
      `192.0.2.7 of all 900 relays asked for has most, ${where}`,
    ]);
    expect(problemsOf(status)).toEqual([]);
  });
});

describe('the expected numbers of processes', () => {
  it('are a list of services with a number each', () => {
    expect([...parseExpected('topology=2, link-gateway=3,volconf=0')]).toEqual([
      ['topology', 2],
      ['link-gateway', 3],
      ['volconf', 0],
    ]);
  });

  it.each(['', 'topology', 'topology=x', 'topology=-1', 'nats=3', 'topology=1,topology=2', 'topology=2;volconf=1'])(
    'is not %j',
    (text) => expect(() => parseExpected(text)).toThrow(/--expect takes/),
  );

  it('are a problem where there are fewer, and none where there are more', () => {
    const status = statusWith({
      topology: topologyWith({ gateways: [GATEWAY, { ...GATEWAY, name: 'gw-2', attached: false }] }),
    });
    expect(fewerThanExpected(parseExpected('topology=2,link-gateway=1,volconf=1'), status)).toEqual([]);
    expect(fewerThanExpected(parseExpected('topology=3,link-gateway=2,volconf=2'), status)).toEqual([
      '2 of 3 expected processes of topology are there',
      '1 of 2 expected processes of link-gateway are there',
      '1 of 2 expected processes of volconf are there',
    ]);
  });

  it('count a standalone process as one of each', () => {
    const processes = [{ ...TOPOLOGY_PROCESS, service: 'standalone' }];
    expect(fewerThanExpected(parseExpected('volconf=1'), statusWith({ processes }))).toEqual([]);
  });
});

describe('spanmesh status', () => {
  let processes: FakeProcesses;
  let topology: GetStatusResponse;
  let server: FakeServer;
  let terminal: RecordingTerminal;
  beforeEach(() => {
    processes = new FakeProcesses();
    processes.processes.push(VOLCONF_PROCESS);
    topology = topologyWith();
    terminal = new RecordingTerminal();
  });
  afterEach(() => server.stop());

  async function run(args: string[] = [], { withProcesses = true } = {}): Promise<number> {
    const getStatus = (_: ServerUnaryCall<object, object>, callback: sendUnaryData<object>) => callback(null, topology);
    server = withProcesses
      ? new FakeServer({ ...TopologyService, ...processes.definition }, { getStatus, ...processes.implementation })
      : new FakeServer(TopologyService, { getStatus });
    await server.start();
    return main(['status', ...args, '--address', server.address], terminal);
  }

  it('says that all is well, and which processes there are', async () => {
    expect(await run()).toBe(0);
    const lines = terminal.printed.split('\n');
    expect(lines[0]).toBe('healthy');
    expect(lines).toContain('leader: 192.0.2.1:7986, epoch 12, lease renewed 0.3 s ago');
    expect(terminal.printed).toMatch(/^192\.0\.2\.2:7986 +standby +0\.1 s +0\.1\.0$/m);
    expect(terminal.printed).toMatch(/^gw-1\.0badcafe +attached +4 +0 +3 +12 +0\.1\.0$/m);
    expect(terminal.printed).toMatch(/^volconf-a-9 +- +volconf +yes /m);
    // A gateway's row names its process: this is what one looks for when it is missing.
    expect(terminal.printed).toMatch(/^link-gateway-a-8 +gw-1\.0badcafe +- +yes /m);
    expect(lines.at(-2)).toBe('4 connections, 1 cluster, 3 nodes, 3 links, 12 relays');
    expect(terminal.noted).toBe('');
  });

  it('prints problems first, and fails', async () => {
    topology = topologyWith({ leader: undefined, gateways: [{ ...GATEWAY, draining: true }] });
    expect(await run()).toBe(1);
    const lines = terminal.printed.split('\n');
    expect(lines[0]).toBe('2 problems');
    expect(lines[1]).toMatch(/^ {2}no topology replica leads/);
    expect(lines[2]).toMatch(/^ {2}gateway gw-1\.0badcafe drains/);
    expect(terminal.noted).toBe('spanmesh: not healthy: 2 problems\n');
  });

  it('names expected processes that are missing, and fails', async () => {
    expect(await run(['--expect', 'topology=2,link-gateway=2'])).toBe(1);
    expect(terminal.printed).toMatch(/^1 problem\n {2}1 of 2 expected processes of link-gateway are there\n/);
    expect(await run(['--expect', 'gateways=2'])).toBe(2);
  });

  it.each([[['--json']], [['-o', 'json']]])('is one JSON document with %j', async (args) => {
    topology = topologyWith({ gateways: [{ ...GATEWAY, attached: false }] });
    expect(await run(args)).toBe(1);
    const document = JSON.parse(terminal.printed);
    expect(document).toMatchObject({
      healthy: false,
      problems: [expect.stringMatching(/not attached/)],
      leader: { epoch: 12 },
      replicas: [{ role: 'REPLICA_ROLE_LEADER' }, { lagMs: 90 }],
      processes: [{}, {}, { leads: ['volconf'] }],
    });
  });

  it('prints the columns, and in each table the rows, that are asked for', async () => {
    expect(await run(['--columns', 'process,pid,version', '--sort=-process', '--limit', '2'])).toBe(0);
    const tables = terminal.printed.split('\n\n').slice(2, -1);
    expect(tables).toEqual([
      'VERSION\n0.1.0\n0.1.0',
      'VERSION\n0.1.0',
      'PROCESS       PID  VERSION\nvolconf-a-9     7  0.1.0\ntopology-a-7    7  0.1.0',
    ]);
    terminal.printed = '';
    expect(await run(['-o', 'json', '--sort=-process,-topology', '--limit', '1'])).toBe(0);
    expect(JSON.parse(terminal.printed)).toMatchObject({
      replicas: [{ address: '192.0.2.2:7986' }],
      processes: [{ id: 'volconf-a-9' }],
    });
  });

  it('leaves out a table of which no column is asked for, and refuses columns that no table has', async () => {
    expect(await run(['--columns', 'gateway,state'])).toBe(0);
    expect(terminal.printed).toMatch(/renewed 0\.3 s ago\n\nGATEWAY +STATE\n\S+ +attached\n\n4 connections/);
    expect(await run(['--sort', 'colour'])).toBe(2);
    expect(terminal.noted).toContain('there is no column colour; there are topology, role, behind, version, gateway');
  });

  it('has more columns if wide, and fits a terminal otherwise', async () => {
    Object.assign(terminal.out, { isTTY: true, columns: 50, getColorDepth: () => 1 });
    expect(await run()).toBe(0);
    const tables = terminal.printed.split('\n\n').slice(2, -1).join('\n').split('\n');
    for (const line of tables) expect(line.length, line).toBeLessThanOrEqual(50);
    terminal.printed = '';
    expect(await run(['-o', 'wide'])).toBe(0);
    expect(terminal.printed).toMatch(/^PROCESS +SERVICE +HOST +PID +GATEWAY ID +LEADS/m);
  });

  it('is redrawn in place, as much as fits, and fails in the end if the last status had problems', async () => {
    topology = topologyWith({ gateways: [{ ...GATEWAY, draining: true }] });
    await run();
    terminal.printed = '';
    Object.assign(terminal.out, { isTTY: true, columns: 80, rows: 5, getColorDepth: () => 1 });
    const done = main(['status', '--watch', '1ms', '--address', server.address], terminal);
    await terminal.until(() => terminal.printed.includes('\x1b[J'));
    const [, block = ''] = terminal.printed.split('\x1b[H');
    const lines = block.replaceAll('\x1b[K', '').replaceAll('\x1b[J', '').split('\r\n');
    expect([lines.length, lines[0], lines.at(-1)]).toEqual([
      5,
      '1 problem',
      expect.stringMatching(/^and \d+ more lines$/),
    ]);
    topology = topologyWith();
    await terminal.until(() => terminal.printed.includes('healthy'));
    process.emit('SIGINT');
    expect(await done).toBe(0);
  });

  it('prints what it can of an older release’s answer', async () => {
    expect(await run([], { withProcesses: false })).toBe(0);
    expect(terminal.printed).not.toContain('PROCESS');
  });
});
