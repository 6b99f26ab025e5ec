import { ABORT, BLK_READ, CREATE, DELETE, LNK_ERROR, LNK_PING, LNK_SPAN, REPLY } from '@spanmesh/dmsg/command';
import type { Frame } from '@spanmesh/dmsg/frame';
import type { Transaction, TransactionHandler } from '@spanmesh/dmsg/transaction';
import { afterEach, describe, expect, it } from 'vitest';
import { type Member, Mesh } from './mesh.fixture.ts';

let mesh: Mesh;
afterEach(() => mesh.stop());

const word = (...parts: number[]) => (parts.reduce((all, part) => all | part, 0) >>> 0).toString(16).padStart(8, '0');

/** Two members with a span each; `a` has the relay of b's span. */
async function pair(dist = 1) {
  mesh = await Mesh.start();
  const a = await mesh.join('linkid');
  const b = await mesh.join('linkid');
  const spanA = await mesh.span(a, dist);
  const spanB = await mesh.span(b);
  const relayB = await mesh.relay(spanB.link, a);
  const to = a.node.address(spanA.tx, relayB);
  return { a, b, spanA, spanB, relayB, to, before: mesh.counts };
}

class Log implements TransactionHandler {
  readonly words: string[] = [];

  onMessage(_tx: Transaction, { cmd, error }: Frame): void {
    this.words.push(word(cmd) + (error === 0 ? '' : ` ${error.toString(16)}`));
  }

  onLost(_tx: Transaction, error: number): void {
    this.words.push(`lost ${error.toString(16)}`);
  }
}

function takes(member: Member): { tx: Transaction; log: Log }[] {
  const taken: { tx: Transaction; log: Log }[] = [];
  member.node.onOpen = (tx, frame) => {
    const log = new Log();
    log.onMessage(tx, frame);
    tx.handler = log;
    taken.push({ tx, log });
  };
  return taken;
}

const pairOf = (link: number, member: Member) => ({ linkGateway: '', link, lnkConns: [member.lnkConn] });

