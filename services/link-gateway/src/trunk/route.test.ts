import { BLK_READ, CREATE } from '@spanmesh/dmsg/command';
import { TRUNK } from '@spanmesh/dmsg/dialect';
import type { Endpoint } from '@spanmesh/dmsg/endpoint';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import { FrameReader } from '@spanmesh/dmsg/framing';
import { OutBuffer } from '@spanmesh/dmsg/out-buffer';
import type { EndingJob, Transaction } from '@spanmesh/dmsg/transaction';
import type { Pressure } from '@spanmesh/dmsg-socket/stream/pressure';
import { beforeEach, describe, expect, it } from 'vitest';
import { FREE_WINDOW, InWindow, OutWindow, type Waiter } from './credit.ts';
import { WINDOW_BYTES } from './limits.ts';
import { encodeRouteOpened, ROUTE_OPEN, ROUTE_OPENED } from './messages.ts';
import { Route } from './route.ts';
import { makeTrunkEndpoint } from './trunk-endpoint.ts';
import { TrunkOutbox } from './trunk-outbox.ts';

describe('a route over a trunk', () => {
  let happened: string[];
  let waiting: Set<Waiter>;
  let window: OutWindow;
  let owner: { isHigh: boolean; read: number; noted: Pressure[] };
  let route: Route;
  let jobs: EndingJob[];
  let holds: boolean;
  let ours: Endpoint;
  let theirs: Endpoint;
  /** What the other side has got: transactions, and the errors with which they ended. */
  let opened: Transaction[];
  let ended: number[];
  let deliver: () => void;

  beforeEach(() => {
    happened = [];
    waiting = new Set();
    window = new OutWindow(7);
    owner = { isHigh: false, read: 0, noted: [] };
    jobs = [];
    holds = false;
    opened = [];
    ended = [];
    const [to, from] = [new OutBuffer(), new OutBuffer()];
    const out = new TrunkOutbox(to, new OutWindow(FREE_WINDOW));
    const inSlices = (job: EndingJob) => {
      if (holds) jobs.push(job);
      else for (const _ of job);
    };
    const share = () => 0;
    route = new Route(
      { link: 1, dialect: 'circuit', source: null, destination: 0 },
      { inWindow: new InWindow(1, null, share, () => {}), out: window },
      {
        get isHigh() {
          return owner.isHigh;
        },
        waiting,
        out,
        flow: {
          get read() {
            return owner.read;
          },
          sentInto: (pressure) => void owner.noted.push(pressure),
        },
        inSlices,
        routeTaken: (_route, id) => void happened.push(`taken ${id}`),
        routeClosed: () => void happened.push('closed'),
        routeGone: () => void happened.push('gone'),
        creditWaits: () => void happened.push('waits for credit'),
      },
    );
    ours = makeTrunkEndpoint({
      out,
      handler: { onOpen: (tx) => tx.bind<Route>(route, route), onOneWay() {} },
      inSlices,
    });
    theirs = makeTrunkEndpoint({
      out: new TrunkOutbox(from, new OutWindow(FREE_WINDOW)),
      handler: {
        onOpen: (tx) => {
          tx.handler = {
            onMessage: (_tx, { error }) => void ended.push(error),
            onLost: (_tx, error) => void ended.push(error),
          };
          opened.push(tx);
        },
        onOneWay() {},
      },
      inSlices: (job) => {
        for (const _ of job);
      },
    });
    const readers = [new FrameReader({ rules: TRUNK }), new FrameReader({ rules: TRUNK })] as const;
    deliver = () => {
      for (let isIdle = false; !isIdle; ) {
        const [there, back] = [to.take(), from.take()];
        for (const slice of there) readers[0].push(slice, { onFrame: (frame) => theirs.receive(frame) });
        for (const slice of back) readers[1].push(slice, { onFrame: (frame) => ours.receive(frame) });
        isIdle = there.length + back.length === 0;
      }
    };
  });

  const open = () => ours.open<Route>(ROUTE_OPEN, null, route);

  it('is under pressure while its window is used up, or the trunk has too much', () => {
    let low = 0;
    const wait = () => route.onceLow(() => low++);
    wait();
    expect([route.isHigh, low]).toEqual([false, 1]);
    window.sent = WINDOW_BYTES;
    wait();
    wait();
    expect([route.isHigh, low, window.waiting.size, waiting.size]).toEqual([true, 1, 1, 0]);
    expect(happened).toEqual(['waits for credit', 'waits for credit']);
    // The window has room now, but the trunk has not.
    owner.isHigh = true;
    window.credited(WINDOW_BYTES, 0);
    expect([low, window.waiting.size, waiting.size]).toEqual([1, 0, 1]);
    owner.isHigh = false;
    route.recheck();
    expect([route.isHigh, low]).toEqual([false, 3]);
    route.recheck();
    expect(low).toBe(3);
  });

  it('is under no pressure once it is closed: who waits for it goes on', () => {
    let low = 0;
    window.sent = WINDOW_BYTES;
    route.onceLow(() => low++);
    waiting.add(route);
    route.close();
    route.close();
    expect([route.isHigh, route.isClosed, low, window.waiting.size, waiting.size]).toEqual([false, true, 1, 0, 0]);
    expect(happened).toEqual(['waits for credit', 'closed']);
  });

  it('charges what is sent to its window, and tells the read in which it is sent', () => {
    const tx = open();
    expect(window.sent).toBe(0);
    ours.open(BLK_READ, tx, { onMessage() {}, onLost() {} });
    expect([window.sent > 0, owner.noted]).toEqual([true, []]);
    owner.read = 1;
    route.onSending();
    expect(owner.noted).toEqual([route]);
  });

  it('has the window that the other side names for it, unless it is closed or the name cannot be read', () => {
    open();
    deliver();
    const [tx] = opened;
    if (tx === undefined) throw new Error('it has come');
    theirs.send(tx, BLK_READ);
    theirs.send(tx, ROUTE_OPENED, 0, encodeRouteOpened(9));
    deliver();
    expect(happened).toEqual(['taken 9']);
    route.close();
    theirs.send(tx, ROUTE_OPENED, 0, encodeRouteOpened(10));
    deliver();
    expect(happened).toEqual(['taken 9', 'closed']);
    expect(ended).toEqual([]);
    // Of another version.
    theirs.send(tx, ROUTE_OPENED, 0, new Uint8Array(64));
    deliver();
    expect(ended).toEqual([ErrorCode.FIELD]);
  });

  it('that the other side has opened is not accepted by it, too', () => {
    const tx = theirs.open(ROUTE_OPEN, null, { onMessage() {}, onLost() {} });
    theirs.send(tx, ROUTE_OPENED, 0, encodeRouteOpened(9));
    deliver();
    expect(happened).toEqual([]);
  });

  it('is gone, and closed once, when both sides have ended it', () => {
    open();
    deliver();
    const [tx] = opened;
    if (tx !== undefined) theirs.end(tx);
    deliver();
    expect([happened, ended.length, ours.openCount]).toEqual([['closed', 'gone'], 1, 0]);
  });

  it('that is dropped is closed when what is left on it has ended, not before', () => {
    const tx = open();
    for (let n = 0; n < 3; n++) ours.open(BLK_READ, tx, { onMessage() {}, onLost() {} });
    holds = true;
    route.drop(tx);
    expect([happened, jobs.length]).toEqual([[], 1]);
    for (const _ of jobs[0] ?? []);
    expect(happened).toEqual(['closed']);
    // There is nothing to do for one that has ended.
    route.drop(tx);
    expect([happened, jobs.length]).toEqual([['closed'], 1]);
  });

  it('that has ended already is closed at once when it is dropped', () => {
    const tx = open();
    ours.end(tx);
    expect(happened).toEqual([]);
    route.drop(tx);
    expect(happened).toEqual(['closed']);
  });

  it('that the other side has opened is cut when it is dropped: its transactions end with LOSTLINK', () => {
    const lost: number[] = [];
    const handler = {
      onMessage: (_tx: Transaction, { error }: { error: number }) => void lost.push(error),
      onLost() {},
    };
    const theirRoute = theirs.open(ROUTE_OPEN, null, handler);
    deliver();
    let closing = 0;
    route.end = {
      opened: (tx) => {
        tx.handler = { onMessage() {}, onLost() {}, onCircuitClosing: () => closing++ };
      },
      heard: () => void happened.push('heard'),
      gone() {},
    };
    theirs.open(BLK_READ, theirRoute, handler);
    theirs.oneWay(BLK_READ, 0, null, null, theirRoute);
    deliver();
    expect(happened).toEqual(['heard']);
    for (const tx of ours.transactions()) if (tx.circuit === null) route.drop(tx);
    deliver();
    expect([closing, lost[0], lost.at(-1)]).toEqual([1, ErrorCode.LOSTLINK, ErrorCode.LOSTLINK]);
  });

  it.each(['nobody has taken', 'is closed'])('refuses and ignores what comes on it while it %s', (why) => {
    const lost: number[] = [];
    const theirRoute = theirs.open((ROUTE_OPEN | CREATE) >>> 0, null, { onMessage() {}, onLost() {} });
    deliver();
    if (why === 'is closed') {
      route.end = { opened: () => void happened.push('opened'), heard: () => void happened.push('heard'), gone() {} };
      route.close();
      happened = [];
    }
    theirs.open(BLK_READ, theirRoute, { onMessage: (_tx, { error }) => void lost.push(error), onLost() {} });
    theirs.oneWay(BLK_READ, 0, null, null, theirRoute);
    deliver();
    expect([lost, happened]).toEqual([[ErrorCode.LOSTLINK], []]);
  });
});
