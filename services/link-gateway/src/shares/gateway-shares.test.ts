import type { PoolLimit } from '@spanmesh/runtime/shares/pool';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  GatewayShares,
  type Holdings,
  type SharedRelay,
  type ShareHolder,
  type ShareOptions,
} from './gateway-shares.ts';

const OPTIONS: ShareOptions = {
  maxConnections: 10,
  maxConnectionsPerAddress: 4,
  totalLinks: 100,
  totalLnkConns: 50,
  totalRelays: 40,
  totalTransactions: 200,
  receiveLimit: 1000,
  sendTotal: 3,
  sharePercent: 25,
};

/** A connection that gives everything back, and closes its relays, when it has to give way. */
class FakeHolder implements ShareHolder {
  readonly name: string;
  holdings: Holdings | null = null;

  constructor(name: string) {
    this.name = name;
  }

  close(reason: string, { resource, bound }: PoolLimit): void {
    closed.push(`${this.name} ${reason}: ${resource}, ${bound}`);
    const { holdings } = this;
    if (holdings === null) return;
    shares.close(holdings);
    for (const relay of charged) {
      const isOurs = [relay.source.local?.connection, relay.lnkConn.connection].some(
        (one) => one?.holdings === holdings,
      );
      if (isOurs && charged.delete(relay)) shares.chargeRelay(relay, -1);
    }
  }
}

let shares: GatewayShares;
/** Connections that had to give way, and why. */
let closed: string[];
let limits: PoolLimit[];
/** Relays that are open. */
let charged: Set<SharedRelay>;
/** Endings that are under way, and what waits for them. */
let endings: { size: number; waiting: (() => void)[]; whenIdle(fn: () => void): void };

beforeEach(() => {
  closed = [];
  limits = [];
  charged = new Set();
  endings = {
    size: 0,
    waiting: [],
    whenIdle(fn) {
      this.waiting.push(fn);
    },
  };
  shares = new GatewayShares(OPTIONS, { limited: (limit) => void limits.push(limit), endings });
});

function open(principal: string, name = principal): Holdings {
  const holder = new FakeHolder(name);
  holder.holdings = shares.open(holder, principal);
  return holder.holdings;
}

/** Opens so many relays of links of the one on LNK_CONNs of the other. */
function relays(offers: Holdings, asks: Holdings, count: number): void {
  for (let i = 0; i < count; i++) {
    const relay: SharedRelay = {
      source: { local: { connection: { holdings: offers } }, offerer: null },
      lnkConn: { connection: { holdings: asks } },
    };
    charged.add(relay);
    shares.chargeRelay(relay, 1);
  }
}

describe('the pools', () => {
  it('have the sizes of the settings, and a share of at least one', () => {
    expect(shares.all.map(({ options: { resource, total, share } }) => [resource, total, share])).toEqual([
      ['connections', 10, 4],
      ['links', 100, 25],
      ['LNK_CONNs', 50, 12],
      ['transactions', 200, 50],
      ['received bytes', 1000, 250],
      ['waiting bytes', 3, 1],
      ['relays asked for', 40, 10],
      ['relays offered', 40, 10],
    ]);
  });

  it('are held by connections until those close', () => {
    const [one, other] = [open('a'), open('b')];
    for (const pool of shares.all.slice(1)) {
      const holding = Object.values(one).find((held) => held.share === pool.open('a', held.holder).share);
      if (holding === undefined) throw new Error(`no holding of ${pool.options.resource}`);
      pool.count(holding, 1);
    }
    expect(Object.values(shares.tables())).toEqual([2, 1, 1, 1, 1, 1, 1, 1]);
    expect(shares.tables()['held: LNK_CONNs']).toBe(1);
    shares.close(one);
    expect(Object.values(shares.tables())).toEqual([1, 0, 0, 0, 0, 0, 0, 0]);
    shares.close(other);
    expect(Object.values(shares.tables())).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  });

  it('have a connection give way with the reason of the resource', () => {
    const [one, other] = [open('a'), open('b')];
    shares.received.set(one.received, 251);
    shares.sent.set(other.sent, 2);
    expect(closed).toEqual(['a receive-limit: received bytes, share', 'b share: waiting bytes, share']);
    expect(limits.map(({ resource, held, limit }) => [resource, held, limit])).toEqual([
      ['received bytes', 251, 250],
      ['waiting bytes', 2, 1],
    ]);
  });

  it('tell of refused connections, and of limits that are no pool’s', () => {
    open('a');
    shares.connectionRefused('a', 'share');
    shares.connectionRefused('b', 'total');
    const limit: PoolLimit = { resource: 'x', bound: 'share', principal: 'p', held: 1, limit: 1 };
    shares.limited(limit);
    expect(limits).toEqual([
      { resource: 'connections', bound: 'share', principal: 'a', held: 1, limit: 4 },
      { resource: 'connections', bound: 'total', principal: 'b', held: 0, limit: 10 },
      limit,
    ]);
  });
});