describe('given a transaction to a relay, from a span', () => {
  it('opens the return path on demand first, rewrites source and target for the receiver, and brings the answer back', async () => {
    const { a, b, spanA, spanB, to, before } = await pair();
    const taken = takes(b);
    const log = new Log();
    a.node.endpoint.open(BLK_READ | DELETE, null, log, null, 0, Buffer.from('x'), to);
    a.node.flush();
    await b.node.until(() => taken.length === 1);
    expect(b.node.relays.length).toBe(1);
    const { tx } = taken[0]!;
    // The receiver's answers go from its own span to the relay of the sender's span.
    expect([tx.fromLo, tx.fromHi]).toEqual([spanB.tx.msgidLo, spanB.tx.msgidHi]);
    expect([tx.toLo, tx.toHi]).toEqual([b.node.relays[0]!.msgidLo, b.node.relays[0]!.msgidHi]);
    expect(taken[0]!.log.words).toEqual([word(CREATE, DELETE, BLK_READ)]);
    b.node.endpoint.end(tx);
    b.node.flush();
    await a.node.until(() => log.words.length === 1);
    expect(log.words).toEqual([word(CREATE, DELETE, REPLY, LNK_ERROR)]);
    await mesh.settled();
    // The on-demand relay is one more transaction.
    expect(mesh.counts).toEqual({
      ...before,
      relays: 2,
      onDemandRelays: 1,
      routes: 1,
      transactions: before.transactions + 1,
    });
    const { attach, clock } = mesh.gateway;
    expect(attach.delta.onDemandOpened).toEqual([pairOf(spanA.link, b)]);
    expect(attach.attach().flatMap((part) => part.onDemandOpened)).toEqual([pairOf(spanA.link, b)]);
    clock.advance(31_000);
    clock.advance(31_000);
    await b.node.until(() => b.node.relays.length === 0);
    await mesh.settled();
    expect(attach.delta.onDemandClosed).toEqual([pairOf(spanA.link, b)]);
    expect(mesh.counts).toEqual(before);
  });

  it('uses the relay that topology has opened, which stays open while in use though topology wants it closed', async () => {
    const { a, b, spanA, to, before } = await pair();
    const taken = takes(b);
    await mesh.relay(spanA.link, b);
    const log = new Log();
    a.node.endpoint.open(BLK_READ | DELETE, null, log, null, 0, null, to);
    a.node.flush();
    await b.node.until(() => taken.length === 1);
    const { attach, clock } = mesh.gateway;
    expect([attach.delta.onDemandOpened, mesh.counts.relays]).toEqual([[], 2]);
    mesh.unrelay(spanA.link, b);
    await mesh.settled();
    expect([attach.delta.onDemandOpened, b.node.relays.length]).toEqual([[pairOf(spanA.link, b)], 1]);
    // Topology wants the relay again: it is no longer an on-demand one.
    attach.command({ relays: [{ gateway: '', link: spanA.link, open: [b.lnkConn], close: [] }] });
    expect(attach.delta.onDemandClosed).toEqual([pairOf(spanA.link, b)]);
    expect(attach.attach().flatMap((part) => [part.onDemandOpened, part.relaysOpen])).toEqual([
      [],
      expect.arrayContaining([pairOf(spanA.link, b)]),
    ]);
    mesh.unrelay(spanA.link, b);
    b.node.endpoint.end(taken[0]!.tx);
    b.node.flush();
    await a.node.until(() => log.words.length === 1);
    clock.advance(31_000);
    clock.advance(31_000);
    await b.node.until(() => b.node.relays.length === 0);
    await mesh.settled();
    expect(mesh.counts).toEqual(before);
  });

  it('the receiver opens transactions to the sender over the return path', async () => {
    const { a, b, spanB, to } = await pair();
    takes(b);
    const atA = takes(a);
    a.node.endpoint.oneWay(LNK_PING, 0, null, null, null, to);
    a.node.flush();
    await b.node.until(() => b.node.relays.length === 1);
    const log = new Log();
    b.node.endpoint.open(BLK_READ, null, log, null, 0, null, b.node.address(spanB.tx, b.node.relays[0]!));
    b.node.flush();
    await a.node.until(() => atA.length === 1);
    expect([atA[0]!.tx.toLo, atA[0]!.tx.toHi]).toEqual([a.node.relays[0]!.msgidLo, a.node.relays[0]!.msgidHi]);
    // The span behind the return path closes: the transaction ends before the relays do, on both sides.
    a.node.endpoint.end(mesh.members[0]!.spans[0]!.tx);
    a.node.flush();
    await b.node.until(() => b.node.relays.length === 0);
    await mesh.settled();
    expect(log.words).toEqual([`${word(CREATE, DELETE, ABORT, REPLY, LNK_ERROR)} 21`]);
    expect(atA[0]!.log.words.at(-1)).toBe(`${word(DELETE, ABORT, LNK_ERROR)} 21`);
    a.node.endpoint.end(atA[0]!.tx);
    for (const tx of b.node.endpoint.transactions()) if (tx.handler === log) b.node.endpoint.end(tx);
    a.node.flush();
    b.node.flush();
    await mesh.settled();
    expect(mesh.counts).toMatchObject({ routes: 0, onDemandRelays: 0, links: 1 });
  });

  it('passes one-way messages and their answers without state', async () => {
    const { a, b, to } = await pair();
    b.node.onOneWay = (frame) => {
      const { circuitLo, circuitHi, targetLo, targetHi } = frame;
      const back = { sourceLo: targetLo, sourceHi: targetHi, targetLo: circuitLo, targetHi: circuitHi };
      b.node.endpoint.oneWay(0x00700a01 | REPLY, 0, null, Buffer.from('y'), null, back);
    };
    const heard: string[] = [];
    a.node.onOneWay = (frame) => {
      heard.push(
        `${word(frame.cmd)} ${frame.auxBytes} ${frame.targetLo === to.sourceLo} ${frame.circuitLo === to.targetLo}`,
      );
    };
    a.node.endpoint.oneWay(0x00700a01, 0, null, Buffer.alloc(65536, 1), null, to);
    a.node.flush();
    await a.node.until(() => heard.length === 1);
    expect(heard).toEqual([`${word(REPLY, 0x00700a01)} 64 true true`]);
    expect(mesh.gateway.gateway.counters.routedDropped).toBe(0);
  });

  it.each(['owner', 'requester'] as const)(
    'the %s is cut off: the other end learns it, and the tables are empty again',
    async (who) => {
      const { a, b, to } = await pair();
      const taken = takes(b);
      const log = new Log();
      a.node.endpoint.open(BLK_READ, null, log, null, 0, null, to);
      a.node.flush();
      await b.node.until(() => taken.length === 1);
      const [gone, left] = who === 'owner' ? [b, a] : [a, b];
      gone.node.destroy();
      const words = who === 'owner' ? log.words : taken[0]!.log.words;
      const count = who === 'owner' ? 1 : 2;
      await left.node.until(() => words.length === count && left.node.relays.length === 0);
      await left.node.barrier();
      expect(words.length).toBe(count);
      expect(words.at(-1)).toMatch(/ 21$/);
      for (const tx of left.node.endpoint.transactions()) if (tx.handler instanceof Log) left.node.endpoint.end(tx);
      left.node.flush();
      await mesh.settled();
      expect(mesh.counts).toMatchObject({
        connections: 1,
        links: 1,
        relays: 0,
        onDemandRelays: 0,
        routes: 0,
        transactions: 3,
      });
    },
  );
});

