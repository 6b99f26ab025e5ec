import { type AcquireClusterResponse, MessagingClient } from '@spanmesh/proto/v1/messaging';
import { until } from '@spanmesh/runtime/patience.fixture';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ECHO, EchoNode } from '../peer/echo-node.ts';
import { ask, echoCluster, echoNode, messagingClient, RouteClient } from '../peer/route-client.ts';
import { World } from '../peer/world.ts';

let world: World;
let client: MessagingClient;
beforeAll(async () => {
  world = await World.start({ markers: 'linkid' });
  client = messagingClient(world.standalone.grpcPort);
});
afterAll(async () => {
  client?.close();
  await world?.stop();
});
afterEach(() => world.clear());

const { prototype: method } = MessagingClient;

/** Waits until a metric of the whole process is this. */
async function becomes(name: string, value: number): Promise<void> {
  await expect.poll(async () => (await world.metrics()).get(`spanmesh_${name}`)).toBe(value);
}

describe('a process with clients shows', () => {
  // Causes: metric spanmesh_messaging_handles, spanmesh_messaging_held_clusters
  it('clusters that they hold', async () => {
    const cluster = echoCluster('circuit');
    const { handle } = await ask<object, AcquireClusterResponse>(client, method.acquireCluster, {
      cluster,
      leaseMs: 0,
    });
    await becomes('messaging_handles', 1);
    await becomes('messaging_held_clusters', 1);
    await ask(client, method.releaseCluster, { handle });
    await becomes('messaging_handles', 0);
    await becomes('messaging_held_clusters', 0);
  });

  // Causes: metric spanmesh_messaging_waiting, spanmesh_messaging_routes, spanmesh_messaging_routes_opened_total
  // Causes: metric spanmesh_messaging_messages_from_clients_total, spanmesh_messaging_messages_to_clients_total
  // Causes: metric spanmesh_messaging_routes_lost_total
  it('what they wait for, their routes and messages, and a route that is lost', async () => {
    const opening = RouteClient.open(client, echoNode('circuit', 7));
    await becomes('messaging_waiting', 1);
    const node = await EchoNode.start(world.port('circuit'), 'circuit', 7);
    const route = await opening;
    await becomes('messaging_waiting', 0);
    await becomes('messaging_routes', 1);
    await becomes('messaging_routes_opened_total', 1);
    route.send({ transaction: 1, create: true, delete: true, command: ECHO });
    await route.message();
    await becomes('messaging_messages_from_clients_total', 1);
    await becomes('messaging_messages_to_clients_total', 1);
    await node.stop();
    await route.ended;
    await becomes('messaging_routes_lost_total', 1);
    await becomes('messaging_routes', 0);
    await until(() => world.counts().routeCalls === 0);
  });

  // Causes: metric spanmesh_turn_seconds
  it('that a turn of its event loop has taken long', async () => {
    const long = async () => {
      const all = await world.metrics();
      const of = (le: string) => all.get(`spanmesh_turn_seconds_bucket{le="${le}"}`) ?? 0;
      return of('+Inf') - of('0.1');
    };
    const before = await long();
    const end = performance.now() + 250;
    while (performance.now() < end);
    await expect.poll(long).toBeGreaterThan(before);
  });
});
