import { BLK_READ } from '@spanmesh/dmsg/command';
import type { Transaction } from '@spanmesh/dmsg/transaction';
import { Commands } from '@spanmesh/proto/v1/gateway_control';
import { GATEWAYS_BUCKET, SIGNS_OF_LIFE } from '@spanmesh/runtime/bus/bus-names';
import { runNow } from '@spanmesh/runtime/grpc/slices';
import { afterEach, describe, expect, it } from 'vitest';
import { Mesh } from '../routing/mesh.fixture.ts';
import type { TestGateway } from '../testing/gateway.fixture.ts';
import { LOSTLINK, turns } from '../trunk/trunk.fixture.ts';

let mesh: Mesh;
afterEach(() => mesh.stop());

/** A sign of life, as far as it is looked at here. */
interface Told {
  readonly id: string;
}

/**
 * `taken`: transactions that are opened to a member's node; `lost`: error codes of messages in them and of their ends.
 */
function holds(member: { node: Mesh['members'][number]['node'] }) {
  const taken: Transaction[] = [];
  const lost: number[] = [];
  member.node.onOpen = (tx) => {
    tx.handler = {
      onMessage: (_tx, { error }) => void lost.push(error),
      onLost: (_tx, error) => void lost.push(error),
    };
    taken.push(tx);
  };
  return { taken, lost };
}

async function entryOf(gateway: TestGateway): Promise<{ boot: string } | null> {
  const kv = await gateway.bus.kv(GATEWAYS_BUCKET);
  const entry = await kv.get('gw');
  return entry?.value ? JSON.parse(new TextDecoder().decode(entry.value)) : null;
}

describe('a gateway that was declared dead', () => {
  it('keeps its connections, links, relays and what runs between them, and offers them under another id', async () => {
    mesh = await Mesh.start();
    const { gateway, attach } = mesh.gateway;
    const a = await mesh.join('circuit');
    const b = await mesh.join('circuit');
    const span = await mesh.span(b);
    const relay = await mesh.relay(span.link, a);
    const { taken, lost } = holds(b);
    const tx = a.node.endpoint.open(BLK_READ, relay, { onMessage() {}, onLost() {} });
    a.node.flush();
    await b.node.until(() => taken.length === 1);
    const before = { id: gateway.id, counts: gateway.counts(), last: gateway.lastNumber };

    attach.lose();
    mesh.gateway.random = 0.25;
    attach.host.declaredDead();
    expect(gateway.id).toBe('gw.40000000');
    expect(before.id).toBe('gw.80000000');
    expect(gateway.counts()).toEqual(before.counts);
    const [snapshot] = attach.attach();
    expect(snapshot!.connectionsOpened).toHaveLength(2);
    expect(snapshot!.linksOpened).toMatchObject([{ id: span.link }]);
    expect(snapshot!.relaysOpen).toEqual([{ linkGateway: '', link: span.link, lnkConns: [a.lnkConn] }]);
    expect(gateway.lastNumber).toBe(before.last);

    a.node.endpoint.send(tx, BLK_READ);
    a.node.flush();
    await mesh.settled();
    expect([lost, a.node.relays, a.node.closed, b.node.closed]).toEqual([[0], [relay], false, false]);
    // The leader wants the same relay: it is open already, so the peer is sent nothing.
    attach.command({ relays: [{ gateway: '', link: span.link, open: [a.lnkConn], close: [] }] });
    await mesh.settled();
    expect(a.node.relays).toEqual([relay]);
  });

  it('ends trunks and routes of its former id, and opens new ones under its new id', async () => {
    mesh = await Mesh.start({}, 2);
    const [one, two] = mesh.gateways as [TestGateway, TestGateway];
    const a = await mesh.join('circuit', one);
    const b = await mesh.join('circuit', two);
    const span = await mesh.span(b);
    const relay = await mesh.relaySpan(span, a);
    const { taken } = holds(b);
    const lost: number[] = [];
    const handler = { onMessage() {}, onLost: (_tx: Transaction, error: number) => void lost.push(error) };
    const opened = () => {
      const tx = a.node.endpoint.open(BLK_READ, relay, handler);
      a.node.flush();
      return tx;
    };
    opened();
    await b.node.until(() => taken.length === 1);
    expect(two.gateway.trunks!.state().established).toEqual(['gw.80000000']);
    one.random = 0.25;
    one.gateway.declaredDead();
    expect(two.gateway.gatewaysKnown).toEqual(new Set(['gw.80000000']));
    // The leader tells the second gateway that the former id is gone and the new id is there.
    two.attach.command({
      gatewaysGone: ['gw.80000000'],
      gateways: [{ gateway: one.gateway.id, serviceAddress: '127.0.0.1:1' }],
    });
    await mesh.trunkLost();
    await mesh.settled();
    opened();
    await b.node.until(() => taken.length === 2);
    // The peer keeps its relay: the link at the second gateway is the same as before.
    expect(a.node.relays).toEqual([relay]);
    expect(two.gateway.trunks!.state()).toEqual({ established: [one.gateway.id], unreachable: [] });
    expect([...two.gateway.gatewaysKnown]).toEqual([one.gateway.id]);
  });

  it('shows its new id in the registry and in its signs of life, and offers its peers the same span as before', async () => {
    mesh = await Mesh.start();
    const { gateway, bus, clock } = mesh.gateway;
    const signs: Told[] = [];
    bus.subscribe(SIGNS_OF_LIFE, (_, data) => void signs.push(JSON.parse(new TextDecoder().decode(data))));
    expect((await entryOf(mesh.gateway))?.boot).toBe('80000000');
    const span = Buffer.from(gateway.clients.ownSpan.payload);
    mesh.gateway.random = 0.25;
    gateway.declaredDead();
    await turns();
    expect((await entryOf(mesh.gateway))?.boot).toBe('40000000');
    clock.advance(1000);
    await turns();
    expect(signs.at(-1)).toMatchObject({ kind: 'link-gateway', id: 'gw.40000000', name: 'gw' });
    expect(span.equals(gateway.clients.ownSpan.payload)).toBe(true);
  });

  it('believes another gateway that says so only while it is attached to no leader', async () => {
    mesh = await Mesh.start({}, 2);
    const [one, two] = mesh.gateways as [TestGateway, TestGateway];
    const before = one.gateway.id;
    two.attach.command({ gatewaysGone: [before] });
    one.random = 0.25;
    const tries = async () => {
      one.gateway.trunks!.route({ gateway: two.gateway.id, number: 1 }, 'circuit', null);
      await turns();
    };
    one.attach.attach();
    await tries();
    expect(one.gateway.id).toBe(before);
    one.attach.lose();
    for (let i = 0; i < 10 && one.gateway.id === before; i++) {
      one.clock.advance(1000);
      await tries();
    }
    expect(one.gateway.id).toBe('gw.40000000');
  });
});

