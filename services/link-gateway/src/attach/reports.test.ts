import { bytesOf } from '@spanmesh/proto/state-change';
import { StateChange } from '@spanmesh/proto/v1/gateway_control';
import type { Step } from '@spanmesh/runtime/trace/step';
import { TRACE_CONTEXT_BYTES } from '@spanmesh/runtime/trace/trace-context';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Link, LnkConn } from '../peers/peer.ts';
import { Relay, RelaySource } from '../peers/peer.ts';
import { Reports } from './reports.ts';

const MIB = 1024 * 1024;
const ELSEWHERE = 'b.00000002';

let reports: Reports;
let changes: number;

beforeEach(() => {
  reports = new Reports();
  changes = 0;
  reports.onChange = () => changes++;
  reports.begin();
});

const source = (link: number, gateway = ELSEWHERE) => new RelaySource(gateway, link, 'linkid', Buffer.alloc(384));
const relay = (of: RelaySource, lnkConn: number) => new Relay(of, { id: lnkConn } as LnkConn, 7, false);

function taken(): StateChange {
  const [one, ...others] = reports.take(MIB);
  expect(others).toEqual([]);
  return one!;
}

describe('what has changed', () => {
  it('is taken once, and onChange is called for each change', () => {
    reports.tell('linksClosed', 4);
    reports.tell('linksClosed', 5);
    expect(changes).toBe(2);
    expect(taken().linksClosed).toEqual([4, 5]);
    expect([reports.bytes, reports.take(MIB)]).toEqual([0, []]);
  });

  it('is not kept while no leader listens', () => {
    reports.tell('linksClosed', 4);
    reports.end();
    reports.tell('linksClosed', 5);
    reports.onDemandOpened(relay(source(1), 2));
    reports.trunks(() => ({ established: [], unreachable: [] }));
    reports.stopping();
    expect([reports.isHeard, reports.bytes, reports.take(MIB), changes]).toEqual([false, 0, [], 1]);
    reports.begin();
    expect(reports.take(MIB)).toEqual([]);
  });

  it('names for a refused relay the command that opened it, or 0 while the snapshot is cut', () => {
    reports.relayRefused(relay(source(1), 2));
    reports.cut();
    reports.relayRefused(relay(source(1), 3));
    expect(taken().refusals.map(({ lnkConn, n }) => [lnkConn, n])).toEqual([
      [2, 0],
      [3, 7],
    ]);
  });

  it('tells of return paths the last change of each pair, packed by link', () => {
    const [one, two] = [source(1), source(2)];
    const opened = relay(one, 3);
    reports.onDemandOpened(opened);
    reports.onDemandClosed(opened);
    reports.onDemandClosed(relay(one, 4));
    reports.onDemandOpened(relay(one, 4));
    reports.onDemandOpened(relay(one, 5));
    reports.onDemandOpened(relay(two, 3));
    const { onDemandOpened, onDemandClosed } = taken();
    expect(onDemandOpened).toEqual([
      { linkGateway: ELSEWHERE, link: 1, lnkConns: [4, 5] },
      { linkGateway: ELSEWHERE, link: 2, lnkConns: [3] },
    ]);
    expect(onDemandClosed).toEqual([{ linkGateway: ELSEWHERE, link: 1, lnkConns: [3] }]);
  });

  it('tells the last progress of a drain only', () => {
    for (const closed of [0, 1, 2]) reports.drain({ order: 'o', chosen: 2, closed, cut: 0, done: closed === 2 });
    expect(taken().drains).toEqual([{ order: 'o', chosen: 2, closed: 2, cut: 0, done: true }]);
  });

  it('tells trunks as they are when the delta is taken', () => {
    const state = { established: [ELSEWHERE], unreachable: [] as string[] };
    reports.trunks(() => structuredClone(state));
    state.unreachable.push('c.00000003');
    expect(taken().trunks).toEqual({ established: [ELSEWHERE], unreachable: ['c.00000003'] });
    expect(reports.take(MIB)).toEqual([]);
  });

  it('is divided when it is large', () => {
    for (let link = 1; link <= 50_000; link++) reports.onDemandOpened(relay(source(link), 3));
    expect(reports.bytes).toBeGreaterThan(MIB);
    const parts = reports.take(MIB);
    expect(parts.length).toBeGreaterThan(1);
    expect(parts.flatMap(({ onDemandOpened }) => onDemandOpened)).toHaveLength(50_000);
  });
});

