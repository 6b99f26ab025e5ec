import { status } from '@grpc/grpc-js';
import {
  type AcquireClusterRequest,
  type AcquireClusterResponse,
  MessagingClient,
  type RoutedMessage,
} from '@spanmesh/proto/v1/messaging';
import { ListClustersRequest, TopologyClient } from '@spanmesh/proto/v1/topology';
import { createClient } from '@spanmesh/runtime/grpc/grpc-client';
import { until } from '@spanmesh/runtime/patience.fixture';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { CALL_BACK, ECHO, EchoNode, FLOOD, SILENCE } from '../peer/echo-node.ts';
import { ask, echoCluster, echoNode, messagingClient, RouteClient } from '../peer/route-client.ts';
import { type Dialect, LNK_ERROR, LNK_PING } from '../peer/wire.ts';
import { World } from '../peer/world.ts';

const DIALECTS: Dialect[] = ['linkid', 'circuit'];
const LOSTLINK = 0x21;
const NOSUPP = 0x20;
const { prototype: method } = MessagingClient;

let world: World;
let client: MessagingClient;
const nodes: EchoNode[] = [];
/** Further gRPC channels that a test has opened. */
const channels: MessagingClient[] = [];

const startWorld = () => World.start({ markers: 'circuit', settings: { SPANMESH_ON_DEMAND_IDLE: '100ms' } });

beforeAll(async () => {
  world = await startWorld();
  client = messagingClient(world.standalone.grpcPort);
});

afterEach(async () => {
  for (const channel of channels.splice(0)) channel.close();
  await Promise.all(nodes.splice(0).map((node) => node.stop()));
  await world.clear();
});

afterAll(async () => {
  client?.close();
  await world?.stop();
});

async function startNode(dialect: Dialect, node: number, at = world): Promise<EchoNode> {
  const made = await EchoNode.start(at.port(dialect), dialect, node);
  nodes.push(made);
  return made;
}

/** A payload of 64 bytes that begins with these words. */
function words(...values: number[]): Buffer {
  const payload = Buffer.alloc(64);
  values.forEach((value, i) => void payload.writeUInt32LE(value, 4 * i));
  return payload;
}

const opening = (transaction: number, more: Partial<RoutedMessage> = {}): Partial<RoutedMessage> => ({
  transaction,
  create: true,
  command: ECHO,
  ...more,
});

async function count(key: string, value: number): Promise<void> {
  await until(
    () => world.counts()[key] === value,
    () => `${key} = ${value}: ${JSON.stringify(world.counts())}`,
  );
}

