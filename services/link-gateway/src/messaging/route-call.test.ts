import { EventEmitter } from 'node:events';
import { status } from '@grpc/grpc-js';
import { rulesOf } from '@spanmesh/dmsg/dialect';
import { Endpoint } from '@spanmesh/dmsg/endpoint';
import { OutBuffer } from '@spanmesh/dmsg/out-buffer';
import { SaltSequence } from '@spanmesh/dmsg/salt';
import { Flow } from '@spanmesh/dmsg-socket/stream/flow';
import type { FindNodeResponse } from '@spanmesh/proto/v1/directory';
import { type OpenRouteResponse, RoutedMessage } from '@spanmesh/proto/v1/messaging';
import { Dialect, Link } from '@spanmesh/proto/v1/types';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { type ApiError, FaultLog } from '@spanmesh/runtime/grpc/api-error';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { describe, expect, it } from 'vitest';
import type { LocalClients } from '../routing/local-clients.ts';
import { LocalRoute, type LocalRouteHandlers } from '../routing/local-route.ts';
import { RouteClass } from '../routing/route-class.ts';
import type { Directory } from './directory-calls.ts';
import { ASK_AGAIN_MS, DEFAULT_ROUTE_WAIT_MS, GREETING_MS, MAX_ROUTE_WAIT_MS } from './limits.ts';
import { MessagingMetrics } from './messaging-metrics.ts';
import { RouteCall } from './route-call.ts';
import { RouteLinks } from './route-links.ts';

const ID = '0b8f1a52-6c3d-11e4-8a21-01a2b3c4d5e6';
const KEY = {
  cluster: { dialect: Dialect.DIALECT_CIRCUIT, id: ID, peerType: 3, peerLabel: 'tank' },
  id: ID,
  label: 'disk0',
};
const SELECTOR = { key: KEY, dialect: Dialect.DIALECT_UNSPECIFIED, clusterId: '', node: '' };
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** The server's end of an OpenRoute call; the test plays the client. */
class FakeCall extends EventEmitter {
  readonly sent: OpenRouteResponse[] = [];
  reading = true;
  ended = false;
  error: ApiError | null = null;

  constructor() {
    super();
    this.on('error', (error: ApiError) => {
      this.error = error;
    });
  }

  write(response: OpenRouteResponse, written: () => void): boolean {
    this.sent.push(response);
    setImmediate(written);
    return true;
  }

  end(): void {
    this.ended = true;
  }

  pause(): void {
    this.reading = false;
  }

  resume(): void {
    this.reading = true;
  }

  open(waitMs = 0): void {
    this.emit('data', { open: { node: SELECTOR, waitMs } });
  }

  say(message: Partial<RoutedMessage>): void {
    this.emit('data', { routed: RoutedMessage.fromPartial({ command: 0x00100202, ...message }) });
  }
}

/** The pressure of the queue of messages to the node. */
class FakePressure {
  isHigh = false;
  waiting: (() => void)[] = [];

  onceLow(fn: () => void): void {
    this.waiting.push(fn);
  }

  sink(): void {
    this.isHigh = false;
    for (const fn of this.waiting.splice(0)) fn();
  }
}

