import { type NatsServerProcess, stoppedNatsCluster } from '@spanmesh/runtime/bus/nats/nats-server.fixture';
import { eventually } from '@spanmesh/runtime/patience.fixture';
import { afterEach, expect, it } from 'vitest';
import { ServiceProcess } from '../peer/installation.ts';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

it('every service starts while the servers of NATS start one after the other, and none ends', async () => {
  const servers = await stoppedNatsCluster();
  ends.push(() => Promise.all(servers.map((server) => server.remove())));
  const env = {
    SPANMESH_NATS_URL: servers.map(({ url }) => url).join(),
    SPANMESH_NATS_REPLICAS: '3',
    SPANMESH_DMSG_LISTEN: '127.0.0.1:0',
    SPANMESH_TRUNK_LISTEN: '127.0.0.1:0',
  };
  const [first, second, third] = servers as [NatsServerProcess, NatsServerProcess, NatsServerProcess];
  await first.startAgain();
  const processes = await Promise.all(
    ['topology', 'link-gateway', 'volconf'].map((service) => ServiceProcess.start(service, env)),
  );
  ends.push(() => Promise.all(processes.map((one) => one.stop('SIGKILL'))));
  const [topology] = processes as [ServiceProcess];
  const waits = /buckets of NATS cannot be had yet/;
  await eventually(async () => {
    expect(topology.child.exitCode).toBe(null);
    return waits.test(topology.output) ? true : undefined;
  }, 'it waits for one server');
  await second.startAgain();
  await eventually(async () => {
    expect(topology.child.exitCode).toBe(null);
    return /no suitable peers|insufficient resources/.test(topology.output) ? true : undefined;
  }, 'it waits for a third');
  // A process that starts now waits, too. Services once ended here, with the advice to change a setting that was right.
  const late = await ServiceProcess.start('topology', env);
  ends.push(() => late.stop('SIGKILL'));
  await eventually(async () => {
    expect(late.child.exitCode).toBe(null);
    return waits.test(late.output) ? true : undefined;
  }, 'the late one waits, too');
  await third.startAgain();
  await Promise.all([...processes, late].map((one) => one.ready()));
  expect([...processes, late].map(({ child }) => child.exitCode)).toEqual([null, null, null, null]);
}, 180_000);
