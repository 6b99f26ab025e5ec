import { BLK_READ, DELETE, LNK_ERROR } from '@spanmesh/dmsg/command';
import type { Dialect } from '@spanmesh/dmsg/dialect';
import type { Frame } from '@spanmesh/dmsg/frame';
import type { Transaction, TransactionHandler } from '@spanmesh/dmsg/transaction';
import { ListGatewayTrafficRequest, TrafficKind } from '@spanmesh/proto/v1/traffic';
import { until } from '@spanmesh/runtime/patience.fixture';
import fc from 'fast-check';
import { expect } from 'vitest';
import { type Member, Mesh } from './mesh.fixture.ts';

/**
 * Random histories over TCP, on one gateway or across two. Members have a span each and relays of the others' spans.
 * They open transactions, send in them, half-close and abort them, close their span or a relay, or are cut off; the
 * trunk may be lost.
 *
 * Checked are these of architecture.md, "What must always hold": 1 and protocol.md, "Transactions", by each member's
 * own endpoint, which takes a violation for a fault; 3: messages arrive as they were sent, in order, without a gap, and
 * none after the end; 5: no other member is disturbed, and nothing is left in the tables.
 */
const MEMBERS = 4;

/** One thing that a member does. */
export const step = fc.record({
  who: fc.nat(MEMBERS - 1),
  what: fc.constantFrom(
    'open',
    'open',
    'open',
    'openLast',
    'stack',
    'stack',
    'send',
    'send',
    'send',
    'end',
    'end',
    'abort',
    'oneWay',
    'settle',
    'settle',
    'relayClosed',
    'unrelay',
    'spanClosed',
    'cut',
    'cutTrunk',
  ),
  pick: fc.nat(),
});

/** One member's end of a transaction. The aux data of its messages is `name:direction:number`. */
class End {
  readonly tx: Transaction;
  readonly name: string;
  sent: number;
  heard: number;
  final = false;

  constructor(tx: Transaction, name: string, sent: number, heard: number) {
    this.tx = tx;
    this.name = name;
    this.sent = sent;
    this.heard = heard;
  }
}

/** A member's part in a history: its ends of transactions, and the violations that it has seen. */
class Actor implements TransactionHandler {
  readonly member: Member;
  readonly ends: End[] = [];
  readonly faults: string[] = [];
  #names = 0;
  readonly #id: number;

  constructor(member: Member, id: number) {
    this.member = member;
    this.#id = id;
    member.node.onOpen = (tx, frame) => {
      const { name, direction, number } = read(frame);
      const end = new End(tx, name, 0, 1);
      if (direction !== 'there' || number !== 0) this.faults.push(`${name} begins with ${direction} ${number}`);
      tx.handler = this;
      tx.data = end;
      this.ends.push(end);
      if ((frame.cmd & DELETE) !== 0) end.final = true;
      // Every second transaction is answered at once.
      if (this.ends.length % 2 === 0) this.send(end, 0);
    };
  }

  open(circuit: Transaction | null, address: ReturnType<Member['node']['address']> | null, last: boolean): void {
    const { endpoint } = this.member.node;
    const name = `${this.#id}.${this.#names++}`;
    const cmd = last ? BLK_READ | DELETE : BLK_READ;
    const tx = endpoint.open(cmd, circuit, this, null, 0, aux(name, 'there', 0), address);
    tx.data = new End(tx, name, 1, 0);
    this.ends.push(tx.data as End);
  }

  send(end: End, flags: number): void {
    const direction = end.tx.openedByPeer ? 'back' : 'there';
    const { endpoint } = this.member.node;
    if (endpoint.send(end.tx, (BLK_READ | flags) >>> 0, 0, null, aux(end.name, direction, end.sent))) end.sent++;
  }

  onMessage(tx: Transaction, frame: Frame): void {
    const end = tx.data as End;
    if (end.final) this.faults.push(`${end.name}: a message after the end`);
    if ((frame.cmd & DELETE) !== 0) end.final = true;
    if (frame.auxBytes === 0) return;
    const { name, direction, number } = read(frame);
    const expected = tx.openedByPeer ? 'there' : 'back';
    if (name !== end.name || direction !== expected || number !== end.heard) {
      this.faults.push(`${end.name} hears ${name} ${direction} ${number}, not ${expected} ${end.heard}`);
    }
    end.heard++;
  }

