import { NatsServerProcess } from '@spanmesh/runtime/bus/nats/nats-server.fixture';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { eventually } from '@spanmesh/runtime/patience.fixture';
import { readSettings } from '@spanmesh/runtime/settings/setting';
import { settings, TopologyProcess } from '@spanmesh/topology/process';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { listClusters } from '../peer/nats-installation.ts';
import { PATIENCE_MS } from '../peer/raw-peer.ts';

// Replicas with different versions of replication, in this process: the one that cannot follow passes calls on.

let nats: NatsServerProcess;
const replicas: TopologyProcess[] = [];

async function startReplica(replicationVersion?: number): Promise<TopologyProcess> {
  const env = {
    SPANMESH_NATS_URL: nats.url,
    SPANMESH_GRPC_LISTEN: '127.0.0.1:0',
    SPANMESH_SERVICE_LISTEN: '127.0.0.1:0',
    SPANMESH_HTTP_LISTEN: '127.0.0.1:0',
  };
  const options = readSettings(settings, { env, flags: {} });
  const logger = createLogger({ level: 'silent', service: 'test' });
  const replica = new TopologyProcess(options, logger, {
    ...(replicationVersion !== undefined && { replicationVersion }),
  });
  replicas.push(replica);
  await replica.start();
  return replica;
}

beforeAll(async () => {
  nats = await NatsServerProcess.start();
}, PATIENCE_MS);

afterAll(async () => {
  await Promise.all(replicas.map((replica) => replica.stop()));
  await nats?.remove();
});

it(
  'a standby of another version is refused, answers nothing by itself, and passes calls on',
  async () => {
    const leader = await startReplica();
    const { core } = leader.topology;
    await eventually(() => (core.leadership.settled ? true : undefined), 'it leads');
    const same = await startReplica();
    const other = await startReplica(2);
    const asked = ({ ports }: TopologyProcess) => listClusters(ports.apiPort);
    const answersAs = (replica: TopologyProcess, role: string) =>
      eventually(async () => {
        const answer = await asked(replica);
        return answer.code === 'OK' && answer.role === role ? answer : undefined;
      }, `it answers as ${role}`);
    await answersAs(same, 'standby');
    await eventually(() => (core.refusals.list().length === 1 ? true : undefined), 'the other one is refused');
    const [{ replica }, passedOn] = [await asked(leader), await answersAs(other, 'leader')];
    expect(passedOn.replica).toBe(replica);
    expect(core.refusals.list()[0]?.details).toMatch(/version 1 .* by 2/);
    expect(other.topology.notReady()).toBeNull();
  },
  3 * PATIENCE_MS,
);