describe('given a leaf, which has no span', () => {
  /** A leaf that has the relay of b's span; its messages have source 0. */
  async function leaf(gateways: 1 | 2 = 1) {
    mesh = await Mesh.start({}, gateways);
    const a = await mesh.join('linkid');
    const b = await mesh.join('linkid', mesh.gateways.at(-1)!);
    const spanB = await mesh.span(b);
    const relayB = await mesh.relaySpan(spanB, a);
    const to = { ...a.node.address(relayB, relayB), sourceLo: 0, sourceHi: 0 };
    return { a, b, spanB, relayB, to, before: mesh.counts };
  }

  it.each([1, 2] as const)('is answered, and heard to the end: gateways: %i', async (gateways) => {
    const { a, b, spanB, relayB, to } = await leaf(gateways);
    const taken = takes(b);
    const log = new Log();
    const ends: number[][] = [];
    const noted: TransactionHandler = {
      onMessage(tx, frame) {
        ends.push([frame.circuitLo, frame.targetLo]);
        log.onMessage(tx, frame);
      },
      onLost: (tx, error) => log.onLost(tx, error),
    };
    const tx = a.node.endpoint.open(BLK_READ, null, noted, null, 0, Buffer.from('q'), to);
    a.node.flush();
    await b.node.until(() => taken.length === 1);
    // To the node the gateway is the sender: its own span, opened on demand, is the source.
    expect(b.node.relays.length).toBe(1);
    const { fromLo, toLo } = taken[0]!.tx;
    expect([fromLo, toLo]).toEqual([spanB.tx.msgidLo, b.node.relays[0]!.msgidLo]);
    b.node.endpoint.send(taken[0]!.tx, BLK_READ, 3);
    b.node.endpoint.end(taken[0]!.tx);
    a.node.endpoint.end(tx);
    b.node.flush();
    a.node.flush();
    await a.node.until(() => log.words.length === 2);
    expect(log.words).toEqual([`${word(CREATE, REPLY, BLK_READ)} 3`, word(DELETE, REPLY, LNK_ERROR)]);
    expect(ends).toEqual([
      [relayB.msgidLo, 0],
      [relayB.msgidLo, 0],
    ]);
    await b.node.until(() => taken[0]!.log.words.length === 2);
  });

  it('is told when the node goes, and leaves nothing when it goes itself', async () => {
    const { a, b, to } = await leaf();
    const taken = takes(b);
    const log = new Log();
    a.node.endpoint.open(BLK_READ, null, log, null, 0, null, to);
    a.node.flush();
    await b.node.until(() => taken.length === 1);
    a.node.destroy();
    await b.node.until(() => taken[0]!.log.words.length === 2);
    expect(taken[0]!.log.words[1]).toMatch(/ 21$/);
    const again = await mesh.join('linkid');
    const relay = await mesh.relay(mesh.members[1]!.spans[0]!.link, again);
    const from = { ...again.node.address(relay, relay), sourceLo: 0, sourceHi: 0 };
    again.node.endpoint.open(BLK_READ, null, log, null, 0, null, from);
    again.node.flush();
    await b.node.until(() => taken.length === 2);
    b.node.destroy();
    await again.node.until(() => log.words.length === 1);
    expect(log.words[0]).toMatch(/ 21$/);
    for (const tx of again.node.endpoint.transactions()) if (tx.handler === log) again.node.endpoint.end(tx);
    again.node.flush();
    await mesh.settled();
    expect(mesh.counts).toMatchObject({ connections: 1, links: 0, relays: 0, onDemandRelays: 0, routes: 0 });
  });

  it('sends one-way messages, one way', async () => {
    const { a, b, to } = await leaf();
    const heard: string[] = [];
    b.node.onOneWay = (frame) => heard.push(`${word(frame.cmd)} ${frame.circuitLo === b.node.relays[0]!.msgidLo}`);
    a.node.endpoint.oneWay(0x00700a01, 0, null, Buffer.from('y'), null, to);
    a.node.flush();
    await b.node.until(() => heard.length === 1);
    expect(heard).toEqual([`${word(0x00700a01)} true`]);
    expect(mesh.gateway.gateway.counters.routedDropped).toBe(0);
  });

  it('reaches no client of the gateway, though it is given the span that stands for them', async () => {
    const { a, b, to, spanB } = await leaf();
    const opened: Transaction[] = [];
    const clients = mesh.gateway.gateway.clients;
    const handlers = {
      onOpen: (_: unknown, tx: Transaction) => void opened.push(tx),
      onOneWay: () => {},
      onLost: () => {},
    };
    clients.openRoute(spanB.link, 'linkid', handlers);
    const taken = takes(b);
    const log = new Log();
    a.node.endpoint.open(BLK_READ, null, log, null, 0, null, to);
    a.node.flush();
    await b.node.until(() => taken.length === 1);
    const own = b.node.relays[0]!;
    // The node sends with source 0 to the gateway's span, which it has as a relay.
    const none = { sourceLo: 0, sourceHi: 0, targetLo: own.msgidLo, targetHi: own.msgidHi };
    const refused = new Log();
    b.node.endpoint.open(BLK_READ, null, refused, null, 0, null, none);
    b.node.endpoint.oneWay(LNK_PING, 0, null, null, null, none);
    b.node.flush();
    await b.node.until(() => refused.words.length === 1);
    expect(refused.words).toEqual([`${word(CREATE, DELETE, ABORT, REPLY, LNK_ERROR)} 21`]);
    await mesh.settled();
    expect(opened).toEqual([]);
    expect(mesh.gateway.gateway.counters.routedDropped).toBe(2);
  });
});