describe('a list of gateways', () => {
  it('of a new leader cuts nothing, though it names nobody', async () => {
    mesh = await Mesh.start({}, 2);
    const [one, two] = mesh.gateways as [TestGateway, TestGateway];
    const a = await mesh.join('circuit', one);
    const b = await mesh.join('circuit', two);
    const span = await mesh.span(b);
    const relay = await mesh.relaySpan(span, a);
    const { taken, lost } = holds(b);
    const tx = a.node.endpoint.open(BLK_READ, relay, { onMessage() {}, onLost() {} });
    a.node.flush();
    await b.node.until(() => taken.length === 1);
    for (const { attach } of mesh.gateways) {
      attach.lose();
      attach.attach(0, 2);
      runNow(attach.host.applying({ ...Commands.create(), epoch: 2, n: 1 }));
    }
    a.node.endpoint.send(tx, BLK_READ);
    a.node.flush();
    await mesh.settled();
    expect([lost, a.node.relays]).toEqual([[0], [relay]]);
    expect(one.gateway.trunks!.counts()).toMatchObject({ established: 1, routes: 1 });
  });

  it('that leaves out an unreachable gateway does not make it reachable: each leader is told so', async () => {
    mesh = await Mesh.start({}, 2);
    const [one, two] = mesh.gateways as [TestGateway, TestGateway];
    one.other = null;
    one.gateway.trunks!.route({ gateway: two.gateway.id, number: 1 }, 'circuit', null);
    await turns();
    one.clock.advance(2000);
    const out = { established: [], unreachable: [two.gateway.id] };
    expect(one.attach.delta.trunks).toEqual(out);
    one.attach.lose();
    const [snapshot] = one.attach.attach(0, 2);
    expect(snapshot!.trunks).toEqual(out);
    // The second gateway can be reached again while no leader listens: the next leader is told so.
    one.attach.lose();
    one.other = two;
    for (let i = 0; i < 20 && one.gateway.trunks!.counts().established === 0; i++) {
      one.clock.advance(1000);
      await turns();
    }
    expect(one.attach.attach(0, 3)[0]!.trunks).toEqual({ established: [two.gateway.id], unreachable: [] });
  });

  it('takes no gateway away: `gatewaysGone` does, with its links, relays and transactions', async () => {
    mesh = await Mesh.start({}, 2);
    const [one, two] = mesh.gateways as [TestGateway, TestGateway];
    const a = await mesh.join('circuit', one);
    const b = await mesh.join('circuit', two);
    const relay = await mesh.relaySpan(await mesh.span(b), a);
    await mesh.relaySpan(await mesh.span(b), a);
    const lost: number[] = [];
    const handler = {
      onMessage: (_tx: Transaction, { error }: { error: number }) => void lost.push(error),
      onLost() {},
    };
    const { taken } = holds(b);
    a.node.endpoint.open(BLK_READ, relay, handler);
    a.node.flush();
    await b.node.until(() => taken.length === 1);
    one.attach.command({ gatewaysGone: [two.gateway.id] });
    await a.node.until(() => a.node.relays.length === 0);
    expect(lost).toEqual([LOSTLINK]);
    expect(one.gateway.counts()).toMatchObject({ remoteLinks: 0, relays: 0, trunkRoutes: 0 });
    expect([...one.gateway.gatewaysKnown]).toEqual([]);
    // The address of a gateway that is gone is ignored when it comes late.
    one.attach.command({ gateways: [{ gateway: two.gateway.id, serviceAddress: '127.0.0.1:1' }] });
    expect([...one.gateway.gatewaysKnown]).toEqual([]);
  });
});