function world({ reachable = ['x.00000001', 'y.00000001'] }: { reachable?: string[] } = {}) {
  const clock = new FakeClock();
  const pressure = new FakePressure();
  const metrics = new MessagingMetrics();
  const links = new RouteLinks();
  const tried: (number | string)[] = [];
  const routes: LocalRoute[] = [];
  const asked: AbortSignal[] = [];
  const finding: ((answer: FindNodeResponse) => void)[] = [];
  const out = new OutBuffer();
  const endpoint = new Endpoint(
    { rules: rulesOf('circuit') },
    { out, handler: { onOpen() {}, onOneWay() {} }, salts: new SaltSequence() },
  );
  const directory: Directory = {
    findNode: (_selector, { signal }) => {
      asked.push(signal);
      const { promise, resolve, reject } = Promise.withResolvers<FindNodeResponse>();
      signal.addEventListener('abort', () => reject(new Error('given up')));
      finding.push(resolve);
      return promise;
    },
    findCluster: () => Promise.reject(new Error('not asked')),
  };
  const clients: Pick<LocalClients, 'openRoute'> = {
    openRoute: (link, _dialect, handlers: LocalRouteHandlers) => {
      tried.push(typeof link === 'number' ? link : link.gateway);
      if (!reachable.includes(typeof link === 'number' ? 'x.00000001' : link.gateway)) return null;
      const flow = new Flow();
      const route = new LocalRoute(
        handlers,
        { endpoint, circuit: null, address: null, blocks: null, pressure },
        {
          flow,
          metrics: { routedDropped: 0 },
          routes: new RouteClass(1),
          closed: () => {},
          ended: () => {},
          inSlices: (job) => void [...job],
        },
      );
      routes.push(route);
      return route;
    },
  };
  let over = 0;
  const start = () => {
    const stream = new FakeCall();
    const call = new RouteCall(stream, {
      gateway: () => 'x.00000001',
      principal: 'somebody',
      directory,
      clients,
      links,
      metrics,
      clock,
      faults: new FaultLog(
        { service: 'Messaging' },
        { logger: createLogger({ level: 'silent', service: 'test' }), clock },
      ),
      onEnd: () => over++,
    });
    return { stream, call };
  };
  const find = async () => {
    finding.shift()!({
      node: { key: KEY, label: 'disk0', pfsType: 8, links: 2, bestDist: 0 },
      links: [
        { gateway: 'x.00000001', number: 4, link: Link.fromPartial({ id: 'x.00000001:4' }) },
        { gateway: 'y.00000001', number: 4, link: Link.fromPartial({ id: 'y.00000001:4' }) },
      ],
      lagMs: 0,
    });
    await turn();
  };
  const opened = async () => {
    const one = start();
    one.stream.open();
    await find();
    return one;
  };
  return { clock, pressure, metrics, links, tried, routes, asked, endpoint, start, find, opened, over: () => over };
}

describe('a call that opens a route', () => {
  it('does not read the client before the route is open', async () => {
    const { start, find } = world();
    const { stream } = start();
    stream.open();
    expect(stream.reading).toBe(false);
    await find();
    expect(stream.sent).toMatchObject([{ opened: { link: 'x.00000001:4', auxLimit: 1048576 } }]);
    expect(stream.reading).toBe(true);
  });

  it('uses the links with the fewest routes first, links of this gateway by number, others by gateway and number', async () => {
    const { opened, tried } = world();
    await opened();
    await opened();
    await opened();
    expect(tried).toEqual([4, 'y.00000001', 4]);
  });

  it('tries the next link when one cannot be used, and asks topology again when none can', async () => {
    const reachable = ['y.00000001'];
    const { clock, start, find, tried, asked } = world({ reachable });
    const { stream } = start();
    stream.open();
    await find();
    expect(tried).toEqual([4, 'y.00000001']);
    expect(stream.sent[0]?.opened?.link).toBe('y.00000001:4');
    reachable.length = 0;
    const second = start();
    second.stream.open();
    await find();
    expect([second.stream.sent, asked.length]).toEqual([[], 2]);
    reachable.push('x.00000001');
    clock.advance(ASK_AGAIN_MS);
    await turn();
    await find();
    expect(second.stream.sent[0]?.opened?.link).toBe('x.00000001:4');
  });

  // Causes: code messaging/route-call.ts DEADLINE_EXCEEDED
  // Causes: code messaging/route-call.ts INVALID_ARGUMENT
  it('waits for the time that the client names, and no longer', async () => {
    const { clock, start, asked, over } = world();
    const [usual, short] = [start(), start()];
    usual.stream.open();
    short.stream.open(20);
    clock.advance(20);
    await turn();
    expect(short.stream.error).toMatchObject({ code: status.DEADLINE_EXCEEDED });
    expect(usual.stream.error).toBeNull();
    clock.advance(DEFAULT_ROUTE_WAIT_MS);
    await turn();
    expect(usual.stream.error).toMatchObject({ code: status.DEADLINE_EXCEEDED });
    expect([asked.every(({ aborted }) => aborted), clock.pending, over()]).toEqual([true, 0, 2]);
    const endless = start();
    endless.stream.open(MAX_ROUTE_WAIT_MS + 1);
    await turn();
    expect(endless.stream.error).toMatchObject({ code: status.INVALID_ARGUMENT });
  });

  it('fails if the client sends no open in time', () => {
    const { clock, start, over } = world();
    const { stream } = start();
    clock.advance(GREETING_MS);
    expect(stream.error).toMatchObject({ code: status.DEADLINE_EXCEEDED });
    start().stream.emit('cancelled');
    expect([clock.pending, over()]).toEqual([0, 2]);
  });

  it('gives up when the client goes', async () => {
    const { clock, start, asked, over } = world();
    const { stream } = start();
    stream.open();
    stream.emit('cancelled');
    await turn();
    expect([asked[0]!.aborted, clock.pending, over(), stream.error]).toEqual([true, 0, 1, null]);
  });
});