describe.each(DIALECTS)('a route to a %s node', (dialect) => {
  it('carries transactions both ways, with payload, aux data and error', async () => {
    const node = await startNode(dialect, 7);
    const route = await RouteClient.open(client, echoNode(dialect, 7));
    expect(route.opened).toMatchObject({
      node: echoNode(dialect, 7).key,
      auxLimit: dialect === 'linkid' ? 65536 : 1048576,
    });
    const aux = Buffer.alloc(192, 0xa5);
    route.send(opening(3, { payload: words(1, 2, 3), aux, error: 9 }));
    expect(await route.message()).toMatchObject({
      transaction: 3,
      openedByNode: false,
      circuit: 0,
      command: ECHO,
      create: true,
      delete: false,
      abort: false,
      reply: false,
      error: 9,
      payload: words(1, 2, 3),
      aux,
    });
    route.send({ transaction: 3, command: ECHO, payload: words(4) });
    expect(await route.message()).toMatchObject({ transaction: 3, create: false, payload: words(4) });
    route.send({ transaction: 3, command: ECHO, delete: true });
    expect(await route.message()).toMatchObject({ transaction: 3, create: false, delete: true });
    // The transaction's number may be used again.
    route.send(opening(3, { delete: true }));
    expect(await route.message()).toMatchObject({ transaction: 3, create: true, delete: true });
    expect(node.messages).toBe(4);
    route.stream.end();
    expect(await route.ended).toBeNull();
    await count('routeCalls', 0);
  });

  it('waits until the node is there', async () => {
    const opened = RouteClient.open(client, echoNode(dialect, 7));
    const resolved = ask(client, method.resolveNode, { node: echoNode(dialect, 7) });
    await startNode(dialect, 7);
    const route = await opened;
    expect(await resolved).toMatchObject({
      node: { key: echoNode(dialect, 7).key },
      links: [{ id: route.opened.link }],
    });
    route.stream.cancel();
  });

  it('aborts the transactions that the client leaves open when it vanishes', async () => {
    const node = await startNode(dialect, 7);
    const route = await RouteClient.open(client, echoNode(dialect, 7));
    for (const transaction of [1, 2, 3]) route.send(opening(transaction));
    for (let i = 0; i < 3; i++) await route.message();
    route.stream.cancel();
    await until(
      () => node.aborts.length === 3,
      () => 'three aborts',
    );
    expect(node.aborts).toEqual([LOSTLINK, LOSTLINK, LOSTLINK]);
    await count('routeCalls', 0);
    await count('localRoutes', 0);
  });

  it('aborts what is open when the client closes its side, and delivers what still comes', async () => {
    const node = await startNode(dialect, 7);
    const route = await RouteClient.open(client, echoNode(dialect, 7));
    route.send(opening(1));
    await route.message();
    route.send(opening(2, { command: FLOOD, payload: words(20, 1000), delete: true }));
    route.stream.end();
    const got: RoutedMessage[] = [];
    for (let i = 0; i < 22; i++) got.push(await route.message());
    expect(got.filter(({ transaction }) => transaction === 2)).toHaveLength(21);
    expect(got.at(-1)!.delete || got.at(-2)!.delete).toBe(true);
    expect(await route.ended).toBeNull();
    expect(node.aborts).toEqual([LOSTLINK]);
  });

  it('ends with UNAVAILABLE and the reason when the node goes', async () => {
    const node = await startNode(dialect, 7);
    const routes: RouteClient[] = [];
    for (let i = 0; i < 20; i++) {
      const route = await RouteClient.open(client, echoNode(dialect, 7));
      route.send(opening(1));
      await route.message();
      routes.push(route);
    }
    await node.stop();
    for (const route of routes) {
      expect(await route.ended).toMatchObject({ code: status.UNAVAILABLE, details: expect.stringMatching(/link/) });
    }
    await count('routeCalls', 0);
    await count('localRoutes', 0);
  });

  it('uses another link for another route, which does not suffer when that one is lost', async () => {
    const [one, two] = [await startNode(dialect, 7), await startNode(dialect, 7)];
    const first = await RouteClient.open(client, echoNode(dialect, 7));
    const second = await RouteClient.open(client, echoNode(dialect, 7));
    const third = await RouteClient.open(client, echoNode(dialect, 7));
    expect(second.opened.link).not.toBe(first.opened.link);
    expect([first.opened.link, second.opened.link]).toContain(third.opened.link);
    first.send(opening(1, { command: SILENCE }));
    await until(
      () => one.messages + two.messages === 1,
      () => 'a message',
    );
    const [used, unused] = one.messages === 1 ? [one, two] : [two, one];
    await used.stop();
    expect(await first.ended).toMatchObject({ code: status.UNAVAILABLE });
    second.send(opening(1));
    await second.message();
    expect(unused.messages).toBe(1);
    second.stream.cancel();
    third.stream.cancel();
  });

  it.each<[string, Partial<RoutedMessage>, RegExp]>([
    ['a command with flags', { command: 0x80100202 }, /no flags/],
    ['a header of 0 bytes', { command: 0x00100200 }, /header size/],
    ['a header of more than 2048 bytes', { command: 0x00100221 }, /header size/],
    ['a payload longer than the header', { payload: Buffer.alloc(65) }, /payload/],
    ['too much aux data', { aux: Buffer.alloc(1024 * 1024 + 1) }, /aux data/],
    ['LNK_SPAN', { command: 0x00001207 }, /LNK_PING/],
    ['an abort of nothing', { abort: true, delete: true }, /not open/],
    ['an abort that is no end', { abort: true }, /delete/],
    ['a one-way message with create', { transaction: 0 }, /one-way/],
  ])('refuses %s, and the node does not notice', async (_what, message, details) => {
    const node = await startNode(dialect, 7);
    const route = await RouteClient.open(client, echoNode(dialect, 7));
    route.send(opening(1, message));
    const error = await route.ended;
    expect(error).toMatchObject({ code: status.INVALID_ARGUMENT, details: expect.stringMatching(details) });
    const next = await RouteClient.open(client, echoNode(dialect, 7));
    next.send(opening(1));
    await next.message();
    expect(node.messages).toBe(1);
    next.stream.cancel();
  });

  // Causes: code messaging/client-route.ts INVALID_ARGUMENT
  it.each<[string, Partial<RoutedMessage>[], RegExp]>([
    ['a number that is in use', [opening(1)], /open already/],
    ['a message after its end', [{ transaction: 1, command: SILENCE, delete: true }, { transaction: 1 }], /closed/],
  ])('refuses %s', async (_what, messages, details) => {
    await startNode(dialect, 7);
    const route = await RouteClient.open(client, echoNode(dialect, 7));
    // The node does not end the transaction before the client does.
    route.send(opening(1, { command: FLOOD, payload: words(2000, 1000) }));
    for (const message of messages) route.send({ command: ECHO, ...message });
    expect(await route.ended).toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: expect.stringMatching(details),
    });
  });

  // Causes: metric spanmesh_messaging_messages_late_total
  it('ignores late messages for a transaction that is gone', async () => {
    const late = async () => (await world.metrics()).get('spanmesh_messaging_messages_late_total') ?? 0;
    const before = await late();
    await startNode(dialect, 7);
    const route = await RouteClient.open(client, echoNode(dialect, 7));
    route.send({ transaction: 5, command: ECHO, delete: true });
    route.send(opening(1));
    expect(await route.message()).toMatchObject({ transaction: 1 });
    expect(await late()).toBe(before + 1);
    route.stream.cancel();
  });

  // Limits: messaging/limits.ts MAX_ROUTE_TRANSACTIONS
  // Causes: code messaging/client-route.ts RESOURCE_EXHAUSTED
  it('takes no more transactions than allowed', async () => {
    await startNode(dialect, 7);
    const route = await RouteClient.open(client, echoNode(dialect, 7));
    for (let transaction = 1; transaction <= 1025; transaction++)
      route.send(opening(transaction, { command: SILENCE }));
    expect(await route.ended).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
  });

  // Causes: code messaging/messaging.ts UNAVAILABLE
  it('ends with UNAVAILABLE when the gateway stops', async () => {
    const own = await startWorld();
    const there = messagingClient(own.standalone.grpcPort);
    channels.push(there);
    const node = await startNode(dialect, 7, own);
    const route = await RouteClient.open(there, echoNode(dialect, 7));
    const waits = expect(ask(there, method.resolveNode, { node: echoNode(dialect, 8) })).rejects;
    const refused = waits.toMatchObject({ code: status.UNAVAILABLE });
    await until(
      () => own.counts().routeCalls === 1,
      () => 'a call',
    );
    route.send(opening(1));
    await route.message();
    const stopped = own.stopRouter();
    expect(await route.ended).toMatchObject({ code: status.UNAVAILABLE });
    await refused;
    await node.stop();
    await stopped;
    await own.stop();
  });

  it('loses no messages when the client reads late', async () => {
    await startNode(dialect, 7);
    const route = await RouteClient.open(client, echoNode(dialect, 7));
    route.stream.pause();
    const toClients = async () => (await world.metrics()).get('spanmesh_messaging_messages_to_clients_total') ?? 0;
    const before = await toClients();
    route.send(opening(1, { command: FLOOD, payload: words(500, 50_000) }));
    // By now the router does not read the node's connection any more.
    await until(
      async () => (await toClients()) > before,
      () => 'messages on the way',
    );
    route.stream.resume();
    for (let i = 0; i < 500; i++) {
      const { payload, aux } = await route.message();
      expect([payload.readUInt32LE(0), aux.length, aux[0]]).toEqual([
        i,
        dialect === 'linkid' ? 50_048 : 50_000,
        i % 256,
      ]);
    }
    expect(await route.message()).toMatchObject({ create: false, command: FLOOD });
    route.stream.cancel();
  });
});

