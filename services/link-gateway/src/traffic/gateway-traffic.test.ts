import { BLK_OPEN, BLK_READ, BLK_WRITE, DBG_SHELL, DELETE, LNK_ERROR, SIZE_MASK } from '@spanmesh/dmsg/command';
import type { Dialect } from '@spanmesh/dmsg/dialect';
import { CORE_HEADER_BYTES, padded } from '@spanmesh/dmsg/header';
import type { Transaction, TransactionHandler } from '@spanmesh/dmsg/transaction';
import { ListGatewayTrafficRequest, type TrafficCounters, TrafficKind } from '@spanmesh/proto/v1/traffic';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { until } from '@spanmesh/runtime/patience.fixture';
import { afterEach, describe, expect, it } from 'vitest';
import type { TrafficCounts } from '../connection/traffic-counts.ts';
import { type Member, Mesh } from '../routing/mesh.fixture.ts';
import type { RouteClasses } from '../routing/route-class.ts';
import type { TestGateway } from '../testing/gateway.fixture.ts';
import { GatewayTraffic } from './gateway-traffic.ts';

let mesh: Mesh | undefined;
afterEach(async () => {
  await mesh?.stop();
  mesh = undefined;
});

/** Number of messages sent, and the aux data of each: 1000 bytes, padded to 1024. */
const COUNT = 40;
const AUX = Buffer.alloc(1000, 7);

function bytesOf(cmd: number, aux = 0): number {
  return (cmd & SIZE_MASK) * CORE_HEADER_BYTES + padded(aux);
}

function ask({ gateway }: TestGateway, request: Partial<ListGatewayTrafficRequest> = {}) {
  return gateway.traffic.list(ListGatewayTrafficRequest.fromPartial(request));
}

/** Counters by id. A connection's id is replaced by its place: `#0` is the member that joined first. */
function read(at: TestGateway): Map<string, TrafficCounters> {
  const { counters, more } = ask(at);
  expect(more).toBe(false);
  let connections = 0;
  return new Map(
    counters.map((one) => [one.kind === TrafficKind.TRAFFIC_KIND_CONNECTION ? `#${connections++}` : one.id, one]),
  );
}

/**
 * The counts added since `before`: messages in, messages out, bytes in, bytes out, transactions opened, transactions
 * open.
 */
function added(at: TestGateway, before: ReadonlyMap<string, TrafficCounters>) {
  return Object.fromEntries(
    [...read(at)].map(([id, now]) => {
      const then = before.get(id);
      const less = (field: 'messagesIn' | 'messagesOut' | 'bytesIn' | 'bytesOut' | 'transactionsOpened') =>
        now[field] - (then?.[field] ?? 0);
      return [
        id,
        [
          less('messagesIn'),
          less('messagesOut'),
          less('bytesIn'),
          less('bytesOut'),
          less('transactionsOpened'),
          now.transactionsOpen - (then?.transactionsOpen ?? 0),
        ],
      ];
    }),
  );
}

/** Accepts every transaction opened at a member, and counts the messages, the first ones included. */
class Taker implements TransactionHandler {
  messages = 0;
  tx: Transaction | null = null;

  constructor({ node }: Member) {
    node.onOpen = (tx) => {
      tx.handler = this;
      this.tx = tx;
      this.messages++;
    };
    node.onOneWay = () => {
      this.messages++;
    };
  }

  onMessage(): void {
    this.messages++;
  }

  onLost(): void {}
}

class Answers implements TransactionHandler {
  messages = 0;

  onMessage(): void {
    this.messages++;
  }

  onLost(): void {}
}

/**
 * An owner on the last gateway and a requester on the first one that has the relay of its span, with the circuit or
 * address for messages from one to the other.
 */
async function pair(dialect: Dialect, gateways: 1 | 2 = 1) {
  mesh = await Mesh.start({}, gateways);
  const owner = await mesh.join(dialect, mesh.gateways.at(-1));
  const requester = await mesh.join(dialect);
  const ofOwner = await mesh.span(owner);
  const ofRequester = await mesh.span(requester);
  const relay = await mesh.relaySpan(ofOwner, requester);
  // linkid: the return path is an ordinary relay here, not one opened on demand by the first message.
  if (dialect === 'linkid') await mesh.relaySpan(ofRequester, owner);
  await mesh.settled(2);
  const isLinkid = dialect === 'linkid';
  const address = isLinkid ? requester.node.address(ofRequester.tx, relay) : null;
  const circuit = isLinkid ? null : relay;
  return { owner, requester, circuit, address };
}

