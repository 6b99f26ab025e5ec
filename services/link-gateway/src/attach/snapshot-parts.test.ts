import { StateChangeParts } from '@spanmesh/proto/state-change';
import { ConnectionOrigin, Dialect } from '@spanmesh/proto/v1/types';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Connection } from '../connection/connection.ts';
import { PART_BYTES } from '../limits.ts';
import { OpenTables } from '../peers/open-tables.ts';
import { type Link, type LnkConn, Peer, Relay, RelaySource } from '../peers/peer.ts';
import { cutSnapshot } from './snapshot.ts';

const THERE = 'b.00000002';
const PAYLOAD = Buffer.alloc(384);

let tables: OpenTables;

beforeEach(() => {
  tables = new OpenTables();
  for (let n = 0; n < 100; n++) tables.nextNumber();
});

function peerOf(id: number, more: object = {}): Peer {
  const connection = {
    ...{ id, dialect: 'circuit', remote: '192.0.2.1:5', local: '192.0.2.2:6', origin: { kind: 'accepted' } },
    ...{ sinceUs: 7, principal: 'ann', isOpen: true, endpoint: { refuseOpens() {} }, leave() {} },
    ...more,
  };
  return new Peer(connection as unknown as Connection);
}

function lnkConnOf(id: number, isOpen = true): LnkConn {
  return { id, peer: { id: 1 }, payload: PAYLOAD, isOpen } as LnkConn;
}

function linkOf(id: number, { isOpen = true, status = null as string | null } = {}): RelaySource {
  const source = new RelaySource('', id, 'circuit', PAYLOAD);
  const tx = { msgidLo: 3, msgidHi: 4 };
  tables.links.set(id, { id, isOpen, status, source, stamp: 9, sinceUs: 8, tx, peer: { id: 1 } } as unknown as Link);
  return source;
}

/** Opens a relay of the link. */
function relay(source: RelaySource, lnkConn: LnkConn, wanted = true): Relay {
  const made = new Relay(source, lnkConn, 5, wanted);
  source.relays.set(lnkConn.id, made);
  return made;
}

function cut(sliceUnits?: number) {
  const parts = new StateChangeParts(PART_BYTES);
  const slices = [...cutSnapshot(tables, parts, sliceUnits)];
  const [all, ...others] = parts.all;
  expect(others).toEqual([]);
  return { all, slices };
}