describe('transactions stacked on circuits', () => {
  it('are opened by the client and by the node, and end with their circuit', async () => {
    const node = await startNode('circuit', 7);
    const route = await RouteClient.open(client, echoNode('circuit', 7));
    route.send(opening(1, { command: CALL_BACK, payload: words(77) }));
    const called = await route.message();
    expect(called).toMatchObject({
      openedByNode: true,
      circuit: 1,
      circuitOpenedByNode: false,
      create: true,
      payload: words(77),
    });
    expect(await route.message()).toMatchObject({ transaction: 1, openedByNode: false, create: true });
    const { transaction } = called;
    route.send({ transaction, openedByNode: true, circuit: 1, create: true, command: ECHO, payload: words(78) });
    route.send(opening(2, { circuit: 1, payload: words(5) }));
    expect(await route.message()).toMatchObject({ transaction: 2, circuit: 1, create: true, payload: words(5) });
    expect(node.answers).toEqual([words(78)]);
    route.send({ transaction: 1, command: ECHO, delete: true });
    const ends = [await route.message(), await route.message(), await route.message()];
    expect(ends.map((end) => [end.transaction, end.openedByNode, end.delete])).toEqual(
      expect.arrayContaining([
        [1, false, true],
        [2, false, true],
        [transaction, true, true],
      ]),
    );
    await until(
      () => node.aborts.length === 2,
      () => 'the ends of what was stacked',
    );
    // A transaction on a circuit that is gone is answered.
    route.send(opening(9, { circuit: 1 }));
    expect(await route.message()).toMatchObject({
      transaction: 9,
      circuit: 1,
      create: true,
      delete: true,
      abort: true,
      error: LOSTLINK,
    });
    route.stream.cancel();
  });

  it('can have one-way messages sent on them', async () => {
    await startNode('circuit', 7);
    const route = await RouteClient.open(client, echoNode('circuit', 7));
    route.send(opening(1));
    await route.message();
    route.send({ circuit: 1, command: LNK_PING });
    expect(await route.message()).toMatchObject({ transaction: 0, circuit: 1, command: LNK_PING, reply: true });
    // A one-way message on a circuit that is gone is lost, like messages that cross the circuit's end.
    route.send({ circuit: 2, command: LNK_PING });
    route.send({ transaction: 1, command: ECHO, delete: true });
    expect(await route.message()).toMatchObject({ transaction: 1, delete: true });
    route.stream.cancel();
  });

  it('do not exist in linkid', async () => {
    await startNode('linkid', 7);
    const route = await RouteClient.open(client, echoNode('linkid', 7));
    route.send(opening(1, { circuit: 2 }));
    expect(await route.ended).toMatchObject({ code: status.INVALID_ARGUMENT });
  });

  it('are refused when they are stacked too deep', async () => {
    await startNode('circuit', 7);
    const route = await RouteClient.open(client, echoNode('circuit', 7));
    for (let n = 1; n <= 20; n++) route.send(opening(n, { circuit: n - 1, command: SILENCE }));
    expect(await route.ended).toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: expect.stringMatching(/too deep/),
    });
  });
});

