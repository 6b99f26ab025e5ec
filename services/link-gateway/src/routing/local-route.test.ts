import { BLK_READ } from '@spanmesh/dmsg/command';
import type { Transaction } from '@spanmesh/dmsg/transaction';
import { afterEach, expect, it } from 'vitest';
import { Mesh } from './mesh.fixture.ts';

const QUIET = { onMessage() {}, onLost() {} };

let mesh: Mesh;
afterEach(() => mesh.stop());

it.each(['linkid', 'circuit'] as const)(
  "a client's handler is told when a transaction is over in both directions, %s",
  async (dialect) => {
    mesh = await Mesh.start();
    const member = await mesh.join(dialect);
    const { node } = member;
    const { link } = await mesh.span(member);
    const atNode: Transaction[] = [];
    node.onOpen = (tx) => {
      tx.handler = QUIET;
      atNode.push(tx);
    };
    const route = mesh.gateway.gateway.clients.openRoute(link, dialect, { ...QUIET, onOpen() {}, onOneWay() {} });
    if (route === null) throw new Error('no route');
    const gone: Transaction[] = [];
    const handler = { ...QUIET, onGone: (tx: Transaction) => void gone.push(tx) };
    const [one, other] = [route.open(BLK_READ, null, handler), route.open(BLK_READ, null, handler)];
    one.endpoint.end(one);
    await mesh.settled(1);
    expect([gone, route.openCount]).toEqual([[], 2]);
    for (const tx of atNode) node.endpoint.end(tx);
    node.flush();
    await mesh.settled(1);
    expect(gone).toEqual([one]);
    other.endpoint.end(other);
    expect([gone, route.openCount]).toEqual([[one, other], 0]);
    route.close();
  },
);
