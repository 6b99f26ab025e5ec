import { credentials } from '@grpc/grpc-js';
import { GetTreeRequest, type GetTreeResponse, TopologyClient, WatchRequest } from '@spanmesh/proto/v1/topology';
import { ListTargetsRequest, SetTargetRequest, VolconfClient } from '@spanmesh/proto/v1/volconf';
import { TOPOLOGY_ROLE, VOLCONF_ROLE } from '@spanmesh/runtime/bus-names';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ECHO, EchoNode } from '../peer/echo-node.ts';
import type { ServiceProcess } from '../peer/installation.ts';
import { LivePeer } from '../peer/live-peer.ts';
import { eventually, listClusters, NatsInstallation } from '../peer/nats-installation.ts';
import { testUuid } from '../peer/payloads.ts';
import { echoNode, messagingClient, RouteClient } from '../peer/route-client.ts';
import type { Dialect } from '../peer/wire.ts';

const DIALECTS: Dialect[] = ['linkid', 'circuit'];
/** Spans that stand before and after everything that happens. */
const STANDING = 20;
/** A routed transaction is begun every so many milliseconds, all the time. */
const PACE_MS = 10;

let installation: NatsInstallation;
const givers: LivePeer[] = [];
const takers: LivePeer[] = [];
const nodes: EchoNode[] = [];
let newest = 1000;

beforeAll(async () => {
  installation = await NatsInstallation.start({ topologies: 2, gateways: 3, volconfs: 2 });
  for (const dialect of DIALECTS) {
    const giver = await peerAt(0, dialect, 'giver');
    for (let n = 1; n <= STANDING; n++) giver.openSpan({ node: testUuid(n), nodeLabel: `disk${n}` });
    givers.push(giver);
    for (const gateway of [1, 2]) takers.push(await peerAt(gateway, dialect, `taker-${gateway}`));
    nodes.push(await EchoNode.start(installation.gateways[0]!.dmsg[dialect], dialect, 500));
  }
  for (const taker of takers) await untilStanding(taker);
}, 60_000);

afterAll(async () => {
  for (const peer of [...givers, ...takers]) peer.raw.destroy();
  await Promise.all(nodes.map((node) => node.stop()));
  await installation.stop();
});

async function peerAt(gateway: number, dialect: Dialect, name: string): Promise<LivePeer> {
  const port = installation.gateways[gateway]!.dmsg[dialect];
  const localAddress = `127.0.0.${10 + givers.length + takers.length}`;
  const peer = await LivePeer.connect({ port, dialect, name, localAddress });
  await peer.openConn({ label: name });
  return peer;
}

async function untilStanding(taker: LivePeer): Promise<void> {
  for (let n = 1; n <= STANDING; n++) await taker.relay(({ node }) => node === testUuid(n));
}

const msgids = (taker: LivePeer) => [...taker.held.keys()].toSorted().join();

/** New spans come through, of either dialect, at every gateway. Gives how long it took, ms. */
async function newSpansPass(): Promise<number> {
  const began = performance.now();
  const node = testUuid(newest++);
  const opened = givers.map((giver) => giver.openSpan({ node }));
  for (const taker of takers) await taker.relay((span) => span.node === node);
  const took = performance.now() - began;
  for (const [i, giver] of givers.entries()) await giver.close(opened[i]!);
  for (const taker of takers) await taker.relayGone((span) => span.node === node);
  return took;
}

/** Transactions on one route from gateway 3 to a node of gateway 1, begun all the time, each answered. */
class Traffic {
  lost = 0;
  done = 0;
  #stopped = false;
  #task: Promise<void> = Promise.resolve();

  static async start(): Promise<Traffic> {
    const traffic = new Traffic();
    const client = messagingClient(installation.gateways[2]!.ports.grpc);
    const route = await RouteClient.open(client, echoNode('circuit', 500));
    traffic.#task = traffic.#run(route).finally(() => {
      route.stream.cancel();
      client.close();
    });
    return traffic;
  }

  async stop(): Promise<{ lost: number; done: number }> {
    this.#stopped = true;
    await this.#task;
    return { lost: this.lost, done: this.done };
  }

  async #run(route: RouteClient): Promise<void> {
    for (let transaction = 1; !this.#stopped; transaction++) {
      try {
        route.send({ transaction, create: true, delete: true, command: ECHO, aux: Buffer.alloc(64, 5) });
        const answer = await route.message();
        if (answer.transaction === transaction && answer.aux.length === 64) this.done++;
        else this.lost++;
      } catch {
        this.lost++;
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, PACE_MS));
    }
  }
}

