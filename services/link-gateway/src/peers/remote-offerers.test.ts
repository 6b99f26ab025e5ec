import { EventKind } from '@spanmesh/proto/v1/events';
import { Dialect } from '@spanmesh/proto/v1/types';
import { until } from '@spanmesh/runtime/patience.fixture';
import { limitsHit } from '@spanmesh/runtime/shares/limits-hit';
import { afterEach, describe, expect, it } from 'vitest';
import { MAX_WITHHELD_TOLD } from '../shares/limits.ts';
import { spanPayload, TestGateway } from '../testing/gateway.fixture.ts';

const ELSEWHERE = 'other.01234567';
const GREEDY = '192.0.2.66';
const HONEST = '192.0.2.1';
/** 100 relays in all, of which one principal may have 60 percent: 60 relays. */
const ENV = { SPANMESH_MAX_RELAYS: '100', SPANMESH_SHARE: '60' };

let gateway: TestGateway | undefined;

afterEach(async () => {
  await gateway?.stop();
  gateway = undefined;
});

async function start(): Promise<TestGateway> {
  gateway = await TestGateway.start({ env: ENV });
  return gateway;
}

/** Has topology relay links of a principal, which are at another gateway, on these LNK_CONNs. */
function relay(made: TestGateway, principal: string, links: readonly number[], open: readonly number[]): void {
  const payload = Buffer.from(spanPayload('circuit'));
  const dialect = Dialect.DIALECT_CIRCUIT;
  made.attach.command({
    links: links.map((link) => ({ gateway: ELSEWHERE, link, dialect, payload, principal })),
    relays: links.map((link) => ({ gateway: ELSEWHERE, link, open: [...open], close: [] })),
  });
}

function numbers(from: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => from + i);
}

function limited({ log }: TestGateway): unknown[] {
  return log.filter(({ msg }) => msg === 'a principal has more than its share');
}

