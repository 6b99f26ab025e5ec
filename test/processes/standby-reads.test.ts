import { credentials, type Metadata, type ServiceError } from '@grpc/grpc-js';
import {
  type GetStatusResponse,
  GetTreeRequest,
  type GetTreeResponse,
  ListLinksRequest,
  type ListLinksResponse,
  ReplicaRole,
  TopologyClient,
  WatchRequest,
  type WatchResponse,
} from '@spanmesh/proto/v1/topology';
import { TrafficKind } from '@spanmesh/proto/v1/traffic';
import { Dialect } from '@spanmesh/proto/v1/types';
import { TOPOLOGY_ROLE } from '@spanmesh/runtime/bus/bus-names';
import { eventually } from '@spanmesh/runtime/patience.fixture';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ServiceProcess } from '../peer/installation.ts';
import { LivePeer } from '../peer/live-peer.ts';
import { NatsInstallation } from '../peer/nats-installation.ts';
import { testUuid } from '../peer/payloads.ts';
import { listTraffic } from '../peer/traffic.ts';

// Three topologies: two follow the leader and answer reads themselves. The last test kills one of them.

let installation: NatsInstallation;
let peer: LivePeer;
let taker: LivePeer;
const clients = new Map<ServiceProcess, TopologyClient>();

beforeAll(async () => {
  installation = await NatsInstallation.start({ topologies: 3, gateways: 2, volconfs: 0 });
  peer = await LivePeer.connect({ port: installation.gateways[0]!.dmsg.circuit, dialect: 'circuit', name: 'giver' });
  await peer.openConn({ label: 'giver' });
  taker = await LivePeer.connect({
    port: installation.gateways[1]!.dmsg.circuit,
    dialect: 'circuit',
    name: 'taker',
  });
  await taker.openConn({ label: 'taker' });
  for (let n = 1; n <= 20; n++) peer.openSpan({ node: testUuid(n), nodeLabel: `disk${n}` });
  for (let n = 1; n <= 20; n++) await taker.relay(({ node }) => node === testUuid(n));
});

afterAll(async () => {
  for (const client of clients.values()) client.close();
  for (const { raw } of [peer, taker]) raw.destroy();
  await installation.emptied().finally(() => installation.stop());
});

function clientOf(topology: ServiceProcess): TopologyClient {
  let client = clients.get(topology);
  if (client === undefined) {
    client = new TopologyClient(`127.0.0.1:${topology.ports.grpc}`, credentials.createInsecure());
    clients.set(topology, client);
  }
  return client;
}

const addressOf = ({ ports }: ServiceProcess) => `127.0.0.1:${ports.service}`;

/** An answer with its metadata, in which a replica describes itself. */
interface Said<Answer> {
  readonly answer: Answer;
  readonly replica: string;
  readonly role: string;
  readonly lagMs: number;
}

function listLinks(topology: ServiceProcess): Promise<Said<ListLinksResponse>> {
  return new Promise((resolve, reject) => {
    let said: Metadata;
    const header = (name: string) => String(said.get(`spanmesh-${name}`)[0]);
    clientOf(topology)
      .listLinks(ListLinksRequest.create(), (error: ServiceError | null, answer) => {
        if (error !== null) reject(error);
        else resolve({ answer, replica: header('replica'), role: header('role'), lagMs: Number(header('lag-ms')) });
      })
      .on('metadata', (metadata) => {
        said = metadata;
      });
  });
}

function getStatus(topology: ServiceProcess): Promise<GetStatusResponse> {
  return new Promise((resolve, reject) =>
    clientOf(topology).getStatus({}, (error, answer) => (error === null ? resolve(answer) : reject(error))),
  );
}

async function tree(topology: ServiceProcess): Promise<GetTreeResponse[]> {
  const parts: GetTreeResponse[] = [];
  const request = { ...GetTreeRequest.create(), withRelays: true };
  for await (const part of clientOf(topology).getTree(request)) parts.push(part as GetTreeResponse);
  return parts;
}

/** Collects the messages of a watch. */
class Watching {
  readonly messages: WatchResponse[] = [];
  isOver = false;
  #wake = Promise.withResolvers<void>();
  readonly #call;