/** Runs `fault` under traffic; afterwards nothing that stood has been touched. */
async function undisturbed(what: string, fault: () => Promise<Record<string, number>>): Promise<void> {
  const before = takers.map(msgids);
  const counts = await openCounts();
  const traffic = await Traffic.start();
  const figures = await fault();
  const { lost, done } = await traffic.stop();
  // The same LNK_SPANs under the same msgids: none was closed, nor opened again.
  expect(takers.map(msgids), what).toEqual(before);
  expect(await openCounts(), what).toEqual(counts);
  expect({ lost, some: done > 0 }, what).toEqual({ lost: 0, some: true });
  const shown = Object.entries({ ...figures, transactions: done, lost }).map(([name, n]) => `${name} ${Math.round(n)}`);
  process.stdout.write(`${what}: ${shown.join(', ')}\n`);
}

function openCounts(): Promise<number[]> {
  const names = ['spanmesh_gateway_connections', 'spanmesh_gateway_lnk_conns', 'spanmesh_gateway_links'];
  return Promise.all([...names, 'spanmesh_gateway_relays'].map((name) => installation.sum(name)));
}

async function leading(): Promise<{ leader: ServiceProcess; standby: ServiceProcess; epoch: number; index: number }> {
  const { port, epoch } = (await installation.leader(TOPOLOGY_ROLE))!;
  const index = installation.topologies.findIndex(({ ports }) => ports.service === port);
  return { leader: installation.topologies[index]!, standby: installation.topologies[1 - index]!, epoch, index };
}

