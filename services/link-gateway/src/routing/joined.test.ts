import { ABORT, BLK_READ, DELETE, LNK_ERROR, LNK_SPAN } from '@spanmesh/dmsg/command';
import { DmsgError } from '@spanmesh/dmsg/dmsg-error';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import type { EndingJob, LinkAddress, TransactionEndpoint } from '@spanmesh/dmsg/transaction';
import { beforeEach, describe, expect, it } from 'vitest';
import { GatewayMetrics } from '../metrics.ts';
import type { Link } from '../peers/peer.ts';
import { ArrivedAtClients } from './arrived-at-clients.ts';
import { ArrivedRoute } from './arrived-route.ts';
import { FakeTransaction, frameOf } from './fake-transaction.fixture.ts';
import { Joined } from './joined.ts';
import type { LocalClients } from './local-clients.ts';
import { ReadJoined } from './reads/read-joined.ts';
import { SharedRead, WaitingRead } from './reads/shared-read.ts';
import { WaitingReads } from './reads/waiting-reads.ts';
import { Passed, RouteClass } from './route-class.ts';
import type { RoutedSample } from './routed-sample.ts';
import { type RouteUser, TrunkRoutes } from './trunk-routes.ts';
import type { Trunks } from './trunks.ts';

const ADDRESS: LinkAddress = { sourceLo: 1, sourceHi: 2, targetLo: 3, targetHi: 4 };

let metrics: GatewayMetrics;
let routes: RouteClass;
let passed: Passed;
/** What the parts were told, in order. */
let told: unknown[];
let joined: Joined;
let tx: FakeTransaction;
let target: FakeTransaction;

const sample = {
  begun: (of: FakeTransaction) => told.push(['sampled', of.name]),
  lost: (of: FakeTransaction) => told.push(['sample lost', of.name]),
  ended: (of: FakeTransaction) => told.push(['sample over', of.name]),
} as unknown as RoutedSample;

/** Transactions of the class that are open. */
const openIn = (routes: RouteClass) => routes.traffic(0).transactionsOpen;

beforeEach(() => {
  metrics = new GatewayMetrics();
  routes = new RouteClass(2);
  passed = new Passed();
  told = [];
  joined = new Joined({ metrics, sample, routes, passed });
  tx = new FakeTransaction('tx');
  target = new FakeTransaction('target');
});

const aborted = (name: string) => ['end', name, ErrorCode.LOSTLINK, true];

