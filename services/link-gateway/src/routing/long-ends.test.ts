import { BLK_OPEN, DELETE } from '@spanmesh/dmsg/command';
import type { Dialect } from '@spanmesh/dmsg/dialect';
import type { Frame } from '@spanmesh/dmsg/frame';
import type { Transaction, TransactionHandler } from '@spanmesh/dmsg/transaction';
import { ListGatewayTrafficRequest, TrafficKind } from '@spanmesh/proto/v1/traffic';
import { until } from '@spanmesh/runtime/patience.fixture';
import { afterEach, describe, expect, it } from 'vitest';
import type { TestGateway } from '../testing/gateway.fixture.ts';
import { Mesh } from './mesh.fixture.ts';

/** Transactions on one relay, and half as many that are stacked on some of them. */
const OPEN = 1_200;
const STACKED = 600;
const ALL = OPEN + STACKED;
/** Units of work in a turn: fewer than by default, so that fewer transactions are enough for the test. */
const ENDED_PER_TURN = 200;
/**
 * Two turns' units (the first part, and a slice of what waits), each up to 64 longer; a unit sends an end on either
 * side.
 */
const MOST_IN_TURN = 2 * 2 * (ENDED_PER_TURN + 64);
/** Milliseconds after which unused return paths close; shorter than the silence after which a trunk is probed. */
const IDLE_MS = 500;
const KINDS = [TrafficKind.TRAFFIC_KIND_CONNECTION, TrafficKind.TRAFFIC_KIND_TRUNK];

let mesh: Mesh;
afterEach(() => mesh.stop());

/** Notes the ends of a member's transactions, in order. */
class Ends implements TransactionHandler {
  readonly order: Transaction[] = [];
  readonly #at = new Map<Transaction, number>();

  onMessage(tx: Transaction, { cmd }: Frame): void {
    if ((cmd & DELETE) === 0) return;
    this.#ended(tx);
    tx.endpoint.end(tx);
  }

  onLost(tx: Transaction): void {
    this.#ended(tx);
  }