  constructor(topology: ServiceProcess, revision: string) {
    this.#call = clientOf(topology).watch({ ...WatchRequest.create(), revision });
    const woken = () => {
      this.#wake.resolve();
      this.#wake = Promise.withResolvers();
    };
    this.#call.on('data', (message: WatchResponse) => {
      this.messages.push(message);
      woken();
    });
    for (const event of ['end', 'error']) {
      this.#call.on(event, () => {
        this.isOver = true;
        woken();
      });
    }
  }

  async until(what: (message: WatchResponse) => boolean): Promise<WatchResponse> {
    for (;;) {
      const found = this.messages.find(what);
      if (found !== undefined) return found;
      if (this.isOver) throw new Error('the watch is over');
      await this.#wake.promise;
    }
  }

  async end(): Promise<void> {
    while (!this.isOver) await this.#wake.promise;
  }

  cancel(): void {
    this.#call.cancel();
  }
}

async function replicas(): Promise<{ leader: ServiceProcess; standbys: ServiceProcess[] }> {
  const { port } = await installation.leading(TOPOLOGY_ROLE);
  const leader = installation.topologies.find(({ ports }) => ports.service === port)!;
  const standbys = installation.topologies.filter(
    (one) => one !== leader && one.child.exitCode === null && one.child.signalCode === null,
  );
  for (const standby of standbys) {
    await eventually(async () => {
      const is = await installation.metric(standby, 'spanmesh_topology_replica_following');
      return is === 1 ? true : undefined;
    }, 'the standby follows');
  }
  return { leader, standbys };
}

/** Waits until the standby shows the leader's revision. */
async function caughtUp(standby: ServiceProcess, leader: ServiceProcess): Promise<void> {
  await eventually(async () => {
    const [ours, theirs] = [await listLinks(standby), await listLinks(leader)];
    return ours.answer.revision === theirs.answer.revision ? true : undefined;
  }, 'the standby has caught up');
}

const linkOf = (node: number) => (message: WatchResponse) =>
  message.changes?.changes.some(({ link }) => link?.node?.id === testUuid(node)) ?? false;

it('standbys answer by themselves, as the leader does', async () => {
  const { leader, standbys } = await replicas();
  for (const standby of standbys) {
    await caughtUp(standby, leader);
    const { answer, replica, role, lagMs } = await listLinks(standby);
    expect({ replica, role }).toEqual({ replica: addressOf(standby), role: 'standby' });
    expect(lagMs).toBeGreaterThanOrEqual(0);
    expect(answer).toEqual((await listLinks(leader)).answer);
    expect(answer.links.length).toBe(20);
    expect(await tree(standby)).toEqual(await tree(leader));
    expect(await installation.metric(standby, 'spanmesh_topology_calls_forwarded_total')).toBe(0);
    process.stdout.write(`lag of a standby: ${lagMs} ms\n`);
  }
});

it('standbys ask the gateways for traffic themselves', async () => {
  const { leader, standbys } = await replicas();
  for (const topology of [leader, ...standbys]) {
    await caughtUp(topology, leader);
    const connections = (await listTraffic(topology.ports.grpc!)).filter(
      ({ kind }) => kind === TrafficKind.TRAFFIC_KIND_CONNECTION,
    );
    expect(connections.map(({ gateway, label, dialect }) => [gateway.split('.')[0], label, dialect])).toEqual([
      ['gateway-1', 'giver', Dialect.DIALECT_CIRCUIT],
      ['gateway-2', 'taker', Dialect.DIALECT_CIRCUIT],
    ]);
    expect(await installation.metric(topology, 'spanmesh_topology_calls_forwarded_total')).toBe(0);
  }
});