describe('an open route', () => {
  it('does not read the client while much is queued for the node', async () => {
    const { opened, pressure } = world();
    const { stream } = await opened();
    stream.say({ transaction: 1, create: true });
    expect(stream.reading).toBe(true);
    pressure.isHigh = true;
    stream.say({ transaction: 2, create: true });
    expect(stream.reading).toBe(false);
    // Messages that were read already are still taken; it waits only once.
    stream.say({ transaction: 3, create: true });
    expect(pressure.waiting).toHaveLength(1);
    pressure.sink();
    expect(stream.reading).toBe(true);
  });

  // Causes: code messaging/route-call.ts UNAVAILABLE
  it('is counted until it ends, however it ends', async () => {
    const { opened, metrics, links, routes, endpoint, over } = world();
    const [one, two, three] = [await opened(), await opened(), await opened()];
    expect([metrics.routes, links.size]).toEqual([3, 2]);
    one.stream.say({ transaction: 1, create: true });
    one.stream.emit('cancelled');
    routes[1]!.linkClosing();
    expect(two.stream.error).toMatchObject({ code: status.UNAVAILABLE });
    three.stream.say({ transaction: 1, command: 0 });
    expect(three.stream.error).toMatchObject({ code: status.INVALID_ARGUMENT });
    for (const { stream } of [one, two, three]) stream.emit('cancelled');
    expect([metrics.routes, links.size, over()]).toEqual([0, 0, 3]);
    expect(routes.every(({ isOpen }) => !isOpen)).toBe(true);
    // We have closed our directions; the node has still to close its own.
    expect(endpoint.transactions().every((tx) => tx.txDeleted)).toBe(true);
  });

  it('tells the client of the loss of each transaction before that of the route', async () => {
    const { opened, routes } = world();
    const { stream } = await opened();
    stream.say({ transaction: 5, create: true });
    routes[0]!.linkClosing();
    expect(stream.sent.at(-1)).toMatchObject({
      routed: { transaction: 5, create: true, delete: true, abort: true, error: 0x21 },
    });
    expect(stream.error).toMatchObject({ code: status.UNAVAILABLE });
  });
});