describe('a transaction that is passed on', () => {
  it('is joined to a new one on its target, counted, and sampled if it is its turn', () => {
    joined.stack(tx.as(), target.as(), frameOf(BLK_READ));
    expect(target.endpoint.calls).toEqual([['open', 'target', BLK_READ, null]]);
    const partner = tx.data as FakeTransaction;
    expect([partner.name, partner.data, partner.handler, tx.handler]).toEqual(['partner', tx, joined, joined]);
    expect([tx.endpoint.awaited, target.endpoint.awaited, openIn(routes), passed.messages, passed.bytes]).toEqual([
      1, 1, 1, 1, 192,
    ]);
    expect([metrics.routedTransactions, metrics.routedDropped, told]).toEqual([1, 0, [['sampled', 'tx']]]);
    joined.send(new FakeTransaction('second').as(), target.as(), ADDRESS, frameOf(BLK_READ));
    expect([target.endpoint.calls[1], told.length, metrics.routedTransactions]).toEqual([
      ['open', null, BLK_READ, ADDRESS],
      1,
      2,
    ]);
  });

  it.each([
    ['ended', { ended: true }],
    ['closed by us', { txDeleted: true }],
  ])('is refused if its target is %s', (_what, state) => {
    joined.stack(tx.as(), Object.assign(target, state).as(), frameOf(BLK_READ));
    joined.stack(tx.as(), null, frameOf(BLK_READ));
    expect([tx.endpoint.calls, target.endpoint.calls, metrics.routedDropped, openIn(routes)]).toEqual([
      [aborted('tx'), aborted('tx')],
      [],
      2,
      0,
    ]);
  });

  it('is ended with the error that the other endpoint gives; a fault is thrown', () => {
    target.endpoint.opens = () => {
      throw new DmsgError(ErrorCode.CANTCIRC, 'no');
    };
    joined.stack(tx.as(), target.as(), frameOf(BLK_READ));
    expect([tx.endpoint.calls, metrics.routedDropped]).toEqual([[['end', 'tx', ErrorCode.CANTCIRC, true]], 1]);
    expect([metrics.routedTransactions, openIn(routes), tx.endpoint.awaited, passed.messages, told]).toEqual([
      0,
      0,
      0,
      0,
      [],
    ]);
    target.endpoint.opens = () => {
      throw new RangeError('a fault');
    };
    expect(() => joined.stack(tx.as(), target.as(), frameOf(BLK_READ))).toThrow(RangeError);
  });

  it('has its messages passed on, and counted once they are', () => {
    tx.data = target;
    joined.onMessage(tx.as(), frameOf(BLK_READ));
    target.endpoint.forwards = false;
    joined.onMessage(tx.as(), frameOf(BLK_READ));
    expect([target.endpoint.calls.length, passed.messages, passed.bytes]).toEqual([2, 1, 192]);
  });

  it('aborts its partner when it is lost, or its circuit closes, and is counted until both are over', () => {
    tx.data = target;
    tx.endpoint.awaited = 3;
    routes.opened();
    joined.onLost(tx.as());
    joined.onCircuitClosing(tx.as());
    expect([target.endpoint.calls, tx.endpoint.calls]).toEqual([[aborted('target'), aborted('target')], []]);
    joined.onGone(tx.as());
    expect([tx.endpoint.awaited, openIn(routes)]).toEqual([2, 1]);
    joined.onGone(tx.as());
    expect([openIn(routes), told]).toEqual([
      0,
      [
        ['sample lost', 'tx'],
        ['sample over', 'tx'],
        ['sample over', 'tx'],
      ],
    ]);
  });

  it('has what is stacked on it joined, unless it is of the link layer', () => {
    const stacked = new FakeTransaction('stacked');
    tx.data = target;
    joined.onStacked(tx.as(), stacked.as(), frameOf(LNK_SPAN));
    expect([stacked.endpoint.calls, target.endpoint.calls, metrics.routedDropped]).toEqual([
      [['end', 'stacked', ErrorCode.NOSUPP]],
      [],
      1,
    ]);
    joined.onStacked(tx.as(), stacked.as(), frameOf(BLK_READ));
    expect([target.endpoint.calls, stacked.handler]).toEqual([[['open', 'target', BLK_READ, null]], joined]);
  });

  it('has one-way messages on it passed on, unless they are of the link layer', () => {
    tx.data = target;
    joined.onOneWay(tx.as(), frameOf(LNK_SPAN));
    expect([target.endpoint.calls, metrics.routedDropped, passed.messages]).toEqual([[], 1, 0]);
    joined.onOneWay(tx.as(), frameOf(BLK_READ));
    joined.sendOneWay(frameOf(BLK_READ), target.as(), ADDRESS);
    expect(target.endpoint.calls).toEqual([
      ['one way', BLK_READ, 'target', null],
      ['one way', BLK_READ, null, ADDRESS],
    ]);
    expect([metrics.routedDropped, passed.messages, passed.bytes]).toEqual([1, 2, 384]);
    target.endpoint.forwards = false;
    joined.sendOneWay(frameOf(BLK_READ), target.as());
    target.txDeleted = true;
    joined.sendOneWay(frameOf(BLK_READ), target.as());
    expect([metrics.routedDropped, passed.messages, target.endpoint.calls.length]).toEqual([3, 2, 3]);
  });
});

