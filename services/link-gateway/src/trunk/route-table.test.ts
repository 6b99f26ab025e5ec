import { CREATE } from '@spanmesh/dmsg/command';
import type { Dialect } from '@spanmesh/dmsg/dialect';
import { TRUNK } from '@spanmesh/dmsg/dialect';
import type { Endpoint } from '@spanmesh/dmsg/endpoint';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import { FrameReader } from '@spanmesh/dmsg/framing';
import { encodeMessage } from '@spanmesh/dmsg/message';
import { OutBuffer } from '@spanmesh/dmsg/out-buffer';
import type { Transaction } from '@spanmesh/dmsg/transaction';
import { beforeEach, describe, expect, it } from 'vitest';
import type { RouteSource } from '../routing/trunks.ts';
import { FREE_WINDOW, InWindow, OutWindow } from './credit.ts';
import { ROUTE_OPEN } from './messages.ts';
import { Route } from './route.ts';
import { RouteTable } from './route-table.ts';
import { makeTrunkEndpoint } from './trunk-endpoint.ts';
import { TrunkOutbox } from './trunk-outbox.ts';

type Fields = Parameters<RouteTable['find']>;

const out = new TrunkOutbox(new OutBuffer(), new OutWindow(FREE_WINDOW));
const owner = {
  isHigh: false,
  waiting: new Set<never>(),
  out,
  flow: { read: 0, sentInto() {} },
  inSlices() {},
  routeTaken() {},
  routeClosed() {},
  routeGone() {},
  creditWaits() {},
};

function routeOf([link, dialect, source, destination]: Fields): Route {
  const inWindow = new InWindow(
    1,
    null,
    () => 0,
    () => {},
  );
  return new Route({ link, dialect, source, destination }, { inWindow, out: new OutWindow(1) }, owner);
}

const sourceOf = (gateway: string, number: number): RouteSource => ({ gateway, number, payload: new Uint8Array() });

describe('the routes of a trunk', () => {
  let table: RouteTable;
  let came: Transaction[];
  let adopted = 0;
  let made: Endpoint;
  beforeEach(() => {
    table = new RouteTable();
    came = [];
    made = makeTrunkEndpoint({
      out,
      handler: { onOpen: (tx) => void came.push(tx), onOneWay() {} },
      inSlices: (job) => void [...job],
    });
  });

  /** Opens a route and adds it. */
  function add(...fields: Fields): { readonly route: Route; readonly tx: Transaction<Route> } {
    const route = routeOf(fields);
    const tx = made.open<Route>(ROUTE_OPEN, null, route);
    table.add(route, tx);
    return { route, tx };
  }

  function enter(tx: Transaction, route: Route): void {
    tx.bind<Route>(route, route);
    table.adopt(route, tx);
  }

  /** The other side opens a route with these fields. */
  function adopt(...fields: Fields): Route {
    const route = routeOf(fields);
    const cmd = (ROUTE_OPEN | CREATE) >>> 0;
    const payload = new Uint8Array(512);
    const bytes = encodeMessage({ rules: TRUNK, cmd, msgid: { lo: ++adopted, hi: 7 }, payload, salt: 0 });
    new FrameReader({ rules: TRUNK }).push(bytes, { onFrame: (frame) => made.receive(frame) });
    for (const tx of came.slice(-1)) enter(tx, route);
    return route;
  }

  it('are found by link, dialect, source and destination, all of them', () => {
    const fields = (
      link: number,
      dialect: Dialect = 'linkid',
      source: RouteSource | null = null,
      destination = 0,
    ): Fields => [link, dialect, source, destination];
    const all: Fields[] = [
      fields(1),
      fields(2),
      fields(1, 'circuit'),
      fields(1, 'linkid', sourceOf('a', 1)),
      fields(1, 'linkid', sourceOf('a', 2)),
      fields(1, 'linkid', sourceOf('b', 1)),
      fields(1, 'linkid', null, 5),
      fields(1, 'linkid', null, 6),
    ];
    for (const one of all) expect(table.find(...one)).toBeUndefined();
    const transactions = all.map((one) => add(...one).tx);
    for (const [n, one] of all.entries()) expect(table.find(...one)).toBe(transactions[n]);
    expect(table.find(1, 'linkid', sourceOf('a', 1), 0)).toBe(transactions[3]);
    expect(table.find(3, 'linkid', null, 0)).toBeUndefined();
    expect(table.find(2, 'linkid', null, 5)).toBeUndefined();
    expect(table.all()).toEqual(transactions);
  });

  it('are not found while they end: another with the same fields is', () => {
    const first = add(1, 'circuit', null, 0);
    made.end(first.tx);
    expect(table.find(1, 'circuit', null, 0)).toBeUndefined();
    const second = add(1, 'circuit', null, 0);
    expect(table.find(1, 'circuit', null, 0)).toBe(second.tx);
    expect(table.remove(first.route)).toBe(first.tx);
    expect(table.find(1, 'circuit', null, 0)).toBe(second.tx);
  });

  it('that the other side has opened are not found by what this side wants, and their end takes nothing else away', () => {
    const theirs = adopt(1, 'circuit', null, 0);
    expect([table.find(1, 'circuit', null, 0), table.all()]).toEqual([undefined, came]);
    const ours = add(1, 'circuit', null, 0);
    expect(table.remove(theirs)).toBe(came[0]);
    expect([table.find(1, 'circuit', null, 0), table.all()]).toEqual([ours.tx, [ours.tx]]);
    came = [];
    table.remove(adopt(1, 'circuit', null, 77));
    expect([table.find(1, 'circuit', null, 0), table.kept]).toEqual([ours.tx, 2]);
    expect(table.find(1, 'circuit', sourceOf('a', 1), 0)).toBeUndefined();
    add(2, 'linkid', sourceOf('a', 1), 0);
    expect(table.find(2, 'linkid', null, 0)).toBeUndefined();
  });

  it('leave nothing when they are removed', () => {
    const added = [add(1, 'circuit', null, 0), add(1, 'circuit', null, 5), add(1, 'linkid', null, 5)];
    added.push(add(2, 'circuit', null, 0));
    const theirs = adopt(9, 'circuit', null, 0);
    expect(table.kept).toBe(5 + 2);
    expect(table.remove(theirs)).toBe(came[0]);
    for (const { route, tx } of added) expect(table.remove(route)).toBe(tx);
    expect([table.all(), table.kept]).toEqual([[], 0]);
  });

  it('are not found once the trunk is lost', () => {
    add(1, 'circuit', null, 0);
    made.lost(ErrorCode.LOSTLINK);
    expect(table.find(1, 'circuit', null, 0)).toBeUndefined();
  });
});