describe('a linkid node', () => {
  it('opens transactions towards the client', async () => {
    const node = await startNode('linkid', 7);
    const route = await RouteClient.open(client, echoNode('linkid', 7));
    route.send(opening(1, { command: CALL_BACK, payload: words(77) }));
    const called = await route.message();
    expect(called).toMatchObject({ openedByNode: true, circuit: 0, create: true, payload: words(77) });
    expect(await route.message()).toMatchObject({ transaction: 1, openedByNode: false });
    const { transaction } = called;
    route.send({ transaction, openedByNode: true, create: true, delete: true, command: ECHO, payload: words(78) });
    expect(await route.message()).toMatchObject({ transaction, openedByNode: true, delete: true });
    expect(node.answers).toEqual([words(78)]);
    route.stream.cancel();
  });

  it('answers one-way messages', async () => {
    await startNode('linkid', 7);
    const route = await RouteClient.open(client, echoNode('linkid', 7));
    // The reference does not know PING, and neither does a simulated peer.
    route.send({ command: LNK_PING });
    expect(await route.message()).toMatchObject({ transaction: 0, command: LNK_ERROR, reply: true, error: NOSUPP });
    route.stream.cancel();
  });

  it('ignores a client that opens a transaction as if it were the node', async () => {
    await startNode('linkid', 7);
    const route = await RouteClient.open(client, echoNode('linkid', 7));
    route.send({ transaction: 4, openedByNode: true, create: true, command: ECHO });
    route.send(opening(1));
    expect(await route.message()).toMatchObject({ transaction: 1, openedByNode: false });
    route.stream.cancel();
  });
});

describe('opening a route', () => {
  it('ends with DEADLINE_EXCEEDED when the node does not come', async () => {
    await expect(RouteClient.open(client, echoNode('circuit', 7), 50)).rejects.toMatchObject({
      code: status.DEADLINE_EXCEEDED,
    });
    await count('routeCalls', 0);
  });

  it('lists the nodes that an ambiguous name may mean', async () => {
    await startNode('circuit', 7);
    await startNode('linkid', 7);
    const named = { ...echoNode('circuit', 7), key: undefined, node: 'echo7' };
    await expect(RouteClient.open(client, named)).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: expect.stringMatching(/may mean any node/),
    });
  });

  it('needs `open` first, and only once', async () => {
    const route = new RouteClient(client);
    route.send(opening(1));
    expect(await route.ended).toMatchObject({ code: status.INVALID_ARGUMENT });
    await startNode('circuit', 7);
    const second = await RouteClient.open(client, echoNode('circuit', 7));
    second.stream.write({ open: { node: echoNode('circuit', 7), waitMs: 0 } });
    expect(await second.ended).toMatchObject({ code: status.INVALID_ARGUMENT });
  });

  it('ends when the client goes', async () => {
    const route = new RouteClient(client);
    route.stream.write({ open: { node: echoNode('circuit', 7), waitMs: 0 } });
    await count('routeCalls', 1);
    route.stream.cancel();
    await route.ended;
    await count('routeCalls', 0);
  });
});