describe('given a message whose route is not there', () => {
  it.each([
    ['an unknown source', { sourceLo: 99, sourceHi: 1 }],
    ['no target', { targetLo: 0, targetHi: 0 }],
    ['an unknown target', { targetLo: 99, targetHi: 1 }],
  ])('throws it away: %s', async (_name, wrong) => {
    const { a, b, to, before } = await pair();
    const taken = takes(b);
    const log = new Log();
    const tx = a.node.endpoint.open(BLK_READ, null, log, null, 0, null, { ...to, ...wrong });
    a.node.endpoint.send(tx, BLK_READ);
    a.node.endpoint.end(tx);
    a.node.endpoint.oneWay(LNK_PING, 0, null, null, null, { ...to, ...wrong });
    a.node.flush();
    await mesh.settled();
    expect([taken, log.words]).toEqual([[], []]);
    expect(mesh.gateway.gateway.counters.routedDropped).toBe(2);
    expect(mesh.counts).toEqual(before);
  });

  it('refuses a transaction whose return path is past dist 16, or has been closed by the receiver before', async () => {
    const far = await pair(17);
    const taken = takes(far.b);
    const refused = new Log();
    far.a.node.endpoint.open(BLK_READ | DELETE, null, refused, null, 0, null, far.to);
    far.a.node.flush();
    await mesh.settled();
    expect([taken.length, far.b.node.relays.length]).toEqual([0, 0]);
    expect(refused.words).toEqual([`${word(CREATE, DELETE, ABORT, REPLY, LNK_ERROR)} 21`]);
    await mesh.stop();
    const { a, b, to } = await pair();
    a.node.endpoint.oneWay(LNK_PING, 0, null, null, null, to);
    a.node.flush();
    await b.node.until(() => b.node.relays.length === 1);
    b.node.endpoint.end(b.node.relays[0]!);
    b.node.flush();
    await mesh.settled();
    a.node.endpoint.oneWay(LNK_PING, 0, null, null, null, to);
    a.node.flush();
    await mesh.settled();
    expect(mesh.counts).toMatchObject({ onDemandRelays: 0, routes: 0 });
    expect(mesh.gateway.attach.delta.refusals).toEqual([]);
    expect(mesh.gateway.gateway.counters.routedDropped).toBe(1);
  });

  it('passes off no span on another peer', async () => {
    const { a, b, to } = await pair();
    const log = new Log();
    a.node.endpoint.open(LNK_SPAN, null, log, null, 0, null, to);
    a.node.flush();
    await mesh.settled();
    expect(log.words).toEqual([`${word(CREATE, DELETE, REPLY, LNK_ERROR)} 20`]);
    expect(b.node.relays).toEqual([]);
  });
});