describe('a link of another gateway', () => {
  it('is told once that it is known', () => {
    const one = source(1);
    reports.linkKnown(one);
    reports.linkKnown(one);
    expect(taken().linksKnown).toEqual([{ gateway: ELSEWHERE, link: 1 }]);
    reports.linkKnown(one);
    expect(reports.take(MIB)).toEqual([]);
  });

  it('is not told if the leader has named it; nor are links of this gateway, nor the own span of a gateway', () => {
    const named = source(1);
    named.leaderKnows = true;
    for (const one of [named, source(2, ''), source(0)]) reports.linkKnown(one);
    expect(reports.take(MIB)).toEqual([]);
  });

  it('is still to be told if no leader has listened', () => {
    const one = source(1);
    reports.end();
    reports.linkKnown(one);
    expect(one.leaderKnows).toBe(false);
  });
});

describe('changes that wait', () => {
  const progress = (order: string, closed: number) => ({ order, chosen: 2, closed, cut: 0, done: false });

  it('are none at the beginning, and none are kept before a leader listens', () => {
    const fresh = new Reports();
    expect([fresh.isHeard, fresh.bytes, fresh.waiting, fresh.take(MIB)]).toEqual([false, 0, 0, []]);
    fresh.tell('linksClosed', 1);
    fresh.drain(progress('o', 1));
    fresh.offerersWithheld(() => ['ann']);
    expect([fresh.bytes, fresh.waiting, fresh.pressure.reported]).toEqual([0, 0, 0]);
    fresh.begin();
    expect([fresh.isHeard, fresh.take(MIB)]).toEqual([true, []]);
    expect(fresh.take(0)).toEqual([]);
  });

  it('are counted in bytes from above, each pair and drain once, and each change of a list', () => {
    reports.tell('linksClosed', 4);
    const one = bytesOf('linksClosed', 4);
    expect([reports.bytes, reports.pressure.reported]).toEqual([one, 1]);
    reports.tell('linksClosed', 5);
    expect([reports.bytes, reports.pressure.reported]).toEqual([2 * one, 2]);
    taken();
    const [a, b] = [source(1), source(2)];
    reports.onDemandOpened(relay(a, 3));
    const pair = reports.bytes;
    reports.onDemandClosed(relay(a, 3));
    expect([reports.bytes, reports.waiting]).toEqual([pair, 1]);
    reports.onDemandOpened(relay(a, 4));
    reports.onDemandOpened(relay(b, 3));
    expect([reports.bytes, reports.waiting]).toEqual([3 * pair, 2]);
    // The estimate is from above.
    const [delta] = reports.take(MIB);
    const encoded = StateChange.encode(delta ?? StateChange.create()).finish().length;
    expect(3 * pair).toBeGreaterThanOrEqual(encoded);
    expect([reports.bytes, reports.waiting]).toEqual([0, 0]);
    reports.drain(progress('o', 0));
    const drain = reports.bytes;
    expect(drain).toBe(bytesOf('drains', progress('o', 0)));
    reports.drain(progress('o', 1));
    expect([reports.bytes, reports.waiting]).toEqual([drain, 1]);
    reports.drain(progress('p', 1));
    expect([reports.bytes, reports.waiting]).toEqual([2 * drain, 2]);
    expect(taken().drains).toHaveLength(2);
    expect(reports.waiting).toBe(0);
  });

  it('are told to whoever asks to be, each one', () => {
    reports.onDemandOpened(relay(source(1), 2));
    reports.trunks(() => ({ established: [], unreachable: [] }));
    reports.offerersWithheld(() => []);
    reports.drain(progress('o', 0));
    reports.stopping();
    reports.relayRefused(relay(source(1), 2));
    expect(changes).toBe(6);
  });

  it('of trunks and offerers count once, are read when they are taken, and are told whole or not at all', () => {
    let withheld = ['ann'];
    reports.offerersWithheld(() => withheld);
    const bytes = reports.bytes;
    reports.offerersWithheld(() => withheld);
    expect([reports.bytes, bytes > 0]).toEqual([bytes, true]);
    withheld = ['ann', 'bob'];
    const delta = taken();
    expect([delta.withheld, delta.trunks]).toEqual([{ principals: ['ann', 'bob'] }, undefined]);
    const read = () => ({ established: [ELSEWHERE], unreachable: [] });
    reports.trunks(read);
    reports.trunks(read);
    expect(reports.bytes).toBe(bytes);
    const next = taken();
    expect([next.withheld, next.trunks]).toEqual([undefined, read()]);
  });

  it('of trunks and offerers have a part of their own if they are long, which is known only when they are read', () => {
    const many = Array.from({ length: 2000 }, (_, n) => `gateway-${n}.00000002`);
    reports.tell('linksClosed', 4);
    reports.trunks(() => ({ established: many, unreachable: [] }));
    const parts = reports.take(16 * 1024);
    expect(parts.map(({ linksClosed, trunks }) => [linksClosed, trunks?.established.length])).toEqual([
      [[4], undefined],
      [[], 2000],
    ]);
    reports.tell('linksClosed', 4);
    reports.offerersWithheld(() => many);
    expect(reports.take(16 * 1024)).toHaveLength(2);
  });

  it('are one part up to the size that is asked for', () => {
    reports.tell('linksClosed', 4);
    reports.tell('linksClosed', 5);
    const { bytes } = reports;
    expect(reports.take(bytes)).toHaveLength(1);
    for (let n = 0; n < 100; n++) reports.tell('linksClosed', n);
    expect(reports.take(reports.bytes - 1).length).toBeGreaterThan(1);
  });

  it('say that the gateway stops', () => {
    reports.stopping();
    expect(reports.bytes).toBeGreaterThan(0);
    expect(taken().stopping).toBe(true);
    reports.tell('linksClosed', 4);
    expect(taken().stopping).toBe(false);
  });

  it('leave out the own span of a gateway, which topology does not know', () => {
    reports.onDemandOpened(relay(source(0), 3));
    reports.linkKnown(source(0));
    expect([reports.bytes, changes]).toEqual([0, 0]);
  });

  it('let connections be read again once they are taken', async () => {
    let read = 0;
    reports.tell('linksClosed', 4);
    reports.pressure.onceLow(() => read++);
    taken();
    await new Promise((resolve) => setImmediate(resolve));
    expect(read).toBe(1);
  });

  it('have the trace of a link, whose step ends when it is taken, or at once if no leader listens', () => {
    const ends: (string | undefined)[] = [];
    const context = Buffer.alloc(TRACE_CONTEXT_BYTES, 1);
    const step = { context, end: (why?: string) => void ends.push(why) } as Step;
    const link = {
      id: 1,
      peer: { id: 2 },
      source: { payload: Buffer.alloc(384) },
      tx: { msgidLo: 1, msgidHi: 0 },
    } as Link;
    reports.linkOpened(link, step);
    expect(ends).toEqual([]);
    expect(taken().linksOpened).toMatchObject([{ id: 1, connection: 2, trace: context }]);
    expect(ends).toEqual([undefined]);
    reports.take(MIB);
    expect(ends).toHaveLength(1);
    reports.linkOpened(link);
    expect(taken().linksOpened.map(({ trace }) => trace?.length ?? 0)).toEqual([0]);
    reports.end();
    reports.linkOpened(link, step);
    expect(ends).toEqual([undefined, 'no leader listens']);
  });

  it('of relays are of the command that opened them only once the snapshot of this leader is cut', () => {
    reports.cut();
    reports.end();
    reports.begin();
    reports.relayRefused(relay(source(1), 2));
    expect(taken().refusals).toEqual([{ lnkConn: 2, linkGateway: ELSEWHERE, link: 1, n: 0 }]);
  });
});
