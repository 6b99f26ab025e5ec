import { main } from '@spanmesh/ctl/main';
import { RecordingTerminal } from '@spanmesh/ctl/terminal.fixture';
import { eventually } from '@spanmesh/runtime/patience.fixture';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FailoverWorld } from '../peer/failover-world.ts';
import { LivePeer } from '../peer/live-peer.ts';
import { listClusters } from '../peer/nats-installation.ts';

describe('one NATS server', () => {
  let world: FailoverWorld;

  beforeAll(async () => {
    world = await FailoverWorld.start({ topologies: 2, gateways: 3, volconfs: 0 });
  });

  afterAll(() => world.stop());

  it('may stop and start again: nothing is lost', async () => {
    const { installation } = world;
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      await world.undisturbed(`NATS ended by ${signal}`, async () => {
        const { leader, epoch } = await world.leading();
        await installation.nats.stop(signal);
        await frozen(world, leader);
        expect(await installation.metric(leader, 'spanmesh_nats_connected')).toBe(0);
        // The leader is frozen, and still answers; gateways remain ready.
        expect((await listClusters(leader.ports.grpc)).code).toBe('OK');
        for (const gateway of installation.gateways) await gateway.ready();
        const began = performance.now();
        await installation.nats.startAgain();
        const span = await world.newSpansPass();
        expect((await world.leading()).epoch).toBeGreaterThanOrEqual(epoch);
        return { 'until new spans pass ms': performance.now() - began, 'the span itself ms': span };
      });
    }
  });

  it('may lose all its stored data', async () => {
    const { installation } = world;
    await world.undisturbed('NATS came back empty', async () => {
      const { leader, epoch } = await world.leading();
      await installation.nats.stop('SIGKILL');
      await frozen(world, leader);
      installation.nats.wipe();
      const began = performance.now();
      await installation.nats.startAgain();
      const span = await world.newSpansPass();
      // The leader's epoch is now above those that the gateways have obeyed.
      expect((await world.leading()).epoch).toBeGreaterThan(epoch);
      return { 'until new spans pass ms': performance.now() - began, 'the span itself ms': span };
    });
  });

  it('may start after a gateway', async () => {
    const { installation } = world;
    await installation.nats.stop();
    const late = await installation.gateway('gateway-late');
    const peer = await eventually(
      () => LivePeer.connect({ port: late.dmsg.circuit, dialect: 'circuit', name: 'early' }).catch(() => undefined),
      'it listens',
    );
    await peer.openConn({ label: 'early' });
    await installation.nats.startAgain();
    await late.ready();
    for (const { node } of world.givers[1]!.peer.spans.values()) await peer.relay((span) => span.node === node);
    await peer.hangUp();
    expect(await late.stop()).toBe(0);
  });
});

describe('three NATS servers', () => {
  let world: FailoverWorld;

  beforeAll(async () => {
    world = await FailoverWorld.start({ topologies: 2, gateways: 3, volconfs: 1, nats: 3 });
  });

  afterAll(() => world.stop());

  it('may lose the server that leads the stream of leases: no connection or relay is affected', async () => {
    const { installation } = world;
    await world.undisturbed('leader of the stream killed -9', async () => {
      const { epoch } = await world.leading();
      const index = await installation.leaseStreamLeader();
      const began = performance.now();
      await installation.natsServers[index]!.stop('SIGKILL');
      const waited = [];
      // New spans are offered one after the other. The longest wait is an upper bound of what any span would have
      // waited.
      while (performance.now() - began < WATCH_MS) waited.push(await world.newSpansPass());
      let terminal = new RecordingTerminal();
      await eventually(
        async () => {
          terminal = new RecordingTerminal();
          const address = `127.0.0.1:${installation.topologies[0]!.ports.grpc}`;
          const code = await main(['status', '--address', address], terminal);
          return code === 1 && MISSING.test(terminal.printed) ? true : undefined;
        },
        () => `status says that a server is missing; it said:\n${terminal.printed}`,
      );
      await installation.natsServers[index]!.startAgain();
      // The leader keeps its lease, unless it cannot renew it within one ttl because of the election.
      const now = await world.leading();
      const changed = now.epoch - epoch;
      expect(changed).toBeGreaterThanOrEqual(0);
      return {
        'leaders since': changed,
        'spans passed': waited.length,
        'longest wait for a new span ms': Math.max(...waited),
      };
    });
  });
});

/** The line of `spanmesh status` about NATS while a server is missing. */
const MISSING = /^ {2}NATS keeps spanmesh-leases, spanmesh-gateways, spanmesh-targets in 2 of 3 copies: start/m;
/** How long new spans are offered while NATS elects a leader, ms. */
const WATCH_MS = 8_000;

async function frozen({ installation }: FailoverWorld, leader: { ports: { http: number } }): Promise<void> {
  const process = installation.topologies.find(({ ports }) => ports === leader.ports)!;
  await eventually(
    async () => ((await installation.metric(process, 'spanmesh_topology_leading')) === 0 ? true : undefined),
    'the leader freezes',
  );
}
