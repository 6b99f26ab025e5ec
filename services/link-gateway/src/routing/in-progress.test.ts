import { BLK_READ, DELETE } from '@spanmesh/dmsg/command';
import { Endpoint } from '@spanmesh/dmsg/endpoint';
import { DISCARD } from '@spanmesh/dmsg/transaction';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { SPAN, TestGateway } from '../testing/gateway.fixture.ts';
import { Mesh } from './mesh.fixture.ts';
import { BlocksWorld } from './reads/blocks-world.fixture.ts';

/** A command that nobody knows. */
const UNKNOWN = 0x00700a01;
const CREATE = 0x80000000;

let stop: () => Promise<void>;
afterEach(async () => {
  vi.restoreAllMocks();
  await stop();
});

describe('a connection has a transaction in progress', () => {
  it.each(['circuit', 'linkid'] as const)('while one is passed on, at both ends, %s', async (dialect) => {
    const mesh = await Mesh.start();
    stop = () => mesh.stop();
    const owner = await mesh.join(dialect);
    const { node } = await mesh.join(dialect);
    await mesh.join(dialect);
    const span = await mesh.span(owner);
    const own = dialect === 'linkid' ? (await mesh.span(mesh.members[1]!)).tx : null;
    const relay = await mesh.relaySpan(span, mesh.members[1]!);
    if (own === null) node.endpoint.open(BLK_READ | DELETE, relay, DISCARD);
    else node.endpoint.open(BLK_READ | DELETE, null, DISCARD, null, 0, null, node.address(own, relay));
    node.flush();
    await mesh.settled(1);
    expect(mesh.busy()).toBe(2);
  });

  it('while it waits for the answer to the read of another one', async () => {
    const world = await BlocksWorld.start();
    stop = () => world.stop();
    for (const asker of await world.askers(2)) asker.read();
    await world.asker();
    await world.nodeWasAsked(1);
    expect(world.consolidated).toBe(1);
    // That of the node as well.
    expect(world.mesh.busy()).toBe(3);
  });

  it('while one of a client of the gateway is', async () => {
    const mesh = await Mesh.start();
    stop = () => mesh.stop();
    const first = await mesh.join('circuit');
    const members = [first, await mesh.join('circuit')];
    const routes = members.map(async (member) => {
      const span = await mesh.span(member);
      const events = { onOpen: () => {}, onOneWay: () => {}, onLost: () => {} };
      return mesh.gateway.gateway.clients.openRoute(span.link, 'circuit', events);
    });
    const [over] = await Promise.all(routes);
    for (const route of await Promise.all(routes)) route?.open(BLK_READ, null, DISCARD);
    over?.close();
    await mesh.settled();
    const { node } = first;
    for (const tx of node.endpoint.transactions()) if (tx.depth > 0) node.endpoint.end(tx);
    await mesh.settled();
    expect(mesh.busy()).toBe(1);
  });
});

describe('a connection has none', () => {
  it('though very many that were refused are not over: they are not looked at', async () => {
    const made = await TestGateway.start();
    stop = () => made.stop();
    const { peer } = await made.established('circuit');
    const before = peer.got.length;
    const refused = Array.from({ length: 5_000 }, (_, n) => ({
      cmd: (CREATE | UNKNOWN) >>> 0,
      msgid: { lo: SPAN.lo + 64 * (n + 1), hi: SPAN.hi },
    }));
    peer.say(...refused);
    while (peer.got.length < before + refused.length) await peer.next();
    const looked = vi.spyOn(Endpoint.prototype, 'transactions');
    made.attach.command({ drains: [{ order: 'all', sharePermille: 1000, deadlineMs: 0 }] });
    expect(made.log.find(({ order }) => order === 'all')).toMatchObject({ connections: 1, busy: 0 });
    expect(looked).not.toHaveBeenCalled();
  });
});