/** Sends COUNT messages one way in a transaction and three the other way, and then the ends. */
async function exchange({ owner, requester, circuit, address }: Awaited<ReturnType<typeof pair>>) {
  const taken = new Taker(owner);
  const answers = new Answers();
  const tx = requester.node.endpoint.open(BLK_OPEN, circuit, answers, null, 0, null, address);
  for (let i = 0; i < COUNT; i++) requester.node.endpoint.send(tx, BLK_WRITE, 0, null, AUX);
  requester.node.flush();
  await owner.node.until(() => taken.messages === COUNT + 1);
  for (let i = 0; i < 3; i++) owner.node.endpoint.send(taken.tx!, BLK_READ);
  owner.node.flush();
  await requester.node.until(() => answers.messages === 3);
  return {
    end: async () => {
      requester.node.endpoint.end(tx);
      requester.node.flush();
      await owner.node.until(() => taken.messages === COUNT + 2);
      owner.node.endpoint.end(taken.tx!);
      owner.node.flush();
      await requester.node.until(() => answers.messages === 4);
    },
  };
}

const THERE = bytesOf(BLK_OPEN) + COUNT * bytesOf(BLK_WRITE, AUX.length);
const BACK = 3 * bytesOf(BLK_READ);
const END = bytesOf(LNK_ERROR);

describe.each(['circuit', 'linkid'] as const)('traffic between two peers, in %s', (dialect) => {
  it('is counted to the byte on both connections and in its class', async () => {
    const world = await pair(dialect);
    const { gateway } = mesh!;
    const before = read(gateway);
    const { end } = await exchange(world);
    expect(added(gateway, before)).toEqual({
      '#0': [3, COUNT + 1, BACK, THERE, 1, 1],
      '#1': [COUNT + 1, 3, THERE, BACK, 1, 1],
      local: [COUNT + 4, COUNT + 4, THERE + BACK, THERE + BACK, 1, 1],
      trunk: [0, 0, 0, 0, 0, 0],
      client: [0, 0, 0, 0, 0, 0],
    });
    await end();
    expect(added(gateway, before)).toEqual({
      '#0': [4, COUNT + 2, BACK + END, THERE + END, 1, 0],
      '#1': [COUNT + 2, 4, THERE + END, BACK + END, 1, 0],
      local: [COUNT + 6, COUNT + 6, THERE + BACK + 2 * END, THERE + BACK + 2 * END, 1, 0],
      trunk: [0, 0, 0, 0, 0, 0],
      client: [0, 0, 0, 0, 0, 0],
    });
  });

  it('over a trunk is counted on both gateways, and on the trunk the same at both ends', async () => {
    const world = await pair(dialect, 2);
    // A first exchange opens the trunk and the route.
    await (await exchange(world)).end();
    await mesh!.settled(1);
    const [first, second] = mesh!.gateways as [TestGateway, TestGateway];
    const before = [read(first), read(second)] as const;
    const { end } = await exchange(world);
    await end();
    const [atFirst, atSecond] = [added(first, before[0]), added(second, before[1])];
    const there = THERE + END;
    const back = BACK + END;
    expect(atFirst['#0']).toEqual([COUNT + 2, 4, there, back, 1, 0]);
    expect(atSecond['#0']).toEqual([4, COUNT + 2, back, there, 1, 0]);
    expect(atFirst.trunk).toEqual([4, COUNT + 2, back, there, 1, 0]);
    expect(atSecond.trunk).toEqual([COUNT + 2, 4, there, back, 1, 0]);
    expect([atFirst.local, atSecond.local]).toEqual(Array(2).fill([0, 0, 0, 0, 0, 0]));
    const [messagesIn, messagesOut, bytesIn, bytesOut, opened, open] = atFirst[second.gateway.id]!;
    expect(atSecond[first.gateway.id]).toEqual([messagesOut, messagesIn, bytesOut, bytesIn, opened, open]);
    // Further messages on the trunk are credits.
    expect([messagesIn, messagesOut]).toEqual([4 + credits(first, 'in'), COUNT + 2 + credits(first, 'out')]);
    expect([opened, open]).toEqual([1, 0]);
  });

  it('of one-way messages is counted, too', async () => {
    const { owner, requester, circuit, address } = await pair(dialect);
    const taken = new Taker(owner);
    const before = read(mesh!.gateway);
    for (let i = 0; i < COUNT; i++) requester.node.endpoint.oneWay(DBG_SHELL, 0, null, AUX, circuit, address);
    requester.node.flush();
    await owner.node.until(() => taken.messages === COUNT);
    const bytes = COUNT * bytesOf(DBG_SHELL, AUX.length);
    expect(added(mesh!.gateway, before)).toMatchObject({
      '#0': [0, COUNT, 0, bytes, 0, 0],
      '#1': [COUNT, 0, bytes, 0, 0, 0],
      local: [COUNT, COUNT, bytes, bytes, 0, 0],
    });
  });

  it('of a client of this gateway is counted in its class', async () => {
    const { owner } = await pair(dialect);
    const taken = new Taker(owner);
    const { gateway } = mesh!;
    const answers = new Answers();
    const route = gateway.gateway.clients.openRoute(owner.spans[0]!.link, dialect, {
      onOpen: () => {},
      onOneWay: () => {},
      onLost: () => {},
    })!;
    await mesh!.settled(1);
    const before = read(gateway);
    const tx = route.open(BLK_OPEN, null, answers);
    for (let i = 0; i < COUNT; i++) route.send(tx, BLK_WRITE, 0, null, AUX);
    await owner.node.until(() => taken.messages === COUNT + 1);
    for (let i = 0; i < 3; i++) owner.node.endpoint.send(taken.tx!, BLK_READ);
    owner.node.flush();
    await mesh!.settled(1);
    expect(added(gateway, before).client).toEqual([3, COUNT + 1, BACK, THERE, 1, 1]);
    route.send(tx, LNK_ERROR | DELETE, 0, null, null);
    await owner.node.until(() => taken.messages === COUNT + 2);
    owner.node.endpoint.end(taken.tx!);
    owner.node.flush();
    await mesh!.settled(1);
    expect(added(gateway, before).client).toEqual([4, COUNT + 2, BACK + END, THERE + END, 1, 0]);
  });
});