describe('relays', () => {
  it('count for who asks for them, and for who offers their links, here or at another gateway', () => {
    const [asks, offers] = [open('a'), open('b')];
    const elsewhere = shares.offered.open('c', new FakeHolder('c'));
    relays(offers, asks, 3);
    const lnkConn = { connection: { holdings: asks } };
    shares.chargeRelay({ source: { local: null, offerer: { holding: elsewhere } }, lnkConn }, 1);
    shares.chargeRelay({ source: { local: null, offerer: null }, lnkConn }, 1);
    expect([shares.asked.heldBy('a'), shares.offered.heldBy('b'), shares.offered.heldBy('c')]).toEqual([5, 3, 1]);
    for (const relay of [...charged].slice(1)) shares.chargeRelay(relay, -1);
    expect([shares.asked.heldBy('a'), shares.offered.heldBy('b'), shares.offered.held]).toEqual([3, 1, 2]);
  });

  it('within the limits close nothing', () => {
    const [asks, other, offers] = [open('a'), open('d'), open('b')];
    relays(offers, asks, 5);
    relays(offers, other, 5);
    shares.enforceRelays();
    expect([closed, shares.isOverRelays]).toEqual([[], false]);
  });

  it('beyond the share of who asks close its connection, unless another one’s links are why', () => {
    const [asks, offers] = [open('a'), open('b')];
    // As many LNK_CONNs as links: the links are why.
    shares.lnkConns.count(asks.lnkConns, 2);
    shares.links.count(offers.links, 2);
    relays(offers, asks, 11);
    shares.enforceRelays();
    expect(closed.splice(0)).toEqual(['b share: relays offered, share']);
    // More LNK_CONNs than links.
    const few = open('c');
    shares.links.count(few.links, 1);
    relays(few, asks, 11);
    shares.enforceRelays();
    expect(closed).toEqual(['a share: relays asked for, share']);
  });

  it('of links at other gateways count like those of links here', () => {
    const [asks, offers] = [open('a'), open('b')];
    shares.lnkConns.count(asks.lnkConns, 3);
    shares.links.count(offers.links, 1);
    shares.remoteLinks.set('b', 2);
    relays(offers, asks, 11);
    shares.enforceRelays();
    expect(closed).toEqual(['b share: relays offered, share']);
  });

  it('of links with less than half as many of them as who asks has close the connection of that one', () => {
    const asks = open('a');
    for (const [name, count] of [
      ['b', 5],
      ['c', 3],
      ['d', 3],
    ] as const) {
      const offers = open(name);
      shares.links.count(offers.links, 9);
      relays(offers, asks, count);
    }
    shares.enforceRelays();
    expect(closed).toEqual(['a share: relays asked for, share']);
  });

  it('of links with half as many of them close the connection that offers them', () => {
    const asks = open('a');
    for (const [name, count] of [
      ['b', 6],
      ['c', 6],
    ] as const) {
      const offers = open(name);
      shares.links.count(offers.links, 9);
      relays(offers, asks, count);
    }
    shares.enforceRelays();
    expect(closed).toEqual([expect.stringMatching(/^[bc] share: relays offered, total$/)]);
  });

  it('of all together beyond the total close connections until they fit', () => {
    const all = ['a', 'b', 'c', 'd', 'e'].map((name) => open(name));
    for (const [i, asks] of all.entries()) {
      shares.lnkConns.count(asks.lnkConns, 1);
      relays(all[(i + 1) % all.length]!, asks, 8);
    }
    shares.enforceRelays();
    expect(closed).toEqual([]);
    relays(all[1]!, all[0]!, 1);
    shares.enforceRelays();
    expect(closed).toEqual(['a share: relays asked for, total']);
    expect(shares.asked.held).toBe(24);
  });

  it('are not looked at while endings are under way, and once after these', () => {
    const [asks, offers] = [open('a'), open('b')];
    shares.lnkConns.count(asks.lnkConns, 1);
    relays(offers, asks, 11);
    expect(shares.isOverRelays).toBe(false);
    endings.size = 2;
    shares.enforceRelays();
    shares.enforceRelays();
    expect([closed, endings.waiting.length, shares.isOverRelays]).toEqual([[], 1, true]);
    // When these are over others have begun.
    endings.waiting.shift()?.();
    expect([closed, endings.waiting.length]).toEqual([[], 1]);
    endings.size = 0;
    endings.waiting.shift()?.();
    expect([closed, endings.waiting.length]).toEqual([['a share: relays asked for, share'], 0]);
    endings.size = 1;
    expect(shares.isOverRelays).toBe(false);
  });

  it('of a connection that cannot give way are left', () => {
    const asks = shares.open({ close: () => {} }, 'a');
    relays(open('b'), asks, 11);
    shares.lnkConns.count(asks.lnkConns, 1);
    shares.enforceRelays();
    expect(shares.asked.held).toBe(11);
  });
});