  /** Every transaction ended before the one that it is stacked on. */
  get isLeavesFirst(): boolean {
    return this.order.every(({ circuit }, i) => circuit === null || (this.#at.get(circuit) ?? Number.MAX_VALUE) > i);
  }

  #ended(tx: Transaction): void {
    this.#at.set(tx, this.order.length);
    this.order.push(tx);
  }
}

/**
 * An owner with a span, and a requester that has opened all those transactions on its relay; on one gateway, or on two.
 */
async function many(gateways: 1 | 2 = 1, dialect: Dialect = 'circuit') {
  mesh = await Mesh.start({ SPANMESH_ON_DEMAND_IDLE: `${IDLE_MS}ms` }, gateways, { perTurn: ENDED_PER_TURN });
  const owner = await mesh.join(dialect, mesh.gateways[gateways - 1]);
  const requester = await mesh.join(dialect);
  const span = await mesh.span(owner);
  const own = dialect === 'linkid' ? (await mesh.span(requester)).tx : null;
  const relay = await mesh.relaySpan(span, requester);
  const atOwner = new Ends();
  let taken = 0;
  owner.node.onOpen = (tx) => {
    tx.handler = atOwner;
    taken++;
  };
  const atRequester = new Ends();
  const { node } = requester;
  const open = (circuit: Transaction | null) =>
    own === null
      ? node.endpoint.open(BLK_OPEN, circuit, atRequester)
      : node.endpoint.open(BLK_OPEN, null, atRequester, null, 0, null, node.address(own, relay));
  const first = Array.from({ length: OPEN }, () => open(relay));
  for (const tx of first.slice(0, STACKED)) open(tx);
  requester.node.flush();
  await until(() => taken === ALL);
  await mesh.settled(2);
  return { owner, requester, span, relay, atOwner, atRequester };
}

/** Number of messages that a gateway has sent or queued. */
function sentBy({ gateway }: TestGateway): number {
  const { counters } = gateway.traffic.list(ListGatewayTrafficRequest.fromPartial({ kinds: KINDS }));
  return counters.reduce((sum, { messagesOut }) => sum + messagesOut, 0);
}

function isEnding({ gateway }: TestGateway): boolean {
  return gateway.tables().endings !== 0;
}

/**
 * The most messages that a gateway sends in one turn of the event loop while endings are under way; `between`: called
 * between turns, with the number of turns so far.
 */
async function mostSent(gateway: TestGateway, between: (turns: number) => void = () => {}): Promise<number> {
  let most = 0;
  let turns = 0;
  await until(() => isEnding(gateway));
  for (let before = sentBy(gateway); isEnding(gateway); ) {
    between(turns++);
    await new Promise((resolve) => setImmediate(resolve));
    const now = sentBy(gateway);
    most = Math.max(most, now - before);
    before = now;
  }
  expect(turns).toBeGreaterThan(1);
  return most;
}

/** No transaction is left open, and no gateway or peer has seen a protocol error. */
function expectNone(): void {
  const { transactions, connections, lnkConns, links, relays } = mesh.counts;
  // Our LNK_CONN on each connection, those of the peers, and the spans and relays.
  expect(transactions).toBe(connections + lnkConns + links + relays);
  for (const { gateway } of mesh.gateways) {
    expect(gateway.counters).toMatchObject({ internalErrors: 0, protocolErrors: {} });
  }
  for (const { node } of mesh.members) expect(node.fault).toBe(null);
}

describe('very many transactions that are stacked on a relay', () => {
  it('end in limited slices when the relay closes: leaves first on both sides, and the relay last', async () => {
    const { owner, requester, span, relay, atOwner, atRequester } = await many();
    mesh.unrelay(span.link, requester);
    let looked = false;
    const most = await mostSent(mesh.gateway, (turns) => {
      if (turns !== 1) return;
      // The relay is closing: a transaction opened on it now is neither passed on nor answered yet.
      const late = requester.node.endpoint.open(BLK_OPEN, relay, atRequester);
      requester.node.flush();
      looked = !late.ended && requester.node.relays.length === 1;
    });
    expect([most <= MOST_IN_TURN, looked]).toEqual([true, true]);
    await until(() => requester.node.relays.length === 0);
    // The relay's end comes last: all transactions on it have ended before, the one that was opened too late included.
    expect([atRequester.order.length, atRequester.isLeavesFirst]).toEqual([ALL + 1, true]);
    await until(() => atOwner.order.length === ALL);
    expect(atOwner.isLeavesFirst).toBe(true);
    await mesh.settled();
    expect([owner.node.closed, requester.node.closed]).toEqual([false, false]);
    expectNone();
  });

  it('end before the answer to a LNK_CONN that its peer closes', async () => {
    const { requester, atOwner, atRequester } = await many();
    const { endpoint } = requester.node;
    const conn = endpoint.transactions().find((tx) => tx.depth === 0 && !tx.openedByPeer);
    if (conn === undefined) throw new Error('it is open');
    endpoint.end(conn);
    requester.node.flush();
    expect(await mostSent(mesh.gateway)).toBeLessThanOrEqual(MOST_IN_TURN);
    await until(() => conn.ended);
    expect([atRequester.order.length, requester.node.relays.length]).toEqual([ALL, 0]);
    await until(() => atOwner.order.length === ALL);
    expect([atRequester.isLeavesFirst, atOwner.isLeavesFirst]).toEqual([true, true]);
    await mesh.settled();
    expectNone();
  });

  it.each(['owner', 'requester'] as const)(
    'end once, though the connection of the %s is lost meanwhile',
    async (who) => {
      const { owner, requester, span, atOwner, atRequester } = await many();
      mesh.unrelay(span.link, requester);
      const [lost, left, ends] = who === 'owner' ? [owner, requester, atRequester] : [requester, owner, atOwner];
      await mostSent(mesh.gateway, (turns) => {
        if (turns === 1) lost.node.destroy();
      });
      await until(() => mesh.counts.connections === 1);
      await until(() => ends.order.length === ALL);
      expect(ends.isLeavesFirst).toBe(true);
      await mesh.settled();
      expect(left.node.closed).toBe(false);
      expectNone();
    },
  );

  it.each([1, 2] as const)(
    'end before the relay that they are addressed to, linkid, gateways: %i',
    async (gateways) => {
      const { owner, requester, span, atOwner, atRequester } = await many(gateways, 'linkid');
      mesh.unrelaySpan(span, requester);
      expect(await mostSent(mesh.gateway)).toBeLessThanOrEqual(MOST_IN_TURN);
      await until(() => requester.node.relays.length === 0);
      expect(atRequester.order.length).toBe(ALL);
      await until(() => atOwner.order.length === ALL);
      await mesh.settled();
      expect([owner.node.closed, requester.node.closed]).toEqual([false, false]);
      // The return path was opened on demand, and closes when it has been idle for a while.
      for (let i = 0; i < 6; i++) {
        mesh.gateway.clock.advance(IDLE_MS + 1);
        await mesh.settled();
      }
      expectNone();
    },
  );

  it.each(['the relay closes', 'the trunk is lost'])('end in limited slices over a trunk when %s', async (what) => {
    const { owner, requester, span, atOwner, atRequester } = await many(2);
    const isLost = what === 'the trunk is lost';
    if (isLost) mesh.gateway.gateway.trunks?.renamed();
    else mesh.unrelaySpan(span, requester);
    expect(await mostSent(mesh.gateway)).toBeLessThanOrEqual(MOST_IN_TURN);
    if (isLost) await mesh.trunkLost();
    await until(() => atOwner.order.length === ALL && atRequester.order.length === ALL);
    expect([atRequester.isLeavesFirst, atOwner.isLeavesFirst]).toEqual([true, true]);
    await mesh.settled();
    expect([owner.node.closed, requester.node.closed]).toEqual([false, false]);
    expectNone();
    const { routes, transactions } = mesh.trunkCounts;
    expect(transactions).toBe(routes);
  });
});

describe('very many transactions on the routes of one client', () => {
  it.each([
    ['circuit', 1, 'the client closes them'],
    ['circuit', 1, 'the span closes'],
    ['circuit', 2, 'the client closes them'],
    ['linkid', 1, 'the client closes them'],
    ['linkid', 1, 'the span closes'],
    ['linkid', 2, 'the span closes'],
  ] as const)('end in limited slices, %s, gateways: %i, when %s', async (dialect, gateways, when) => {
    mesh = await Mesh.start({ SPANMESH_ON_DEMAND_IDLE: `${IDLE_MS}ms` }, gateways, { perTurn: ENDED_PER_TURN });
    const owner = await mesh.join(dialect, mesh.gateways[gateways - 1]);
    const span = await mesh.span(owner);
    const atOwner = new Ends();
    let taken = 0;
    owner.node.onOpen = (tx) => {
      tx.handler = atOwner;
      taken++;
    };
    // Each gets one final notification: the node's DELETE, or the loss.
    const atClient = { final: 0, gone: 0 };
    const handler: TransactionHandler = {
      onMessage: (_tx, { cmd }) => {
        if ((cmd & DELETE) !== 0) atClient.final++;
      },
      onLost: () => void atClient.final++,
      onGone: () => void atClient.gone++,
    };
    const reasons: string[] = [];
    const client = {
      principal: 'somebody',
      onOpen() {},
      onOneWay() {},
      onLost: (_route: unknown, reason: string) => void reasons.push(reason),
    };
    const link = gateways === 1 ? span.link : { gateway: mesh.gateways[1]!.gateway.id, number: span.link };
    const routes = Array.from({ length: 6 }, () => mesh.gateway.gateway.clients.openRoute(link, dialect, client));
    for (const route of routes) for (let i = 0; i < OPEN / 6; i++) route?.open(BLK_OPEN, null, handler);
    await until(() => taken === OPEN);
    await mesh.settled(2);
    if (when === 'the span closes') {
      span.tx.endpoint.end(span.tx);
      owner.node.flush();
    } else {
      for (const route of routes) route?.close();
    }
    expect(await mostSent(mesh.gateway)).toBeLessThanOrEqual(MOST_IN_TURN);
    await until(() => atOwner.order.length === OPEN);
    await mesh.settled(2);
    const isTold = when === 'the span closes';
    const why = gateways === 1 ? 'link' : 'trunk';
    expect(reasons).toEqual(isTold ? routes.map(() => why) : []);
    expect(atClient).toEqual(isTold ? { final: OPEN, gone: OPEN } : { final: 0, gone: 0 });
    expect(mesh.gateway.gateway.clients.open).toBe(0);
    expect(owner.node.closed).toBe(false);
  });
});