describe('a client that does not keep to the order of messages', () => {
  it.each<[string, (stream: FakeCall) => void, string]>([
    ['sends another message first', (stream) => stream.say({ transaction: 1 }), 'The first message must be open.'],
    ['closes its side first', (stream) => void stream.emit('end'), 'The first message must be open.'],
    ['names no node', (stream) => void stream.emit('data', { open: { node: undefined, waitMs: 0 } }), ''],
  ])('is refused: it %s', async (_what, does, details) => {
    const { start, clock, over } = world();
    const { stream } = start();
    does(stream);
    await turn();
    expect(stream.error).toMatchObject({ code: status.INVALID_ARGUMENT });
    expect(stream.error?.details).toContain(details);
    expect([clock.pending, over(), stream.reading]).toEqual([0, 1, true]);
  });

  it('is refused when it opens the route twice, whether it waits for it or has it', async () => {
    const { start, opened } = world();
    const { stream } = start();
    stream.open();
    stream.open();
    const details = 'After open, send routed messages only.';
    expect(stream.error).toMatchObject({ code: status.INVALID_ARGUMENT, details });
    const other = await opened();
    other.stream.open();
    expect(other.stream.error).toMatchObject({ details });
  });

  it('may wait as long as is allowed, and is told how long it has waited', async () => {
    const { start, clock, asked } = world();
    const [long, short] = [start(), start()];
    long.stream.open(MAX_ROUTE_WAIT_MS);
    short.stream.open(1500);
    await turn();
    expect(long.stream.error).toBeNull();
    clock.advance(1500);
    await turn();
    const details =
      'There was no way to the node within 1.5 s: `spanmesh nodes` (ListNodes) shows the nodes that there are.';
    expect(short.stream.error).toMatchObject({ details });
    expect(asked.map(({ aborted }) => aborted)).toEqual([false, true]);
    long.stream.emit('cancelled');
    await turn();
    expect(clock.pending).toBe(0);
  });
});

describe('a client that says no more', () => {
  it('because it has closed its side, while it waits: its route is opened, and ends at once, for it can send nothing', async () => {
    const { start, find, metrics, over } = world();
    const { stream } = start();
    stream.open();
    stream.emit('end');
    expect(stream.ended).toBe(false);
    await find();
    expect([stream.sent.length, stream.ended, stream.error]).toEqual([1, true, null]);
    expect([metrics.routes, metrics.routesOpened, over()]).toEqual([0, 1, 1]);
  });

  it('of an open route: the route ends when its transactions are over', async () => {
    const { opened, metrics, routes, over } = world();
    const { stream } = await opened();
    stream.say({ transaction: 1, create: true, delete: true });
    stream.emit('end');
    expect([stream.ended, metrics.routes, routes[0]?.isOpen]).toEqual([false, 1, true]);
    // Lost with its route is over, too: the client is told so, and there is nothing else to tell.
    routes[0]?.routeGone();
    expect(stream.sent.at(-1)).toMatchObject({ routed: { transaction: 1, abort: true } });
    expect([stream.ended, stream.error]).toEqual([true, null]);
    expect([metrics.routes, metrics.routesLost, over()]).toEqual([0, 0, 1]);
  });

  it.each([
    ['link', 'The link that the route used is gone: open another route.'],
    ['trunk', 'The gateway that holds the link cannot be reached any more: open another route.'],
    ['return-path', 'The node takes no answers over this link any more: open another route.'],
  ])('is told otherwise why the route is lost: %s', async (why, details) => {
    const { opened, routes, metrics } = world();
    const { stream } = await opened();
    const [route] = routes;
    if (why === 'link') route?.linkClosing();
    else if (why === 'trunk') route?.routeGone();
    else route?.returnPathClosing();
    expect(stream.error).toMatchObject({ code: status.UNAVAILABLE, details });
    expect(metrics.routesLost).toBe(1);
  });

  it('or has gone while topology is asked again: nothing is left', async () => {
    const { start, find, clock, over } = world({ reachable: [] });
    const { stream } = start();
    stream.open();
    await find();
    expect(clock.pending).toBe(2);
    stream.emit('cancelled');
    await turn();
    expect([clock.pending, over(), stream.error]).toEqual([0, 1, null]);
  });
});