describe.each(DIALECTS)('a handle on a %s cluster', (dialect) => {
  async function clusters() {
    const topology = createClient(TopologyClient, `127.0.0.1:${world.standalone.grpcPort}`);
    try {
      return await new Promise<{ id: string; nodes: number }[]>((resolve, reject) => {
        topology.listClusters(ListClustersRequest.create(), (error, answer) => {
          if (error === null) resolve(answer.clusters.map(({ key, nodes: n }) => ({ id: key!.id, nodes: n })));
          else reject(error);
        });
      });
    } finally {
      topology.close();
    }
  }

  it('lets the client wait for a cluster that does not exist yet', async () => {
    const cluster = echoCluster(dialect);
    const { handle } = await ask<AcquireClusterRequest, AcquireClusterResponse>(client, method.acquireCluster, {
      cluster,
      leaseMs: 0,
    });
    await count('treeClusters', 1);
    expect(await clusters()).toEqual([{ id: cluster.id, nodes: 0 }]);
    const waiting = ask(client, method.waitCluster, { cluster, nodes: 2 });
    await startNode(dialect, 1);
    await startNode(dialect, 2);
    expect(await waiting).toMatchObject({ cluster: { key: cluster, nodes: 2 } });
    await ask(client, method.renewClusters, { handles: [handle] });
    await Promise.all(nodes.splice(0).map((node) => node.stop()));
    await count('treeNodes', 0);
    expect(await clusters()).toEqual([{ id: cluster.id, nodes: 0 }]);
    await ask(client, method.releaseCluster, { handle });
    await count('treeClusters', 0);
    await expect(ask(client, method.renewClusters, { handles: [handle] })).rejects.toMatchObject({
      code: status.NOT_FOUND,
      details: expect.stringContaining(handle),
    });
  });

  // Causes: code messaging/messaging.ts INVALID_ARGUMENT
  it('is refused for an invalid cluster or lease', async () => {
    const cluster = { ...echoCluster(dialect), id: 'tank' };
    const refused = { code: status.INVALID_ARGUMENT };
    await expect(ask(client, method.acquireCluster, { cluster, leaseMs: 0 })).rejects.toMatchObject(refused);
    await expect(ask(client, method.waitCluster, { cluster, nodes: 0 })).rejects.toMatchObject(refused);
    await expect(
      ask(client, method.acquireCluster, { cluster: echoCluster(dialect), leaseMs: 3_600_001 }),
    ).rejects.toMatchObject(refused);
  });
});

describe('2,000 clients', () => {
  const CLIENTS = 2000;
  /**
   * Number of routes that are opened side by side: test and gateway share a process, and gRPC gives up a connection
   * that is not read for too long.
   */
  const AT_A_TIME = 100;

  it.each(DIALECTS)('share the spans of a gateway, %s', async (dialect) => {
    const node = await startNode(dialect, 7);
    for (let i = 0; i < 4; i++) channels.push(messagingClient(world.standalone.grpcPort));
    const routes: RouteClient[] = [];
    while (routes.length < CLIENTS) {
      const portion = Array.from({ length: AT_A_TIME }, (_, i) =>
        RouteClient.open(channels[i % 4]!, echoNode(dialect, 7)),
      );
      routes.push(...(await Promise.all(portion)));
    }
    await Promise.all(
      routes.map(async (route, i) => {
        route.send(opening(1, { payload: words(i), delete: true }));
        expect(await route.message()).toMatchObject({ transaction: 1, delete: true, payload: words(i) });
      }),
    );
    expect(node.messages).toBe(CLIENTS);
    // linkid: one span of the gateway is the source for all of them; circuit: none is needed.
    expect(node.peer.relaysSeen).toBe(dialect === 'linkid' ? 1 : 0);
    for (const route of routes) route.send(opening(2, { command: SILENCE }));
    await until(
      () => node.messages === 2 * CLIENTS,
      () => 'all transactions',
    );
    await node.stop();
    nodes.splice(0);
    const ends = await Promise.all(routes.map(({ ended }) => ended));
    expect(new Set(ends.map((end) => end?.code))).toEqual(new Set([status.UNAVAILABLE]));
    await count('localRoutes', 0);
    await count('routeCalls', 0);
    await count('routeLinks', 0);
  });
});
