import { BLK_READ } from '@spanmesh/dmsg/command';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import type { EndingJob } from '@spanmesh/dmsg/transaction';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Relay, RelaySource } from '../peers/peer.ts';
import { FakeTransaction, frameOf } from './fake-transaction.fixture.ts';
import { LinkidJoin, LinkidJoined, LinkidRoute } from './linkid-route.ts';
import { Passed, RouteClass } from './route-class.ts';

/** What the routes have told, in order. */
let told: unknown[];
/** Jobs that are to be run later. */
let jobs: EndingJob[];

/** Transactions of the class that are open. */
const openIn = (routes: RouteClass) => routes.traffic(0).transactionsOpen;

beforeEach(() => {
  told = [];
  jobs = [];
});

function aRoute(): LinkidRoute {
  const relay = { lnkConn: { connection: { principal: 'them' } } } as unknown as Relay;
  return new LinkidRoute(
    { relay, sender: {} as RelaySource, now: 7 },
    {
      closed: (route) => told.push(['closed', route.isClosed]),
      over: (route) => told.push(['over', route.open]),
      inSlices: (principal, job) => {
        told.push(principal);
        jobs.push(job);
      },
    },
  );
}

function join(route: LinkidRoute, name: string) {
  const near = new FakeTransaction(`near ${name}`);
  const far = new FakeTransaction(`far ${name}`);
  const made = new LinkidJoin(route, near.as(), far.as());
  near.data = made;
  far.data = made;
  return { near, far, made };
}

const aborted = (name: string) => ['end', name, ErrorCode.LOSTLINK, true];

describe('a route', () => {
  it('without transactions is over at once, and closes once', () => {
    const route = aRoute();
    expect([route.isClosed, route.open, route.usedAt]).toEqual([false, 0, 7]);
    expect([route.closing(), route.isClosed]).toEqual([null, true]);
    expect(told).toEqual([
      ['closed', true],
      ['over', 0],
    ]);
    route.close();
    route.routeGone();
    expect([told.length, jobs.length]).toEqual([2, 0]);
  });

  it.each([
    ['closes', (route: LinkidRoute) => route.close()],
    ['loses its trunk', (route: LinkidRoute) => route.routeGone()],
    ['loses its sender', (route: LinkidRoute) => route.linkClosing()],
  ])('that %s ends its transactions in slices, both sides, and is then over', (_what, close) => {
    const route = aRoute();
    const joins = Array.from({ length: 130 }, (_, i) => join(route, `${i}`));
    close(route);
    expect(told).toEqual([['closed', true], 'them']);
    expect(joins[0]!.made.isClosing).toBe(true);
    expect([...jobs[0]!]).toEqual([64, 64, 2]);
    expect(told.slice(2)).toEqual([['over', 0]]);
    for (const { near, far, made } of joins) {
      expect([near.endpoint.calls, far.endpoint.calls]).toEqual([[aborted(near.name)], [aborted(far.name)]]);
      expect(made.isClosing).toBe(false);
    }
    expect(route.firstJoin).toBeNull();
  });

  it('of 64 transactions ends in one slice', () => {
    const route = aRoute();
    for (let i = 0; i < 64; i++) join(route, `${i}`);
    expect([...(route.returnPathClosing() ?? [])]).toEqual([64]);
    expect(told).toEqual([
      ['closed', true],
      ['over', 0],
    ]);
  });

  it('counts its transactions, whichever of them end first', () => {
    const route = aRoute();
    const [one, two, three, four] = ['1', '2', '3', '4'].map((name) => join(route, name).made);
    const listed = () => {
      const all: LinkidJoin[] = [];
      for (let at = route.firstJoin; at !== null; at = at.next) all.push(at);
      return all;
    };
    expect([listed(), route.open]).toEqual([[four, three, two, one], 4]);
    two?.detach();
    two?.detach();
    expect([listed(), route.open]).toEqual([[four, three, one], 3]);
    three?.left();
    expect(route.open).toBe(3);
    three?.left();
    expect([listed(), route.open]).toEqual([[four, one], 2]);
    four?.detach();
    expect([listed(), route.open]).toEqual([[one], 1]);
    one?.detach();
    expect([listed(), route.open]).toEqual([[], 0]);
  });
});

describe('joined transactions', () => {
  it('pass on what comes in either of them, and count it once it is passed on', () => {
    const passed = new Passed();
    const joined = new LinkidJoined(new RouteClass(1), passed);
    const { near, far } = join(aRoute(), 'x');
    joined.onMessage(near.as(), frameOf(BLK_READ));
    expect([far.endpoint.calls, passed.messages, passed.bytes]).toEqual([[['forward', 'far x', BLK_READ]], 1, 192]);
    near.endpoint.forwards = false;
    joined.onMessage(far.as(), frameOf(BLK_READ));
    expect([near.endpoint.calls, passed.messages]).toEqual([[['forward', 'near x', BLK_READ]], 1]);
  });

  it('of a route that has closed end with the next message, which is not passed on', () => {
    const joined = new LinkidJoined(new RouteClass(1), new Passed());
    const route = aRoute();
    const { near, far } = join(route, 'x');
    route.close();
    joined.onMessage(near.as(), frameOf(BLK_READ));
    expect([near.endpoint.calls, far.endpoint.calls]).toEqual([[aborted('near x')], [aborted('far x')]]);
  });

  it('are aborted when the other one is lost, and counted until both are over', () => {
    const routes = new RouteClass(2);
    routes.opened();
    const joined = new LinkidJoined(routes, new Passed());
    const route = aRoute();
    const { near, far } = join(route, 'x');
    joined.onLost(near.as());
    expect([near.endpoint.calls, far.endpoint.calls]).toEqual([[], [aborted('far x')]]);
    near.endpoint.awaited = 1;
    far.endpoint.awaited = 2;
    joined.onGone(near.as());
    expect([near.endpoint.awaited, route.open, openIn(routes)]).toEqual([0, 1, 1]);
    joined.onGone(far.as());
    expect([far.endpoint.awaited, route.open, openIn(routes)]).toEqual([1, 0, 0]);
  });
});
