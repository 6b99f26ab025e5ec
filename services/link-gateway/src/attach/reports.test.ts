import type { StateChange } from '@spanmesh/proto/v1/gateway_control';
import { beforeEach, describe, expect, it } from 'vitest';
import type { LnkConn } from '../peers/peer.ts';
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
