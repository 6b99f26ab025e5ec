import { BLK_READ } from '@spanmesh/dmsg/command';
import { DISCARD } from '@spanmesh/dmsg/transaction';
import { until } from '@spanmesh/runtime/patience.fixture';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RouteTransaction } from '../routing/trunks.ts';
import { WINDOW_BYTES } from './limits.ts';
import { Route } from './route.ts';
import { drop, TestPair, turns } from './trunk.fixture.ts';

/** Transactions on a route, whose ends on the other side are more than a window together. */
const OPEN = 5_000;
const KIB64 = new Uint8Array(64 * 1024);

let pair: TestPair;
beforeEach(async () => {
  pair = await new TestPair().start();
});
afterEach(() => pair.stop());

function routeOf({ data }: RouteTransaction): Route {
  if (!(data instanceof Route)) throw new Error('not a route of a trunk');
  return data;
}

/** The name of the window that this side has named for the route. */
const named = (route: RouteTransaction) => routeOf(route).inWindow.id;
/** The name of the window that the other side has named for it. */
const used = (route: RouteTransaction) => routeOf(route).out.id;

function openMany(route: RouteTransaction): void {
  for (let n = 0; n < OPEN; n++) route.endpoint.open(BLK_READ, route, DISCARD);
}

/** Opens routes until the other side has given this name to a window again. */
async function usedAgain(name: number): Promise<void> {
  for (let link = 3; ; link++) {
    const route = pair.route(link);
    await until(() => route.rxCreated);
    if (used(route) === name) return;
  }
}

describe('the name of the window of a route that is gone is used again', () => {
  it('once the ends of what the other side has on the route have come', async () => {
    const route = pair.route(1, 'circuit', null, 201);
    openMany(route);
    await until(() => pair.b.terminal.heard.length === OPEN);
    pair.b.holdsEnds = true;
    drop(route);
    await until(() => pair.b.ends.length > 0);
    await turns();
    const next = pair.route(2, 'circuit', null, 202);
    expect(named(next)).not.toBe(named(route));
    await until(() => next.rxCreated);
    const [, back] = pair.b.terminal.opened;
    if (back === undefined) throw new Error('it has come');
    pair.goOn();
    // Far more than a window: were anything else counted in it, this would come to a standstill.
    for (let sent = 0; sent < 8 * WINDOW_BYTES; sent += KIB64.length) {
      await until(() => !back.route.data.isHigh);
      back.route.endpoint.oneWay(BLK_READ, 0, null, KIB64, back.route);
    }
    await until(() => !back.route.data.isHigh);
    let link = 3;
    await until(() => named(pair.route(link, 'circuit', null, 200 + link++)) === named(route));
  });

  it('once the ends of what was on a route that was refused have come', async () => {
    pair.b.terminal.refuses = true;
    const route = pair.route(1);
    openMany(route);
    pair.a.holdsEnds = true;
    await until(() => pair.a.ends.length > 0);
    await turns();
    pair.b.terminal.refuses = false;
    const next = pair.route(2);
    await until(() => next.rxCreated);
    expect(used(next)).not.toBe(used(route));
    pair.goOn();
    await usedAgain(used(route));
  });

  it('once our own ends are out, though it was ending when it was dropped', async () => {
    const route = pair.route(1);
    openMany(route);
    await until(() => pair.b.terminal.heard.length === OPEN);
    const [arrived] = pair.b.terminal.opened;
    if (arrived === undefined) throw new Error('it has come');
    pair.b.holdsEnds = true;
    arrived.route.endpoint.end(arrived.route);
    expect(pair.b.ends.length).toBe(1);
    drop(arrived.route);
    await turns();
    const next = pair.route(2);
    await until(() => next.rxCreated);
    expect(used(next)).not.toBe(used(route));
    pair.goOn();
    await usedAgain(used(route));
  });
});