it('every replica knows all replicas, and the gateways', async () => {
  const { leader, standbys } = await replicas();
  for (const topology of [leader, ...standbys]) {
    const status = await eventually(async () => {
      const answer = await getStatus(topology);
      return answer.replicas.length === 3 && answer.replicas.every(({ hasState }) => hasState) ? answer : undefined;
    }, 'all replicas are known');
    expect(status.leader!.address).toBe(addressOf(leader));
    expect(status.replicas.map(({ role }) => role)).toEqual([
      ReplicaRole.REPLICA_ROLE_LEADER,
      ReplicaRole.REPLICA_ROLE_STANDBY,
      ReplicaRole.REPLICA_ROLE_STANDBY,
    ]);
    const addresses = standbys.map(addressOf).toSorted();
    expect(status.replicas.map(({ address }) => address)).toEqual([addressOf(leader), ...addresses]);
    expect(status.gateways.map(({ name, attached }) => [name, attached])).toEqual([
      ['gateway-1', true],
      ['gateway-2', true],
    ]);
    expect(status.counts).toMatchObject({ links: 20, relays: 20 });
  }
});

it('a watch at a standby sees changes, and continues at another one', async () => {
  const { leader, standbys } = await replicas();
  await caughtUp(standbys[0]!, leader);
  const { revision } = (await listLinks(standbys[0]!)).answer;
  const first = new Watching(standbys[0]!, revision);
  const opened = peer.openSpan({ node: testUuid(100) });
  const { changes } = await first.until(linkOf(100));
  first.cancel();
  for (const topology of [standbys[1]!, leader]) {
    // From a revision before the change the watch sends it again; from one after it only newer changes.
    const again = new Watching(topology, revision);
    await again.until(linkOf(100));
    again.cancel();
    const on = new Watching(topology, changes!.revision);
    expect((await on.until(() => true)).created).toEqual({ revision: changes!.revision });
    expect(on.messages.some(linkOf(100))).toBe(false);
    on.cancel();
  }
  await peer.close(opened);
});

it('a standby with a paused leader still answers, with growing age; its watch is told to list again', async () => {
  const { leader, standbys } = await replicas();
  const standby = standbys[0]!;
  await caughtUp(standby, leader);
  const { answer } = await listLinks(standby);
  const watch = new Watching(standby, answer.revision);
  await watch.until(({ created }) => created !== undefined);
  leader.child.kill('SIGSTOP');
  let lag = 0;
  for (const _ of [1, 2, 3]) {
    lag = await eventually(async () => {
      const said = await listLinks(standby);
      expect(said.answer.links).toEqual(answer.links);
      return said.lagMs > lag + 300 ? said.lagMs : undefined;
    }, 'the lag grows');
  }
  process.stdout.write(`lag while the leader is paused: ${lag} ms\n`);
  // The lease expires, and another replica leads. Whether this standby is the new leader or not, its answers never lack
  // links.
  const next = await installation.leaderOtherThan(TOPOLOGY_ROLE, leader.ports.service);
  await eventually(async () => {
    const said = await listLinks(standby);
    expect(said.answer.links.map(({ id }) => id)).toEqual(answer.links.map(({ id }) => id));
    return said.answer.revision.includes(`.${next.epoch}.`) ? true : undefined;
  }, 'the new leader is followed');
  await watch.end();
  expect(watch.messages.at(-1)!.listAgain).toBeDefined();
  leader.child.kill('SIGCONT');
  await eventually(async () => ((await listLinks(leader)).role === 'standby' ? true : undefined), 'it is a standby');
});

it('reads continue, and miss nothing, when the leader is killed', async () => {
  const { leader, standbys } = await replicas();
  for (const standby of standbys) await caughtUp(standby, leader);
  const { answer } = await listLinks(leader);
  await leader.stop('SIGKILL');
  const next = await installation.leaderOtherThan(TOPOLOGY_ROLE, leader.ports.service);
  const roles = new Set<string>();
  for (const standby of standbys) {
    await eventually(async () => {
      const said = await listLinks(standby);
      roles.add(said.role);
      expect(said.answer.links.map(({ id }) => id)).toEqual(answer.links.map(({ id }) => id));
      return said.answer.revision.includes(`.${next.epoch}.`) ? true : undefined;
    }, 'it has the state of the new leader');
  }
  process.stdout.write(`roles seen after the leader was killed: ${[...roles].join(', ')}\n`);
  const { leader: now, standbys: left } = await replicas();
  const watch = new Watching(left[0]!, '');
  await watch.until(({ created }) => created !== undefined);
  peer.openSpan({ node: testUuid(200) });
  await watch.until(linkOf(200));
  watch.cancel();
  await caughtUp(left[0]!, now);
});