describe('given a client in this process', () => {
  const quiet = { onOpen: () => {}, onOneWay: () => {}, onLost: () => {} };

  it('offers a span of its own while the client has a route, and takes transactions that the node opens to it', async () => {
    const { b, spanB, before } = await pair();
    const taken = takes(b);
    const opened: Transaction[] = [];
    const fromNode = new Log();
    const route = mesh.gateway.gateway.clients.openRoute(spanB.link, 'linkid', {
      ...quiet,
      onOpen: (to, tx, frame) => {
        fromNode.onMessage(tx, frame);
        to.accept(tx, fromNode);
        opened.push(tx);
      },
    })!;
    const log = new Log();
    route.open(BLK_READ | DELETE, null, log, null, Buffer.from('q'));
    await b.node.until(() => taken.length === 1);
    expect(mesh.counts).toMatchObject({ localRoutes: 1, onDemandRelays: 1 });
    expect(mesh.gateway.attach.delta.onDemandOpened).toEqual([]);
    b.node.endpoint.end(taken[0]!.tx, 7);
    const back = new Log();
    b.node.endpoint.open(BLK_READ, null, back, null, 0, null, b.node.address(spanB.tx, b.node.relays[0]!));
    b.node.flush();
    await mesh.settled();
    expect(log.words).toEqual([`${word(CREATE, DELETE, REPLY, LNK_ERROR)} 7`]);
    expect(fromNode.words).toEqual([word(CREATE, BLK_READ)]);
    expect(route.openCount).toBe(1);
    route.close();
    await mesh.settled();
    expect(back.words).toEqual([`${word(CREATE, DELETE, ABORT, REPLY, LNK_ERROR)} 21`]);
    for (const tx of b.node.endpoint.transactions()) if (tx.handler === back) b.node.endpoint.end(tx);
    b.node.flush();
    await mesh.settled();
    mesh.gateway.clock.advance(31_000);
    mesh.gateway.clock.advance(31_000);
    await b.node.until(() => b.node.relays.length === 0);
    await mesh.settled();
    expect(mesh.counts).toEqual(before);
  });

  it('is told that its route is lost', async () => {
    const { a, b, spanA, spanB } = await pair();
    const lost: string[] = [];
    const log = new Log();
    const route = mesh.gateway.gateway.clients.openRoute(spanB.link, 'linkid', {
      ...quiet,
      onLost: (_route, reason) => lost.push(reason),
    })!;
    route.open(BLK_READ, null, log);
    b.node.destroy();
    await a.node.until(() => a.node.relays.length === 0);
    // The order in which the link and the return path close does not matter.
    expect([lost.length, log.words, route.isOpen]).toEqual([1, ['lost 21'], false]);
    expect(mesh.gateway.gateway.clients.openRoute(spanB.link, 'linkid', quiet)).toBe(null);
    expect(mesh.gateway.gateway.clients.openRoute(spanA.link, 'circuit', quiet)).toBe(null);
    expect(mesh.counts).toMatchObject({ localRoutes: 0, onDemandRelays: 0 });
  });
});