describe('a route that another gateway has opened', () => {
  function arrived(cutting: EndingJob | null = null, settling: EndingJob | null = null) {
    const link = { tx: target, connection: { principal: 'them' } } as unknown as Link;
    Object.assign(tx.endpoint, {
      cutting: (_tx: FakeTransaction, ...args: unknown[]) => {
        told.push(args);
        return cutting;
      },
      settling: () => settling,
    });
    return new ArrivedRoute(tx.as(), link, {
      joined,
      ended: () => told.push('over'),
      inSlices: (principal, job) => told.push([principal, ...job]),
    });
  }

  function* job(): EndingJob {
    yield 3;
  }

  it('leads to the link, with an address in linkid, and nowhere once it has ended', () => {
    const route = arrived();
    const [one, two, three] = ['one', 'two', 'three'].map((name) => new FakeTransaction(name));
    route.opened(one!.as(), frameOf(BLK_READ));
    route.heard(frameOf(BLK_READ));
    route.address = ADDRESS;
    route.opened(two!.as(), frameOf(BLK_READ));
    route.heard(frameOf(BLK_READ));
    expect(target.endpoint.calls.splice(0)).toEqual([
      ['open', 'target', BLK_READ, null],
      ['one way', BLK_READ, 'target', null],
      ['open', null, BLK_READ, ADDRESS],
      ['one way', BLK_READ, null, ADDRESS],
    ]);
    route.gone();
    route.gone();
    expect(told.filter((what) => what === 'over')).toHaveLength(1);
    route.opened(three!.as(), frameOf(BLK_READ));
    route.heard(frameOf(BLK_READ));
    expect([three!.endpoint.calls, target.endpoint.calls, metrics.routedDropped]).toEqual([[aborted('three')], [], 2]);
  });

  it('ends at once if nothing runs over it, otherwise after that', () => {
    const route = arrived();
    route.linkClosing();
    expect(told.splice(0)).toEqual([[ErrorCode.LOSTLINK, true], 'over']);
    arrived(job()).linkClosing();
    expect(told.splice(0)).toEqual([[ErrorCode.LOSTLINK, true], 'over', ['them', 3]]);
    // It is ending already.
    tx.txDeleted = true;
    const rest = arrived(null, job()).returnPathClosing();
    expect(told.splice(0)).toEqual([[ErrorCode.LOSTLINK, true]]);
    expect([[...(rest ?? [])], told]).toEqual([[3], ['over']]);
    told.splice(0);
    tx.ended = true;
    expect(arrived(null, job()).returnPathClosing()).toBeNull();
    expect(told).toEqual([[ErrorCode.LOSTLINK, true], 'over']);
  });

  it('to the span of this gateway leads to its clients; what no client wants is dropped', () => {
    let isWanted = true;
    const sender = { gateway: 'gw-2.1', number: 4 };
    const took = (...args: unknown[]) => {
      told.push(args);
      return isWanted;
    };
    const clients = { opened: took, oneWay: took } as unknown as LocalClients;
    const route = new ArrivedAtClients(sender, { clients, metrics, ended: (which) => told.push(which === route) });
    const frame = frameOf(BLK_READ);
    route.opened(tx.as(), frame);
    route.heard(frame);
    expect([told, metrics.routedDropped, tx.endpoint.calls]).toEqual([
      [
        [sender, tx, frame],
        [sender, frame],
      ],
      0,
      [],
    ]);
    isWanted = false;
    route.opened(tx.as(), frame);
    route.heard(frame);
    expect([metrics.routedDropped, tx.endpoint.calls]).toEqual([2, [aborted('tx')]]);
    route.gone();
    expect(told.at(-1)).toBe(true);
  });
});

it('a route transaction to another gateway is dropped with its last user, and its end is told to all', () => {
  const drops: string[] = [];
  const route = Object.assign(target, { data: { drop: (of: FakeTransaction) => drops.push(of.name) } });
  let isThere = true;
  const trunks = {
    route: (...args: unknown[]) => {
      told.push(args);
      return isThere ? route : null;
    },
  } as unknown as Trunks;
  const all = new TrunkRoutes(trunks);
  const users = ['a', 'b'].map((name): RouteUser => ({ routeGone: () => told.push(`${name} gone`) }));
  const [a, b] = [users[0]!, users[1]!];
  const link = { gateway: 'gw-2.1', number: 4 };
  for (const user of [a, b, a]) expect(all.use(link, 'linkid', null, 9, user)).toBe(route);
  expect([told.splice(0)[0], all.size]).toEqual([[link, 'linkid', null, 9], 1]);
  all.release(route.as(), a);
  all.release(route.as(), a);
  expect([drops, all.size]).toEqual([[], 1]);
  all.release(route.as(), b);
  all.release(route.as(), b);
  expect([drops, all.size]).toEqual([['target'], 0]);
  all.use(link, 'linkid', null, 9, a);
  all.use(link, 'linkid', null, 9, b);
  told.splice(0);
  all.gone(route.as());
  all.gone(route.as());
  expect([told, drops, all.size]).toEqual([['a gone', 'b gone'], ['target'], 0]);
  isThere = false;
  expect([all.use(link, 'linkid', null, 9, a), all.size]).toEqual([null, 0]);
});