/** Number of credits that the trunk has carried since the start; none was sent before the counting began. */
function credits(at: TestGateway, direction: 'in' | 'out'): number {
  const { other } = at;
  const { creditsSent } = (direction === 'out' ? at : other!).gateway.trunks!.metrics;
  return creditsSent;
}

describe('a list of counters', () => {
  // Limits: link-gateway/src/limits.ts MAX_TRAFFIC_PAGE
  it('has at most 500 counters on a page', () => {
    const traffic = (connections: number) =>
      new GatewayTraffic({
        gateway: () => 'gw.1',
        connections: new Map(),
        trunks: () => Array.from({ length: connections }, (_, n) => [`gw-${n}.1`, {} as TrafficCounts]),
        classes: {} as RouteClasses,
        clock: new FakeClock(),
      });
    const page = (trunks: number, pageSize: number) => {
      const request = ListGatewayTrafficRequest.fromPartial({ pageSize, kinds: [TrafficKind.TRAFFIC_KIND_TRUNK] });
      const { counters, more } = traffic(trunks).list(request);
      return [counters.length, more];
    };
    expect([page(500, 0), page(500, 501)]).toEqual(Array(2).fill([500, false]));
    expect([page(501, 0), page(501, 501)]).toEqual(Array(2).fill([500, true]));
  });

  it('is in order of kind and number, in pages that leave nothing out', async () => {
    mesh = await Mesh.start();
    const { gateway } = mesh;
    for (let i = 0; i < 12; i++) await mesh.join(i % 2 === 0 ? 'linkid' : 'circuit');
    const all = ask(gateway).counters.map(({ id }) => id);
    const numbers = all.slice(0, 12).map((id) => Number(id.split(':')[1]));
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
    expect(all.slice(12)).toEqual(['client', 'local', 'trunk']);
    const paged: string[] = [];
    for (let last: Partial<ListGatewayTrafficRequest> = {}, more = true; more; ) {
      const page = ask(gateway, { pageSize: 4, ...last });
      expect(page.counters.length).toBeLessThanOrEqual(4);
      paged.push(...page.counters.map(({ id }) => id));
      const end = page.counters.at(-1)!;
      last = { afterKind: end.kind, afterId: end.id };
      more = page.more;
    }
    expect(paged).toEqual(all);
    const kinds = [TrafficKind.TRAFFIC_KIND_ROUTE_CLASS];
    expect(ask(gateway, { kinds }).counters.map(({ id }) => id)).toEqual(['client', 'local', 'trunk']);
    // A malformed id breaks nothing.
    const afterKind = TrafficKind.TRAFFIC_KIND_CONNECTION;
    expect(ask(gateway, { afterKind, afterId: 'no id' }).counters.length).toBe(15);
    expect(ask(gateway, { afterKind, afterId: `x:${numbers.at(-1)}` }).counters.length).toBe(3);
    expect(ask(gateway, { pageSize: 100_000 }).counters.length).toBe(15);
  });

  it('shows address and dialect, the age, queued bytes and pauses', async () => {
    mesh = await Mesh.start({ SPANMESH_SEND_LIMIT: String(4 * 1024 * 1024) });
    const { gateway } = mesh;
    const owner = await mesh.join('circuit');
    const requester = await mesh.join('circuit');
    const relay = await mesh.relaySpan(await mesh.span(owner), requester);
    gateway.clock.advance(1500);
    const { port } = requester.node.socket.address() as { port: number };
    expect(read(gateway).get('#1')).toMatchObject({
      address: `127.0.0.1:${port}`,
      dialect: 2,
      gateway: '',
      queueBytes: 0,
      pauses: 0,
      ageMs: 1500,
    });
    owner.node.socket.pause();
    const block = Buffer.alloc(1024 * 1024);
    for (let i = 0; i < 32; i++) requester.node.endpoint.open(BLK_WRITE | DELETE, relay, new Answers(), null, 0, block);
    requester.node.flush();
    await until(() => gateway.gateway.counters.pauses !== 0);
    expect(read(gateway).get('#1')!.pauses).toBeGreaterThan(0);
    expect(read(gateway).get('#0')!.queueBytes).toBeGreaterThan(0);
    owner.node.socket.resume();
  });
});