  onLost(tx: Transaction): void {
    const end = tx.data as End;
    if (end.final) this.faults.push(`${end.name}: lost after the end`);
    end.final = true;
  }

  /** Closes our direction of all transactions. */
  closeAll(): void {
    for (const { tx } of [...this.ends].reverse()) tx.endpoint.end(tx);
    this.member.node.flush();
  }
}

function aux(name: string, direction: string, number: number): Buffer {
  return Buffer.from(`${name}:${direction}:${number}:`);
}

function read(frame: Frame): { name: string; direction: string; number: number } {
  const at = frame.off + frame.headBytes;
  const [name = '', direction = '', number = ''] = Buffer.from(frame.buf.subarray(at, at + frame.auxBytes))
    .toString('latin1')
    .split(':');
  return { name, direction, number: Number(number) };
}

/** Milliseconds after which unused return paths close; shorter than the silence after which a trunk is probed. */
const IDLE_MS = 500;

/** Plays a history on one or two gateways, and checks what must always hold. */
export async function play(
  dialect: Dialect,
  gateways: 1 | 2,
  steps: readonly { who: number; what: string; pick: number }[],
): Promise<void> {
  // In every other history, endings (shares/endings.ts) are done in slices of one unit a turn.
  const endings = steps.length % 2 === 0 ? { perTurn: 1 } : {};
  const mesh = await Mesh.start({ SPANMESH_ON_DEMAND_IDLE: `${IDLE_MS}ms` }, gateways, endings);
  try {
    const actors: Actor[] = [];
    for (let i = 0; i < MEMBERS; i++) {
      actors.push(new Actor(await mesh.join(dialect, mesh.gateways[i % gateways]!), i));
    }
    for (const { member } of actors) await mesh.span(member);
    for (const [i, from] of actors.entries()) {
      for (const [j, to] of actors.entries()) {
        // linkid: relays in the other direction are opened on demand.
        const wanted = dialect === 'circuit' ? i !== j : i > j;
        if (wanted) await mesh.relaySpan(from.member.spans[0]!, to.member);
      }
    }
    await mesh.settled(1);
    for (const each of steps) {
      const actor = actors[each.who]!;
      if (!actor.member.node.closed) await act(mesh, actor, each, dialect);
    }
    // Waits until the gateways have noticed which members were cut off.
    const left = actors.filter(({ member }) => !member.node.closed);
    await until(() => mesh.counts.connections <= left.length);
    await mesh.settled();
    for (const actor of left) actor.closeAll();
    await mesh.settled(6);
    // Every transaction must be closed in both directions by now.
    for (const { member, faults, ends } of actors) {
      expect(faults).toEqual([]);
      if (member.node.closed) continue;
      expect(member.node.fault).toBe(null);
      const hanging = ends.filter(({ tx, final }) => !final || !tx.ended).filter(({ tx }) => !spansClosed(member, tx));
      expect(hanging.map(({ name }) => name)).toEqual([]);
    }
    // First the route closes, then its end on the other gateway, then the return path; each may close only at a later
    // sweep.
    for (let i = 0; i < 6; i++) {
      mesh.gateway.clock.advance(IDLE_MS + 1);
      await mesh.settled();
    }
    const { connections, links, relays, transactions, routes, onDemandRelays } = mesh.counts;
    expect({ transactions, routes, onDemandRelays }).toEqual({
      // Each connection has two LNK_CONNs; links and relays are the other transactions.
      transactions: 2 * connections + links + relays,
      routes: 0,
      onDemandRelays: 0,
    });
    expect(mesh.trunkCounts.transactions).toBe(mesh.trunkCounts.routes);
    for (const gateway of mesh.gateways) expect(mesh.busy(gateway)).toBe(0);
    await checkEmpty(mesh);
    for (const { gateway } of mesh.gateways) {
      expect(gateway.counters.internalErrors).toBe(0);
      expect(gateway.counters.protocolErrors).toEqual({});
      const { internal, 'protocol-error': broken, silent } = gateway.trunks!.metrics.lost;
      expect([internal, broken, silent]).toEqual([0, 0, 0]);
    }
  } finally {
    await mesh.stop();
  }
}