describe('two topologies, three gateways and two volconfs with NATS', () => {
  it('answer at any replica, which says who it is', async () => {
    const { leader, standby } = await leading();
    const at = ({ ports }: ServiceProcess) => `127.0.0.1:${ports.service}`;
    expect(await listClusters(leader)).toEqual({ code: 'OK', details: '', replica: at(leader), role: 'leader' });
    expect(await listClusters(standby)).toEqual({ code: 'OK', details: '', replica: at(standby), role: 'standby' });
  });

  it('stream trees and watches from any replica', async () => {
    const { standby } = await leading();
    const client = new TopologyClient(`127.0.0.1:${standby.ports.grpc}`, credentials.createInsecure());
    try {
      const parts: GetTreeResponse[] = [];
      for await (const part of client.getTree(GetTreeRequest.create())) parts.push(part as GetTreeResponse);
      const links = parts.flatMap(({ clusters }) => clusters).flatMap((tree) => tree.nodes);
      expect(links.length).toBeGreaterThanOrEqual(2 * STANDING);
      const watch = client.watch(WatchRequest.create());
      const changed = Promise.withResolvers<void>();
      watch.on('error', () => {});
      watch.on('data', (response) => {
        if (response.changes !== undefined) changed.resolve();
      });
      await new Promise((resolve) => watch.once('data', resolve));
      await newSpansPass();
      await changed.promise;
      watch.cancel();
    } finally {
      client.close();
    }
  });

  it('go on when the topology leader is killed', async () => {
    await undisturbed('leader killed -9', async () => {
      const { leader, standby, epoch, index } = await leading();
      await leader.stop('SIGKILL');
      const next = await installation.leaderOtherThan(TOPOLOGY_ROLE, leader.ports.service);
      expect(next).toMatchObject({ port: standby.ports.service, epoch: epoch + 1 });
      await installation.gathered(standby);
      const span = await newSpansPass();
      installation.topologies[index] = leader.again();
      await installation.topologies[index]!.ready();
      return { 'new leader ms': next.ms, 'new span after that ms': span };
    });
  }, 60_000);

  it('go on when it is stopped: it hands over at once', async () => {
    await undisturbed('leader stopped', async () => {
      const { leader, standby, index } = await leading();
      const began = performance.now();
      const [code, next] = await Promise.all([
        leader.stop('SIGTERM'),
        installation.leaderOtherThan(TOPOLOGY_ROLE, leader.ports.service),
      ]);
      expect([code, next.port]).toEqual([0, standby.ports.service]);
      await installation.gathered(standby);
      await newSpansPass();
      const took = performance.now() - began;
      installation.topologies[index] = leader.again();
      await installation.topologies[index]!.ready();
      return { 'new leader ms': next.ms, 'until new spans pass ms': took };
    });
  }, 60_000);

  it('go on when it is paused, and it does nothing when it wakes', async () => {
    await undisturbed('leader paused', async () => {
      const { leader, standby } = await leading();
      leader.child.kill('SIGSTOP');
      const next = await installation.leaderOtherThan(TOPOLOGY_ROLE, leader.ports.service);
      await installation.gathered(standby);
      const span = await newSpansPass();
      const decided = await relaysDecided(leader, () => leader.child.kill('SIGCONT'));
      await eventually(
        async () => ((await listClusters(leader)).role === 'standby' ? true : undefined),
        'it stands by',
      );
      expect(await relaysDecided(leader)).toBe(decided);
      expect(await installation.metric(leader, 'spanmesh_topology_leading')).toBe(0);
      expect((await installation.leader(TOPOLOGY_ROLE))!.port).toBe(standby.ports.service);
      await newSpansPass();
      return { 'new leader ms': next.ms, 'new span after that ms': span };
    });
  }, 60_000);

  it('go on without NATS, and lose nothing when it is back', async () => {
    await undisturbed('NATS stopped', async () => {
      const { leader, epoch } = await leading();
      await installation.nats.stop();
      await eventually(
        async () => ((await installation.metric(leader, 'spanmesh_topology_leading')) === 0 ? true : undefined),
        'the leader freezes',
      );
      expect(await installation.metric(leader, 'spanmesh_nats_connected')).toBe(0);
      // It freezes, and answers still; gateways stay ready.
      expect((await listClusters(leader)).code).toBe('OK');
      for (const gateway of installation.gateways) await gateway.ready();
      const began = performance.now();
      await installation.nats.startAgain();
      const span = await newSpansPass();
      expect((await leading()).epoch).toBeLessThanOrEqual(epoch + 1);
      return { 'until new spans pass ms': performance.now() - began, 'the span itself ms': span };
    });
  }, 60_000);

  it('take in a gateway that has come while NATS was away', async () => {
    await installation.nats.stop();
    const late = await installation.gateway('gateway-late');
    const peer = await eventually(
      () => LivePeer.connect({ port: late.dmsg.circuit, dialect: 'circuit', name: 'early' }).catch(() => undefined),
      'it listens',
    );
    await peer.openConn({ label: 'early' });
    await installation.nats.startAgain();
    installation.gateways.push(late);
    await late.ready();
    await untilStanding(peer);
    peer.raw.destroy();
    installation.gateways.pop();
    await late.stop();
  }, 60_000);

  it('keep an operator’s target through a volconf leader that is killed', async () => {
    const volconf = async () => {
      const { port } = (await installation.leader(VOLCONF_ROLE))!;
      const leader = installation.volconfs.find(({ ports }) => ports.service === port)!;
      return { leader, standby: installation.volconfs.find((one) => one !== leader)! };
    };
    const { leader, standby } = await volconf();
    const client = new VolconfClient(`127.0.0.1:${standby.ports.grpc}`, credentials.createInsecure());
    const list = () =>
      new Promise<string[] | undefined>((resolve) => {
        client.listTargets(ListTargetsRequest.create(), (error, answer) => {
          resolve(error === null ? answer.targets.map(({ name }) => name) : undefined);
        });
      });
    try {
      // Asked of the standby: the leader does it.
      const target = SetTargetRequest.fromPartial({ name: 'disk', path: 'span:127.0.0.1:1' });
      await new Promise<void>((resolve, reject) => {
        client.setTarget(target, (error) => (error === null ? resolve() : reject(error)));
      });
      await leader.stop('SIGKILL');
      const next = await installation.leaderOtherThan(VOLCONF_ROLE, leader.ports.service);
      expect(next.port).toBe(standby.ports.service);
      const names = await eventually(async () => {
        const found = await list();
        return found?.includes('disk') ? found : undefined;
      }, 'the new leader has the target');
      expect(names).toContain('disk');
      process.stdout.write(`volconf leader killed -9: new leader ms ${Math.round(next.ms)}\n`);
    } finally {
      client.close();
    }
  }, 60_000);
});

/** Relays that it has decided to open or close in its life. */
async function relaysDecided(topology: ServiceProcess, first: () => void = () => {}): Promise<number> {
  first();
  return (
    (await installation.metric(topology, 'spanmesh_topology_relays_opened_total')) +
    (await installation.metric(topology, 'spanmesh_topology_relays_closed_total'))
  );
}