describe('relays of links at another gateway', () => {
  // Causes: event LIMIT_HIT
  it('beyond the share of the principal that offers the links are all closed here, and nobody else loses a relay', async () => {
    const made = await start();
    const asking = [];
    for (const host of [1, 2, 3]) asking.push(await made.established('circuit', `127.0.0.${host}`));
    const lnkConns = asking.map(({ lnkConn }) => lnkConn);
    relay(made, HONEST, [1, 2], lnkConns);
    // 90 relays count for the greedy offerer, 30 for each peer that asks: only the offerer is over 60.
    relay(made, GREEDY, numbers(100, 30), lnkConns);
    await until(() => made.gateway.counters.relays === 6);
    expect(made.gateway.counters.closed.share).toBe(0);
    expect(asking.map(({ peer }) => peer.closed)).toEqual([false, false, false]);
    expect(limited(made)).toMatchObject([{ resource: 'relays offered', bound: 'share', principal: GREEDY, held: 90 }]);
    const limit = { limit: 'relays offered', principal: GREEDY, value: 60, held: 90, ofAll: false };
    expect(made.told.filter(({ kind }) => kind === EventKind.EVENT_KIND_LIMIT_HIT)).toMatchObject([
      { subject: GREEDY, principal: GREEDY, limit },
    ]);
    // What `spanmesh status` shows of this process.
    expect(limitsHit.all).toContainEqual(
      expect.objectContaining({ resource: 'relays offered', principal: GREEDY, limit: 60, held: 90 }),
    );
    // Further links of the greedy offerer are not relayed; those of others are.
    relay(made, GREEDY, [500], lnkConns);
    relay(made, HONEST, [3], lnkConns);
    expect(made.gateway.counters.relays).toBe(9);
    // The snapshot for the leader names none of its relays as open either.
    const parts = made.attach.attach();
    expect(parts.flatMap(({ relaysOpen }) => relaysOpen).map(({ link }) => link)).toEqual([1, 2, 3]);
    expect(parts.flatMap(({ refusals }) => refusals)).toEqual([]);
  });

  it('beyond the share are withheld, and topology and status are told so until the last of the links is gone', async () => {
    const made = await start();
    const asking = [];
    for (const host of [1, 2, 3]) asking.push(await made.established('circuit', `127.0.0.${host}`));
    const lnkConns = asking.map(({ lnkConn }) => lnkConn);
    const greedy = '192.0.2.99';
    const links = numbers(100, 30);
    relay(made, greedy, links, lnkConns);
    const told = () => made.attach.delta.withheld?.principals;
    await until(() => told()?.length === 1);
    expect(told()).toEqual([greedy]);
    const named = () => limitsHit.all.filter(({ principal, withheld }) => principal === greedy && withheld);
    expect(named()).toMatchObject([{ resource: 'relays offered', bound: 'share', held: 90, limit: 60, agoMs: 0 }]);
    // A leader that comes later hears of it, too, and the links stay known.
    expect(made.attach.attach().flatMap(({ withheld }) => withheld?.principals ?? [])).toEqual([greedy]);
    made.attach.command({ linksGone: links.slice(1).map((link) => ({ gateway: ELSEWHERE, link })) });
    expect(named()).toHaveLength(1);
    relay(made, greedy, [100], lnkConns);
    expect(made.gateway.counters.relays).toBe(0);
    made.attach.command({ linksGone: [{ gateway: ELSEWHERE, link: 100 }] });
    await until(() => told()?.length === 0);
    expect(named()).toEqual([]);
    expect(made.attach.attach().flatMap(({ withheld }) => withheld?.principals ?? [])).toEqual([]);
  });

  // Limits: shares/limits.ts MAX_WITHHELD_TOLD
  it('are told as withheld for a bounded number of principals', async () => {
    gateway = await TestGateway.start({ env: { SPANMESH_MAX_RELAYS: '4', SPANMESH_SHARE: '50' } });
    const made = gateway;
    const { lnkConn } = await made.established('circuit', '127.0.0.1');
    const other = await made.established('circuit', '127.0.0.2');
    const withheld = () => made.attach.attach().flatMap((part) => part.withheld?.principals ?? []).length;
    for (let i = 0; i <= MAX_WITHHELD_TOLD; i++) {
      // Four relays of two links; two may be.
      relay(made, `198.51.${100 + (i >> 8)}.${i & 255}`, [2 * i + 1, 2 * i + 2], [lnkConn, other.lnkConn]);
    }
    await until(() => made.gateway.tables().endings === 0);
    expect(made.gateway.tables()).toMatchObject({ remoteOfferers: MAX_WITHHELD_TOLD + 1 });
    expect(withheld()).toBe(MAX_WITHHELD_TOLD);
  });

  it('beyond the share of the principal that offers do not count against a peer that asks with several connections', async () => {
    const made = await start();
    const asking = [];
    for (let i = 0; i < 3; i++) asking.push(await made.established('circuit'));
    const lnkConns = asking.map(({ lnkConn }) => lnkConn);
    relay(made, HONEST, [1, 2], lnkConns);
    // 57 relays count for the greedy offerer; with the 6 others 63 count for the peer that asks, whose share is 60.
    relay(made, GREEDY, numbers(100, 19), lnkConns);
    await until(() => made.gateway.counters.relays === 6);
    expect(made.gateway.counters.closed.share).toBe(0);
    expect(limited(made)).toMatchObject([{ resource: 'relays offered', principal: GREEDY }]);
  });

  it('of few links close connections of the peer that asks with very many LNK_CONNs, and cost the principal that offers nothing', async () => {
    const made = await start();
    const honest = await made.established('circuit', '127.0.0.2');
    const greedy = [];
    for (let i = 0; i < 10; i++) greedy.push(await made.established('circuit', '127.0.0.66'));
    relay(made, HONEST, numbers(1, 7), [honest.lnkConn, ...greedy.map(({ lnkConn }) => lnkConn)]);
    await until(() => made.gateway.counters.closed.share > 0);
    // Each closed connection of the greedy peer takes seven relays with it.
    expect(made.gateway.counters).toMatchObject({ relays: 7 * 8, closed: { share: 3 } });
    expect(honest.peer.closed).toBe(false);
    expect(limited(made)).toMatchObject([{ resource: 'relays asked for', principal: '127.0.0.66' }]);
  });

  it('of many principals with a few links each close a connection of the peer whose LNK_CONNs have more relays than its share', async () => {
    const made = await start();
    const asking = [await made.established('circuit'), await made.established('circuit')];
    const lnkConns = asking.map(({ lnkConn }) => lnkConn);
    for (let i = 0; i < 11; i++) relay(made, `198.51.100.${i}`, numbers(1 + 3 * i, 3), lnkConns);
    // 66 relays count for the peer that asks, six for each offerer.
    await until(() => made.gateway.counters.closed.share > 0);
    expect(made.gateway.counters).toMatchObject({ relays: 33, closed: { share: 1 } });
    expect(limited(made)).toMatchObject([{ resource: 'relays asked for', bound: 'share', principal: '127.0.0.1' }]);
  });

  it('stay withheld as long as one of the links is known, and are opened again once all have been gone', async () => {
    const made = await start();
    const { lnkConn } = await made.established('circuit');
    const other = await made.established('circuit', '127.0.0.2');
    relay(made, GREEDY, numbers(100, 40), [lnkConn, other.lnkConn]);
    await until(() => made.gateway.counters.relays === 0);
    made.attach.command({ linksGone: numbers(100, 40).map((link) => ({ gateway: ELSEWHERE, link })) });
    expect(made.gateway.tables()).toMatchObject({
      'shares, held: relays offered': 0,
      remoteLinks: 0,
      remoteOfferers: 0,
    });
    relay(made, GREEDY, [200], [lnkConn, other.lnkConn]);
    expect(made.gateway.counters.relays).toBe(2);
    expect(made.gateway.tables()).toMatchObject({ 'shares, held: relays offered': 2, remoteOfferers: 1 });
    made.attach.command({ gatewaysGone: [ELSEWHERE] });
  });
});