/** Once all members have disconnected, all tables must be empty. */
async function checkEmpty(mesh: Mesh): Promise<void> {
  for (const { node } of mesh.members) node.destroy();
  await until(() => mesh.counts.connections <= 0);
  await mesh.settled();
  const kept = Object.entries({ ...mesh.counts, ...mesh.trunkCounts, established: 0 }).filter(
    ([, count]) => count !== 0,
  );
  expect(kept).toEqual([]);
  const kinds = [TrafficKind.TRAFFIC_KIND_ROUTE_CLASS];
  const request = ListGatewayTrafficRequest.fromPartial({ kinds });
  const classes = mesh.gateways.flatMap(({ gateway }) => gateway.traffic.list(request).counters);
  expect(classes.filter(({ transactionsOpen }) => transactionsOpen !== 0)).toEqual([]);
}

/**
 * True if the span at either end of a linkid transaction has closed. A message that crosses this is thrown away, and
 * its sender learns it from the closed span, not from the transaction.
 */
function spansClosed({ node, spans }: Member, { fromLo, fromHi, toLo, toHi }: Transaction): boolean {
  if (node.dialect === 'circuit') return false;
  const isThere = (list: readonly Transaction[], lo: number, hi: number) =>
    list.some(({ msgidLo, msgidHi }) => msgidLo === lo && msgidHi === hi);
  const own = spans.map(({ tx }) => tx);
  return !isThere(own, fromLo, fromHi) || !isThere(node.relays, toLo, toHi);
}

async function act(
  mesh: Mesh,
  actor: Actor,
  { what, pick }: { what: string; pick: number },
  dialect: Dialect,
): Promise<void> {
  const { member, ends } = actor;
  const { node } = member;
  const relay = node.relays[pick % Math.max(1, node.relays.length)];
  const end = ends[pick % Math.max(1, ends.length)];
  const span = member.spans[0];
  switch (what) {
    case 'open':
    case 'openLast':
      if (relay === undefined) break;
      if (dialect === 'circuit') actor.open(relay, null, what === 'openLast');
      else if (span !== undefined) actor.open(null, node.address(span.tx, relay), what === 'openLast');
      break;
    case 'stack':
      if (dialect === 'circuit' && end !== undefined && !end.tx.ended && end.tx.depth < 6)
        actor.open(end.tx, null, false);
      break;
    case 'send':
      if (end !== undefined) actor.send(end, 0);
      break;
    case 'end':
      if (end !== undefined) actor.send(end, DELETE);
      break;
    case 'abort':
      if (end !== undefined) node.endpoint.end(end.tx, 5, true);
      break;
    case 'oneWay':
      if (relay === undefined) break;
      if (dialect === 'circuit') node.endpoint.oneWay(LNK_ERROR, 0, null, null, relay);
      else if (span !== undefined) node.endpoint.oneWay(BLK_READ, 0, null, null, null, node.address(span.tx, relay));
      break;
    case 'relayClosed':
      if (relay !== undefined) node.endpoint.end(relay);
      break;
    case 'unrelay':
      for (const { spans } of mesh.members)
        if (spans[0] !== undefined && pick % 3 === 0) mesh.unrelaySpan(spans[0], member);
      break;
    case 'spanClosed':
      if (span !== undefined && pick % 2 === 0) node.endpoint.end(member.spans.pop()!.tx);
      break;
    case 'cut':
      if (pick % 4 === 0) node.destroy();
      break;
    case 'cutTrunk':
      if (mesh.gateways.length === 2 && pick % 2 === 0) await mesh.cutTrunk();
      break;
    default:
      node.flush();
      await mesh.settled(1);
  }
  // Sometimes the message is written at once, sometimes together with later ones.
  if (pick % 2 === 0) node.flush();
}
