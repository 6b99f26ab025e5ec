import { BLK_READ, LNK_SPAN } from '@spanmesh/dmsg/command';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import { DISCARD } from '@spanmesh/dmsg/transaction';
import type { Flow } from '@spanmesh/dmsg-socket/stream/flow';
import { RESTING } from '@spanmesh/dmsg-socket/stream/pressure';
import { beforeEach, describe, expect, it } from 'vitest';
import { FakeEndpoint, FakeTransaction, frameOf } from './fake-transaction.fixture.ts';
import { LocalRoute, type LocalWay } from './local-route.ts';
import { Passed, RouteClass } from './route-class.ts';

/** What was called, in order. */
let told: unknown[];
let endpoint: FakeEndpoint;
let routes: RouteClass;
let metrics: { routedDropped: number };
/** What `send` and `oneWay` of the endpoint answer. */
let sends: boolean;
const circuit = new FakeTransaction('circuit');
const pressure = { isHigh: false, onceLow: () => {} };

beforeEach(() => {
  told = [];
  sends = true;
  metrics = { routedDropped: 0 };
  routes = new RouteClass(1, new Passed(), new Passed());
  endpoint = Object.assign(new FakeEndpoint(), {
    open: (cmd: number, on: FakeTransaction | null, ...rest: unknown[]) => {
      told.push(['open', cmd, on?.name ?? null, ...rest.slice(1)]);
      return new FakeTransaction(`tx ${cmd}`, endpoint);
    },
    send: (tx: FakeTransaction, ...args: unknown[]) => {
      told.push(['send', tx.name, ...args]);
      return sends;
    },
    oneWay: (...args: unknown[]) => {
      told.push(['one way', ...args]);
      return sends;
    },
  });
});

const note =
  (name: string) =>
  (...args: unknown[]) =>
    void told.push([name, ...args]);

function aRoute({ isPressed = false, hasBlocks = false } = {}): LocalRoute {
  const blocks = {
    opened: note('blocks opened'),
    said: note('blocks said'),
    saidOneWay: note('blocks one way'),
    gone: note('blocks gone'),
  };
  const way = { endpoint, circuit, address: null, pressure, blocks: hasBlocks ? blocks : null } as unknown as LocalWay;
  return new LocalRoute(
    {
      onOpen: (_route, tx, frame) => note('opened')(tx, frame.cmd),
      onOneWay: (_route, frame, on) => note('heard')(frame.cmd, on),
      onLost: (_route, reason) => note('route lost')(reason),
      ...(isPressed && { pressure }),
    },
    way,
    { flow: { sentInto: note('pressed') } as unknown as Flow, metrics, routes, ended: note('over') },
  );
}

const handler = (name: string) => ({
  onMessage: (_tx: unknown, { cmd }: { cmd: number }) => note(`${name} message`)(cmd),
  onLost: (_tx: unknown, error: number) => note(`${name} lost`)(error),
  onGone: () => note(`${name} gone`)(),
});

const counts = () => {
  const { messagesIn, messagesOut, bytesIn, bytesOut, transactionsOpen } = routes.traffic(0);
  return { messagesIn, messagesOut, bytesIn, bytesOut, transactionsOpen };
};
const NONE = { messagesIn: 0, messagesOut: 0, bytesIn: 0, bytesOut: 0, transactionsOpen: 0 };
const aborted = (name: string) => ['end', name, ErrorCode.LOSTLINK, true];

describe('what a client sends', () => {
  it('goes out on its route, is counted, and noted where reads are consolidated', () => {
    const route = aRoute({ hasBlocks: true });
    const payload = new Uint8Array(64);
    const tx = route.open(BLK_READ, null, handler('a'), payload, new Uint8Array(65), 7);
    expect(told.splice(0)).toEqual([
      ['open', BLK_READ, 'circuit', payload, 7, new Uint8Array(65), null],
      ['blocks opened', tx, BLK_READ, 7, payload, 65],
    ]);
    // A head of 128 bytes, and 65 bytes of aux data in two units of 64.
    expect([counts(), route.openCount, endpoint.awaited]).toEqual([
      { ...NONE, messagesOut: 1, bytesOut: 256, transactionsOpen: 1 },
      1,
      1,
    ]);
    route.open(BLK_READ, tx, handler('b'));
    expect(told.splice(0)[0]).toEqual(['open', BLK_READ, `tx ${BLK_READ}`, null, 0, null, null]);
    expect(route.send(tx, BLK_READ, 0, null, null)).toBe(true);
    expect(told.splice(0)).toEqual([
      ['blocks said', tx, BLK_READ],
      ['send', `tx ${BLK_READ}`, BLK_READ, 0, null, null],
    ]);
    expect(route.oneWay(BLK_READ)).toBe(true);
    expect(route.oneWay(BLK_READ, tx, payload, null, 3)).toBe(true);
    expect(told.splice(0)).toEqual([
      ['blocks one way', BLK_READ],
      ['one way', BLK_READ, 0, null, null, circuit, null],
      ['blocks one way', BLK_READ],
      ['one way', BLK_READ, 3, payload, null, tx, null],
    ]);
    expect(counts()).toEqual({ ...NONE, messagesOut: 5, bytesOut: 256 + 4 * 128, transactionsOpen: 2 });
    sends = false;
    expect([route.send(tx, BLK_READ, 0, null, null), route.oneWay(BLK_READ), counts().messagesOut]).toEqual([
      false,
      false,
      5,
    ]);
  });
});