describe('an asker that waits for a read', () => {
  let calls: unknown[];
  let asked: FakeTransaction | null;
  let handler: WaitingReads;
  let waits: WaitingRead;

  beforeEach(() => {
    calls = [];
    asked = new FakeTransaction('asked');
    const note =
      (name: string) =>
      (...args: unknown[]) =>
        calls.push([name, ...args]);
    const readJoined = {
      routes,
      onMessage: note('message'),
      onStacked: note('stacked'),
      onOneWay: note('one way'),
      refuse: note('refuse'),
      sendOneWay: note('drop'),
    } as unknown as ReadJoined;
    const read = new SharedRead({ range: { offsetLo: 0, offsetHi: 0, bytes: 1 }, key: 'k', payload: Buffer.alloc(0) });
    waits = new WaitingRead(tx.as(), target.as(), readJoined, read);
    tx.data = waits;
    handler = new WaitingReads({ askAlone: () => asked?.as() ?? null });
  });

  it('goes on waiting when it has sent all in order', () => {
    handler.onMessage(tx.as(), frameOf(LNK_ERROR | DELETE));
    expect([calls, waits.read?.waiting.size, tx.endpoint.calls]).toEqual([[], 1, []]);
  });

  it('that aborts waits no more', () => {
    const { read } = waits;
    handler.onMessage(tx.as(), frameOf(LNK_ERROR | DELETE | ABORT));
    expect([calls, waits.read, read?.waiting.size, tx.endpoint.calls]).toEqual([[], null, 0, [aborted('tx')]]);
  });

  it.each([LNK_ERROR, BLK_READ, BLK_READ | DELETE])('that sends %i gets a read of its own', (cmd) => {
    const frame = frameOf(cmd);
    handler.onMessage(tx.as(), frame);
    expect(calls.splice(0)).toEqual([['message', asked, frame]]);
    asked = null;
    handler.onMessage(tx.as(), frame);
    expect(calls).toEqual([]);
  });

  it('that opens or sends something on its read gets a read of its own first', () => {
    const [stacked, frame] = [new FakeTransaction('stacked'), frameOf(BLK_READ)];
    handler.onStacked(tx.as(), stacked.as(), frame);
    handler.onOneWay(tx.as(), frame);
    expect(calls.splice(0)).toEqual([
      ['stacked', asked, stacked, frame],
      ['one way', asked, frame],
    ]);
    asked = null;
    handler.onStacked(tx.as(), stacked.as(), frame);
    handler.onOneWay(tx.as(), frame);
    expect(calls).toEqual([
      ['refuse', stacked],
      ['drop', frame, null],
    ]);
  });

  it.each(['onLost', 'onCircuitClosing', 'onGone'] as const)('waits no more after %s', (event) => {
    const { read } = waits;
    routes.opened();
    tx.endpoint.awaited = 2;
    handler[event](tx.as());
    expect([waits.read, read?.waiting.size]).toEqual([null, 0]);
    const isOver = event === 'onGone';
    expect([tx.endpoint.awaited, openIn(routes)]).toEqual(isOver ? [1, 0] : [2, 1]);
  });

  it('is the first to be taken that has waited longest', () => {
    const { read } = waits;
    if (read === null) throw new Error('it does not wait');
    const other = new WaitingRead(tx.as(), target.as(), waits.joined, read);
    expect([read.next(), waits.read, read.next(), other.read, read.next()]).toEqual([waits, null, other, null, null]);
  });
});

describe('transactions with a node whose reads are consolidated', () => {
  it('are told of before their messages are passed on, by the one that is open with the node', () => {
    const noted = (name: string) => (of: FakeTransaction | number) =>
      told.push([name, typeof of === 'number' ? of : of.name]);
    const reads = new ReadJoined(
      {
        endpoint: target.endpoint as unknown as TransactionEndpoint,
        open: (which, of) => told.push(['open', which === reads, (of as unknown as FakeTransaction).name]),
        said: noted('said') as never,
        saidOneWay: noted('said one way') as never,
        answered: noted('answered') as never,
        lost: noted('lost') as never,
        gone: noted('gone') as never,
      },
      { metrics, sample, routes, passed },
    );
    tx.data = target;
    target.data = tx;
    const frame = frameOf(BLK_READ);
    reads.stack(tx.as(), target.as(), frame);
    reads.stack(target.as(), tx.as(), frame);
    expect([told.splice(0), tx.endpoint.calls.splice(0)]).toEqual([
      [
        ['open', true, 'tx'],
        ['sampled', 'target'],
      ],
      [['open', 'tx', BLK_READ, null]],
    ]);
    target.data = tx;
    reads.stack(tx.as(), null, frame);
    expect(tx.endpoint.calls.splice(0)).toEqual([aborted('tx')]);
    reads.onMessage(tx.as(), frame);
    reads.onMessage(target.as(), frame);
    reads.sendOneWay(frame, target.as());
    reads.sendOneWay(frame, tx.as());
    reads.sendOneWay(frame, null);
    expect(told.splice(0)).toEqual([
      ['said', 'target'],
      ['answered', 'target'],
      ['said one way', BLK_READ],
    ]);
    expect([passed.messages, metrics.routedDropped]).toEqual([5, 2]);
    for (const one of [tx, target]) {
      reads.onLost(one.as());
      reads.onCircuitClosing(one.as());
      reads.onGone(one.as());
    }
    expect(told.filter((what) => !String(what).startsWith('sample'))).toEqual([
      ['lost', 'target'],
      ['lost', 'target'],
      ['lost', 'target'],
      ['lost', 'target'],
      ['gone', 'target'],
    ]);
    target.handler = null;
    const alone = new FakeTransaction('alone');
    expect((reads.stackAlone(alone.as(), target.as(), frame) as unknown as FakeTransaction).name).toBe('partner');
    target.ended = true;
    expect(reads.stackAlone(new FakeTransaction('late').as(), target.as(), frame)).toBeNull();
  });
});