describe('a snapshot', () => {
  it('has each connection as it is', () => {
    const peer = peerOf(1);
    expect(peer.described()).toEqual({
      ...{ id: 1, dialect: Dialect.DIALECT_CIRCUIT, remoteAddress: '192.0.2.1:5', localAddress: '192.0.2.2:6' },
      ...{ origin: ConnectionOrigin.CONNECTION_ORIGIN_ACCEPTED, owner: '', generation: 0, sinceUs: 7 },
      ...{ suspect: false, closing: '', principal: 'ann' },
    });
    const target = peerOf(2, { origin: { kind: 'target', owner: 'o', generation: 3 }, dialect: 'linkid' });
    target.liveness.suspect();
    target.leave({ reason: 'half-dead', why: 'moved', answered() {} });
    expect(target.described()).toMatchObject({
      ...{ dialect: Dialect.DIALECT_LINKID, origin: ConnectionOrigin.CONNECTION_ORIGIN_TARGET, owner: 'o' },
      ...{ generation: 3, suspect: true, closing: 'moved' },
    });
    expect(peerOf(3, { origin: { kind: 'shell' } }).described().origin).toBe(ConnectionOrigin.CONNECTION_ORIGIN_SHELL);
  });

  it('has all that is open, and leaves out what has closed', () => {
    tables.connections.set(1, peerOf(1)).set(2, peerOf(2, { isOpen: false }));
    tables.lnkConns.set(11, lnkConnOf(11)).set(12, lnkConnOf(12, false));
    linkOf(21);
    linkOf(22, { isOpen: false, status: 'gone' });
    linkOf(23, { status: 'busy' });
    const { all, slices } = cut();
    expect(all?.connectionsOpened.map(({ id }) => id)).toEqual([1]);
    expect(all?.lnkConnsOpened).toEqual([{ id: 11, connection: 1, payload: PAYLOAD }]);
    expect(all?.linksOpened.map(({ id }) => id)).toEqual([21, 23]);
    expect(all?.linksOpened[0]).toMatchObject({
      ...{ connection: 1, payload: PAYLOAD, stamp: 9, msgidLo: 3, msgidHi: 4, sinceUs: 8 },
    });
    expect(all?.linkStatuses).toEqual([{ link: 23, status: 'busy' }]);
    expect(slices).toEqual([7]);
  });

  it('has the relays of a link, wanted or on demand, and the peers that have refused it', () => {
    const source = linkOf(21);
    const [wanted, onDemand] = [relay(source, lnkConnOf(11)), relay(source, lnkConnOf(12), false)];
    relay(source, lnkConnOf(13, false));
    // Given its number after the snapshot was begun: a delta has it.
    relay(source, lnkConnOf(101));
    relay(source, lnkConnOf(100));
    source.refusedBy = new Set([lnkConnOf(14), lnkConnOf(15, false)]);
    const { all } = cut();
    expect(all?.relaysOpen).toEqual([{ linkGateway: '', link: 21, lnkConns: [11, 100] }]);
    expect(all?.onDemandOpened).toEqual([{ linkGateway: '', link: 21, lnkConns: [12] }]);
    expect(all?.refusals).toEqual([{ lnkConn: 14, linkGateway: '', link: 21, n: 0 }]);
    // They count as opened before this Attach.
    expect([wanted.n, onDemand.n]).toEqual([0, 0]);
    linkOf(22);
    expect(cut().all?.relaysOpen).toHaveLength(1);
  });

  it('has the links of other gateways that are in use here or withheld; all others are forgotten', () => {
    const remote = (link: number) => tables.learnRemote(THERE, link, 'linkid', PAYLOAD);
    const [used, unused, withheld, taken] = [remote(1), remote(2), remote(3), remote(4)];
    relay(used, lnkConnOf(11));
    unused.leaderKnows = true;
    withheld.offerer = { isWithheld: true } as RelaySource['offerer'];
    taken.offerer = { isWithheld: false } as RelaySource['offerer'];
    const own = remote(0);
    relay(own, lnkConnOf(12));
    const { all } = cut();
    expect(all?.linksKnown).toEqual([
      { gateway: THERE, link: 1 },
      { gateway: THERE, link: 3 },
    ]);
    expect(all?.relaysOpen).toEqual([{ linkGateway: THERE, link: 1, lnkConns: [11] }]);
    expect([used, withheld, own].map(({ leaderKnows }) => leaderKnows)).toEqual([true, true, false]);
    expect([...(tables.remoteLinks.get(THERE)?.keys() ?? [])]).toEqual([1, 3, 0]);
    expect(unused.leaderKnows).toBe(false);
  });

  it('is cut in slices: a connection, a LNK_CONN and a link are a unit each, and eight relays one more', () => {
    for (const id of [1, 2]) tables.connections.set(id, peerOf(id));
    expect(cut(2).slices).toEqual([2, 0]);
    expect(cut(3).slices).toEqual([2]);
    for (const id of [11, 12]) tables.lnkConns.set(id, lnkConnOf(id));
    expect(cut(2).slices).toEqual([2, 2, 0]);
    const source = linkOf(21);
    for (let id = 30; id < 46; id++) relay(source, lnkConnOf(id));
    expect(cut(3).slices).toEqual([3, 4, 0]);
    const remote = tables.learnRemote(THERE, 1, 'linkid', PAYLOAD);
    for (let id = 30; id < 38; id++) relay(remote, lnkConnOf(id));
    expect(cut(9).slices).toEqual([9, 0]);
    expect(cut(2).slices).toEqual([2, 2, 3, 2, 0]);
    expect(cut().slices).toEqual([9]);
    // Slices of 256 units unless said otherwise.
    for (let id = 1; id <= 256 - 7; id++) tables.connections.set(id, peerOf(id));
    expect(cut().slices).toEqual([256, 0]);
  });
});