describe('what the node sends', () => {
  it('is counted, adds to the pressure of the client, and goes to its handlers', () => {
    const route = aRoute({ isPressed: true });
    const [tx, frame] = [new FakeTransaction('theirs', endpoint), frameOf(BLK_READ)];
    route.opened(tx.as(), frame);
    route.heard(frame, null);
    route.onOneWay(tx.as(), frame);
    route.onStacked(circuit.as(), tx.as(), frame);
    expect(told.splice(0)).toEqual([
      ['pressed', pressure],
      ['opened', tx, BLK_READ],
      ['pressed', pressure],
      ['heard', BLK_READ, null],
      ['pressed', pressure],
      ['heard', BLK_READ, tx],
      ['pressed', pressure],
      ['opened', tx, BLK_READ],
    ]);
    expect(counts()).toEqual({ ...NONE, messagesIn: 4, bytesIn: 4 * 192 });
    route.accept(tx.as(), handler('a'));
    route.onMessage(tx.as(), frame);
    route.onLost(tx.as(), 9);
    expect(told.splice(0)).toEqual([
      ['pressed', pressure],
      ['a message', BLK_READ],
      ['a lost', 9],
    ]);
    expect([route.openCount, counts().transactionsOpen, endpoint.awaited]).toEqual([1, 1, 1]);
    route.onGone(tx.as());
    expect([told, route.openCount, counts().transactionsOpen, endpoint.awaited]).toEqual([[['a gone']], 0, 0, 0]);
  });

  it('of the link layer is refused, or dropped, and counted', () => {
    const route = aRoute({ hasBlocks: true });
    const [tx, frame] = [new FakeTransaction('theirs'), frameOf(LNK_SPAN)];
    route.onStacked(circuit.as(), tx.as(), frame);
    route.onOneWay(tx.as(), frame);
    expect([tx.endpoint.calls, metrics.routedDropped, told]).toEqual([[['end', 'theirs', ErrorCode.NOSUPP]], 2, []]);
    // Without pressure of the client nothing is paused.
    route.heard(frameOf(BLK_READ), null);
    const own = route.open(BLK_READ, null, handler('a'));
    told.splice(0);
    route.onGone(own as never);
    expect(told).toEqual([['blocks gone', own], ['a gone']]);
  });
});

describe('a route that ends', () => {
  it.each([
    ['link', (route: LocalRoute) => route.linkClosing()],
    ['trunk', (route: LocalRoute) => route.routeGone()],
    ['return-path', (route: LocalRoute) => expect(route.returnPathClosing()).toBeNull()],
  ])('tells its transactions, leaves first, and then its client why: %s', (reason, end) => {
    const route = aRoute();
    route.open(1, null, handler('a'));
    const half = route.open(2, null, handler('b'));
    Object.assign(half, { rxDeleted: true });
    told.splice(0);
    end(route);
    expect(endpoint.calls).toEqual([aborted('tx 2'), aborted('tx 1')]);
    expect(told.splice(0)).toEqual([
      ['b gone'],
      ['a lost', ErrorCode.LOSTLINK],
      ['a gone'],
      ['over'],
      ['route lost', reason],
    ]);
    expect([half.data, route.isOpen, route.pressure]).toEqual([DISCARD, false, RESTING]);
    end(route);
    route.close();
    expect([told, route.oneWay(BLK_READ)]).toEqual([[], false]);
  });

  it('because the client closes it aborts its transactions and tells nobody', () => {
    const route = aRoute();
    expect([route.isOpen, route.pressure]).toEqual([true, pressure]);
    const tx = route.open(1, null, handler('a'));
    told.splice(0);
    route.close();
    route.close();
    route.routeGone();
    expect([told, endpoint.calls, tx.data, route.isOpen]).toEqual([[['over']], [aborted('tx 1')], DISCARD, false]);
  });
});
