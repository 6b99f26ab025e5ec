import { BLK_READ, LNK_SPAN } from '@spanmesh/dmsg/command';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import { DISCARD, type EndingJob } from '@spanmesh/dmsg/transaction';
import type { Flow } from '@spanmesh/dmsg-socket/stream/flow';
import { RESTING } from '@spanmesh/dmsg-socket/stream/pressure';
import { beforeEach, describe, expect, it } from 'vitest';
import { FakeEndpoint, FakeTransaction, frameOf } from './fake-transaction.fixture.ts';
import { LocalRoute, type LocalWay } from './local-route.ts';
import { Passed, RouteClass } from './route-class.ts';

/** What was called, in order. */
let told: unknown[];
let endpoint: FakeEndpoint;
/** What is to be done in slices. */
let jobs: EndingJob[];
let routes: RouteClass;
let metrics: { routedDropped: number };
/** What `send` and `oneWay` of the endpoint answer. */
let sends: boolean;
const circuit = new FakeTransaction('circuit');
const pressure = { isHigh: false, onceLow: () => {} };

beforeEach(() => {
  told = [];
  jobs = [];
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
    {
      flow: { sentInto: note('pressed') } as unknown as Flow,
      metrics,
      routes,
      closed: note('closed'),
      ended: note('over'),
      inSlices: (job) => void jobs.push(job),
    },
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

/** Does all that is to be done in slices. */
const settle = () => {
  for (const job of jobs.splice(0)) Array.from(job);
};

describe('a route that ends', () => {
  it.each([
    ['link', (route: LocalRoute) => route.linkClosing()],
    ['trunk', (route: LocalRoute) => route.routeGone()],
    ['return-path', (route: LocalRoute) => Array.from(route.returnPathClosing() ?? [])],
  ])('tells its transactions, leaves first, and then its client why: %s', (reason, end) => {
    const route = aRoute();
    route.open(1, null, handler('a'));
    const half = route.open(2, null, handler('b'));
    Object.assign(half, { rxDeleted: true });
    told.splice(0);
    end(route);
    settle();
    expect(endpoint.calls).toEqual([aborted('tx 2'), aborted('tx 1')]);
    expect(told.splice(0)).toEqual([
      ['closed'],
      ['b gone'],
      ['a lost', ErrorCode.LOSTLINK],
      ['a gone'],
      ['over'],
      ['route lost', reason],
    ]);
    expect([half.data, route.isOpen, route.pressure]).toEqual([DISCARD, false, RESTING]);
    end(route);
    route.close();
    settle();
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
    settle();
    expect([told, endpoint.calls, tx.data, route.isOpen]).toEqual([
      [['closed'], ['over']],
      [aborted('tx 1')],
      DISCARD,
      false,
    ]);
  });

  it('without a transaction is over at once', () => {
    const route = aRoute();
    expect(route.returnPathClosing()).toBe(null);
    aRoute().close();
    expect([jobs, told]).toEqual([[], [['closed'], ['over'], ['route lost', 'return-path'], ['closed'], ['over']]]);
  });
});

describe('a route whose transactions end in slices', () => {
  /** 150 transactions, which end 64 at a time. */
  const withMany = () => {
    const route = aRoute();
    const all = Array.from({ length: 150 }, (_, i) => route.open(i, null, handler(`${i}`)));
    told.splice(0);
    return { route, all };
  };
  const sizes = (job: EndingJob | undefined) => Array.from(job ?? []);

  it('ends a bounded number at a time, and is over after the last', () => {
    const { route } = withMany();
    route.close();
    expect([endpoint.calls.length, told]).toEqual([0, [['closed']]]);
    expect(jobs[0]?.next()).toEqual({ value: 64, done: false });
    expect(endpoint.calls.length).toBe(64);
    expect(told).toEqual([['closed']]);
    expect(sizes(jobs[0])).toEqual([64, 22]);
    expect([endpoint.calls.length, told]).toEqual([150, [['closed'], ['over']]]);
  });

  it('is waited for by several: each goes on with what is left, and it is over once', () => {
    const { route } = withMany();
    route.linkClosing();
    expect(jobs[0]?.next().value).toBe(64);
    expect(sizes(route.returnPathClosing() ?? undefined)).toEqual([64, 22]);
    expect(sizes(jobs[0])).toEqual([]);
    expect(endpoint.calls.length).toBe(150);
    expect(told.slice(-2)).toEqual([['over'], ['route lost', 'link']]);
    expect(told.filter((one) => Array.isArray(one) && one[0] === 'over').length).toBe(1);
  });

  it('takes nothing new meanwhile, and passes over what has ended by itself', () => {
    const { route, all } = withMany();
    route.linkClosing();
    expect(() => route.open(1, null, handler('late'))).toThrow(expect.objectContaining({ code: ErrorCode.LOSTLINK }));
    const late = new FakeTransaction('late', endpoint);
    route.opened(late.as(), frameOf(BLK_READ));
    expect(endpoint.calls.splice(0)).toEqual([aborted('late')]);
    route.heard(frameOf(BLK_READ), null);
    expect([route.oneWay(BLK_READ), metrics.routedDropped]).toEqual([false, 1]);
    // What the node still says in those that are left is passed on.
    route.onMessage(all[0] as never, frameOf(BLK_READ));
    route.onGone(all[1] as never);
    expect(told.splice(0)).toEqual([['closed'], ['0 message', BLK_READ], ['1 gone']]);
    settle();
    expect(endpoint.calls.length).toBe(149);
    expect(told.slice(-4)).toEqual([['0 lost', ErrorCode.LOSTLINK], ['0 gone'], ['over'], ['route lost', 'link']]);
  });

  it.each(['before', 'while it is lost'])('tells a client nothing that has closed it: %s', (when) => {
    const { route, all } = withMany();
    if (when !== 'before') route.linkClosing();
    route.close();
    told.splice(0);
    route.onMessage(all[0] as never, frameOf(BLK_READ));
    route.onLost(all[0] as never, 9);
    route.onGone(all[0] as never);
    settle();
    expect([told, endpoint.calls.length, endpoint.awaited]).toEqual([[['over']], 149, 149]);
    // What comes over the route is counted, whether or not anybody hears it.
    expect(counts().messagesIn).toBe(1);
  });
});
