import { credentials } from '@grpc/grpc-js';
import { GetTreeRequest, type GetTreeResponse, TopologyClient, WatchRequest } from '@spanmesh/proto/v1/topology';
import { TOPOLOGY_ROLE } from '@spanmesh/runtime/bus/bus-names';
import { eventually } from '@spanmesh/runtime/patience.fixture';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FailoverWorld } from '../peer/failover-world.ts';
import type { ServiceProcess } from '../peer/installation.ts';
import type { NatsInstallation } from '../peer/nats-installation.ts';
import { hostOf, listClusters } from '../peer/nats-installation.ts';

let world: FailoverWorld;
let installation: NatsInstallation;

beforeAll(async () => {
  world = await FailoverWorld.start({ topologies: 2, gateways: 4, volconfs: 0 });
  installation = world.installation;
});

afterAll(() => world.stop());

async function leading(): Promise<Awaited<ReturnType<FailoverWorld['leading']>> & { standby: ServiceProcess }> {
  const leading = await world.leading();
  return { ...leading, standby: installation.topologies[1 - leading.index]! };
}

/** Waits until another replica leads and all gateways are attached to it; then checks that a new span is relayed. */
async function replaced(leader: ServiceProcess, standby: ServiceProcess): Promise<Record<string, number>> {
  const next = await installation.leaderOtherThan(TOPOLOGY_ROLE, leader.ports.service);
  expect(next.port).toBe(standby.ports.service);
  await installation.gathered(standby);
  return { 'new leader ms': next.ms, 'new span after that ms': await world.newSpansPass() };
}

describe('two topologies and four gateways with NATS', () => {
  it('stream trees and watches from any replica', async () => {
    const { standby } = await leading();
    const client = new TopologyClient(`127.0.0.1:${standby.ports.grpc}`, credentials.createInsecure());
    try {
      const parts: GetTreeResponse[] = [];
      for await (const part of client.getTree(GetTreeRequest.create())) parts.push(part as GetTreeResponse);
      const nodes = parts.flatMap(({ clusters }) => clusters).flatMap((tree) => tree.nodes);
      const offered = world.peers().reduce((sum, { spans }) => sum + spans.size, 0);
      expect(nodes.length).toBe(offered);
      const watch = client.watch(WatchRequest.create());
      const changed = Promise.withResolvers<void>();
      watch.on('error', () => {});
      watch.on('data', (response) => {
        if (response.changes !== undefined) changed.resolve();
      });
      await new Promise((resolve) => watch.once('data', resolve));
      await world.newSpansPass();
      await changed.promise;
      watch.cancel();
    } finally {
      client.close();
    }
  });

  it('continue when the topology leader is killed', async () => {
    await world.undisturbed('leader killed -9', async () => {
      const { leader, standby, epoch, index } = await leading();
      await leader.stop('SIGKILL');
      const figures = await replaced(leader, standby);
      expect((await leading()).epoch).toBeGreaterThan(epoch);
      installation.topologies[index] = leader.again();
      await installation.topologies[index]!.ready();
      return figures;
    });
  });

  it('continue when it is stopped: the standby leads at once', async () => {
    await world.undisturbed('leader stopped', async () => {
      const { leader, standby, index } = await leading();
      const [code, figures] = await Promise.all([leader.stop('SIGTERM'), replaced(leader, standby)]);
      expect(code).toBe(0);
      installation.topologies[index] = leader.again();
      await installation.topologies[index]!.ready();
      return figures;
    });
  });

  it('continue when it is paused, and it gives no commands when it wakes up', async () => {
    await world.undisturbed('leader paused', async () => {
      const { leader, standby } = await leading();
      leader.child.kill('SIGSTOP');
      const figures = await replaced(leader, standby);
      leader.child.kill('SIGCONT');
      const decided = await relaysDecided(leader);
      await standsBy(leader, decided);
      expect((await leading()).leader).toBe(standby);
      await world.newSpansPass();
      return figures;
    });
  });

  it('continue when it is cut off from NATS, though gateways still reach it', async () => {
    for (const way of ['cut', 'silent'] as const) {
      await world.undisturbed(`leader's way to NATS ${way}`, async () => {
        const { leader, standby, host, epoch } = await leading();
        world.network.set(host, hostOf('nats', 0), way);
        await eventually(
          async () => ((await installation.metric(leader, 'spanmesh_topology_leading')) === 0 ? true : undefined),
          'its lease runs out',
        );
        const decided = await relaysDecided(leader);
        const figures = await replaced(leader, standby);
        expect((await leading()).epoch).toBeGreaterThan(epoch);
        // Without its lease it has selected no relay for what changed since.
        expect(await relaysDecided(leader)).toBe(decided);
        expect(await installation.metric(leader, 'spanmesh_topology_leading')).toBe(0);
        world.network.heal();
        await standsBy(leader, decided);
        return figures;
      });
    }
  });

  it('continue when it is cut off from half of the gateways: it still leads, and they attach again', async () => {
    for (const way of ['cut', 'silent'] as const) {
      await world.undisturbed(`leader's way to gateways 3 and 4 ${way}`, async () => {
        const { leader, host, epoch } = await leading();
        const spans = () => installation.metric(leader, 'spanmesh_topology_links');
        const known = await spans();
        for (const gateway of [2, 3]) world.network.set(host, hostOf('gateway', gateway), way);
        await eventually(
          async () => ((await installation.metric(leader, 'spanmesh_topology_gateways_live')) === 2 ? true : undefined),
          'the leader misses two gateways',
        );
        // These gateways are in the registry: they live, so their peers' spans remain.
        expect(await spans()).toBe(known);
        const began = performance.now();
        world.network.heal();
        const figures = { 'until new spans pass at all gateways ms': await world.newSpansPass() };
        await installation.gathered(leader);
        expect((await leading()).epoch).toBe(epoch);
        return { ...figures, 'until attached again ms': performance.now() - began };
      });
    }
  });
});

/** Waits until the replica is a standby, and checks that it has selected no relay since. */
async function standsBy(topology: ServiceProcess, decided: number): Promise<void> {
  await eventually(
    async () => ((await listClusters(topology.ports.grpc)).role === 'standby' ? true : undefined),
    'it is a standby',
  );
  expect(await relaysDecided(topology)).toBe(decided);
  expect(await installation.metric(topology, 'spanmesh_topology_leading')).toBe(0);
}

/** The number of relays that the replica has selected to open or close since its start. */
async function relaysDecided(topology: ServiceProcess): Promise<number> {
  return (
    (await installation.metric(topology, 'spanmesh_topology_relays_opened_total')) +
    (await installation.metric(topology, 'spanmesh_topology_relays_closed_total{reason="selection"}'))
  );
}
