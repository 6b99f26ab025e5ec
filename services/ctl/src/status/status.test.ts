import type { ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js';
import { ListProcessesResponse, ProcessInfo } from '@spanmesh/proto/v1/process';
import {
  GatewayStatus,
  GetStatusResponse,
  ReplicaRole,
  ReplicaStatus,
  TopologyService,
} from '@spanmesh/proto/v1/topology';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeServer } from '../grpc-server.fixture.ts';
import { main } from '../main.ts';
import { FakeProcesses, GATEWAY_PROCESS, TOPOLOGY_PROCESS } from '../process.fixture.ts';
import { RecordingTerminal } from '../terminal.fixture.ts';
import { problemsOf, type Status } from './problems.ts';

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
    processes:
      processes === null
        ? null
        : ListProcessesResponse.fromPartial({ processes: [...processes], alone, answeredBy: TOPOLOGY_PROCESS.id }),
  };
}

describe('what is a problem', () => {
  it('nothing, if all is well', () => {
    expect(problemsOf(statusWith({}))).toEqual([]);
    expect(problemsOf(statusWith({ processes: null }))).toEqual([]);
    // Whoever does not have volconf does not want it.
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
      'several versions',
      { processes: [GATEWAY_PROCESS, { ...TOPOLOGY_PROCESS, version: '0.2.0' }] },
      /^several versions run: 0\.1\.0, 0\.2\.0/,
    ],
  ])('%s', (_, changes, words) => {
    expect(problemsOf(statusWith(changes))[0]).toMatch(words);
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

  it('says that all is well, and who there is', async () => {
    expect(await run()).toBe(0);
    const lines = terminal.printed.split('\n');
    expect(lines[0]).toBe('healthy');
    expect(lines).toContain('leader: 192.0.2.1:7986, epoch 12, lease renewed 0.3 s ago');
    expect(terminal.printed).toMatch(/^192\.0\.2\.2:7986 +standby +0\.1 s +0\.1\.0$/m);
    expect(terminal.printed).toMatch(/^gw-1\.0badcafe +attached +4 +0 +3 +12 +0\.1\.0$/m);
    expect(terminal.printed).toMatch(/^volconf-a-9 +volconf +yes /m);
    expect(lines.at(-2)).toBe('4 connections, 1 cluster, 3 nodes, 3 links, 12 relays');
    expect(terminal.noted).toBe('');
  });

  it('says problems first, and fails', async () => {
    topology = topologyWith({ leader: undefined, gateways: [{ ...GATEWAY, draining: true }] });
    expect(await run()).toBe(1);
    const lines = terminal.printed.split('\n');
    expect(lines[0]).toBe('2 problems');
    expect(lines[1]).toMatch(/^ {2}no topology replica leads/);
    expect(lines[2]).toMatch(/^ {2}gateway gw-1\.0badcafe drains/);
    expect(terminal.noted).toBe('spanmesh: not healthy: 2 problems\n');
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

  it('does with what a release before answers', async () => {
    expect(await run([], { withProcesses: false })).toBe(0);
    expect(terminal.printed).not.toContain('PROCESS');
  });
});
