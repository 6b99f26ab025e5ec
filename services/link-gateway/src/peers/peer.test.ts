import { CREATE, DELETE, LNK_ERROR, LNK_SPAN, REPLY, REVTRANS } from '@spanmesh/dmsg/command';
import { CIRCUIT, LINKID } from '@spanmesh/dmsg/dialect';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import { decodeLnkSpanPayload } from '@spanmesh/dmsg/payload/lnk-span';
import { idOf, RecordingSide } from '@spanmesh/dmsg/recording-side.fixture';
import { describe, expect, it } from 'vitest';
import type { Connection } from '../connection/connection.ts';
import { lnkConnPayload, spanPayload } from '../testing/gateway.fixture.ts';
import { OpenTables } from './open-tables.ts';
import { Link, LnkConn, OWN_SPAN, Peer, Relay, RelaySource } from './peer.ts';

function aPeer() {
  const side = new RecordingSide({ rules: CIRCUIT });
  const left: string[] = [];
  const connection = { id: 5, endpoint: side.endpoint, isOpen: true, leave: (reason: string) => left.push(reason) };
  return { side, left, connection, peer: new Peer(connection as unknown as Connection) };
}

describe('our LNK_CONN', () => {
  it('is open until the peer has closed it, and its first answer is told once', () => {
    const { side, peer } = aPeer();
    expect([peer.id, peer.hasOwnLnkConn, peer.hasAnswered]).toEqual([5, false, false]);
    peer.openOwnLnkConn(side.endpoint, lnkConnPayload('circuit'));
    const [opened] = side.saidFrames();
    if (opened === undefined) throw new Error('nothing was said');
    const msgid = { lo: opened.msgidLo, hi: opened.msgidHi };
    expect([opened.cmd >>> 0, peer.hasOwnLnkConn]).toEqual([(CREATE | CIRCUIT.lnkConn) >>> 0, true]);
    const told: boolean[] = [];
    peer.onAnswered = (hasAnswered) => void told.push(hasAnswered);
    side.hear(CREATE | REPLY | REVTRANS | LNK_ERROR, { msgid });
    side.hear(REPLY | REVTRANS | LNK_ERROR, { msgid });
    expect([told, peer.hasAnswered, peer.hasOwnLnkConn, side.said()]).toEqual([[true], true, true, []]);
    side.hear(REPLY | REVTRANS | DELETE | LNK_ERROR, { msgid });
    expect([peer.hasOwnLnkConn, side.saidFrames().map(({ cmd }) => cmd & DELETE)]).toEqual([false, [DELETE]]);
  });

  it('is told as not answered when the socket closes first, and to nobody who does not ask any more', () => {
    const { peer } = aPeer();
    const told: boolean[] = [];
    peer.onAnswered = (hasAnswered) => void told.push(hasAnswered);
    peer.gone();
    peer.gone();
    peer.onAnswered = (hasAnswered) => void told.push(hasAnswered);
    peer.onAnswered = null;
    peer.gone();
    expect(told).toEqual([false]);
  });
});

describe('a peer that leaves', () => {
  const leaving = () => {
    const told: number[] = [];
    return { told, reason: 'draining', why: 'because', answered: () => void told.push(1) } as const;
  };

  it('has what it opens refused, and the first reason counts', () => {
    const { side, peer, left } = aPeer();
    const [one, other] = [leaving(), leaving()];
    peer.leave(one as never);
    peer.leave(other as never);
    expect([peer.leaving === (one as never), left]).toEqual([true, ['draining']]);
    side.hear(CREATE | LNK_SPAN, { msgid: { lo: 1, hi: 0 }, payload: spanPayload('circuit') });
    expect(side.saidFrames().map(({ error }) => error)).toEqual([ErrorCode.LOSTLINK]);
    expect(one.told).toEqual([]);
  });

  it('has answered once it has closed its side of our LNK_CONN', () => {
    const { side, peer } = aPeer();
    const one = leaving();
    peer.openOwnLnkConn(side.endpoint, lnkConnPayload('circuit'));
    const [opened] = side.saidFrames();
    if (opened === undefined) throw new Error('nothing was said');
    peer.leave(one as never);
    peer.endOwnLnkConn();
    expect([one.told, side.saidFrames().map(({ cmd }) => cmd & DELETE)]).toEqual([[], [DELETE]]);
    side.hear(CREATE | REPLY | REVTRANS | DELETE | LNK_ERROR, { msgid: { lo: opened.msgidLo, hi: opened.msgidHi } });
    expect(one.told).toEqual([1]);
    // It has closed its side already.
    peer.endOwnLnkConn();
    expect(one.told).toEqual([1, 1]);
  });

  it('has answered at once if there is no LNK_CONN of ours', () => {
    const { peer } = aPeer();
    const one = leaving();
    peer.leave(one as never);
    peer.endOwnLnkConn();
    expect(one.told).toEqual([1]);
  });

  it('cannot leave a connection that has ended', () => {
    const { peer, connection, left } = aPeer();
    Object.assign(connection, { endpoint: null });
    peer.leave(leaving() as never);
    expect([peer.leaving, left]).toEqual([null, []]);
  });
});

describe('what a relay passes on', () => {
  const source = (gateway = '', link = 7) =>
    new RelaySource(gateway, link, 'circuit', Buffer.from(spanPayload('circuit', 3, 2)));
  const sent = (of: RelaySource, rnssAdd: number) => {
    const side = new RecordingSide({ rules: CIRCUIT });
    const tx = side.endpoint.openLike(side.handler as never, of.template(rnssAdd));
    const [frame] = side.saidFrames();
    if (frame === undefined) throw new Error('nothing was said');
    expect([frame.cmd >>> 0, frame.msgidLo]).toEqual([(CREATE | LNK_SPAN) >>> 0, idOf(tx).lo]);
    const { dist, rnss } = decodeLnkSpanPayload('circuit', frame.buf, frame.off + 64);
    return [dist, rnss];
  };

  it('is the link with dist + 1 and more rnss, made once for each rnss, and anew when it was dropped', () => {
    const one = source();
    const first = one.template(10);
    expect([one.template(10) === first, sent(one, 10), sent(one, 20), one.template(20) === first]).toEqual([
      true,
      [3, 110],
      [3, 120],
      false,
    ]);
    const last = one.template(20);
    one.dropTemplate();
    expect(one.template(20) === last).toBe(false);
  });

  it('is this gateway’s own span as it is, and that of another gateway with dist + 1', () => {
    expect([source('', OWN_SPAN).isOwnSpan, source().isOwnSpan]).toEqual([true, false]);
    expect([sent(source('', OWN_SPAN), 10), sent(source('gw-2.00000001', OWN_SPAN), 10)]).toEqual([
      [2, 100],
      [3, 110],
    ]);
  });

  it('is in use while it has a relay or a refusal', () => {
    const one = source();
    expect([one.isInUse, one.isClosing]).toEqual([false, false]);
    for (const which of ['refusedBy', 'notOnDemand'] as const) {
      one[which] = new Set();
      expect(one.isInUse).toBe(false);
      one[which]?.add({} as LnkConn);
      expect(one.isInUse).toBe(true);
      one[which]?.clear();
    }
    one.relays.set(1, {} as Relay);
    expect(one.isInUse).toBe(true);
  });
});

it('a link, a LNK_CONN and their relays are open until they close, or their connection does', () => {
  const { peer, connection, side } = aPeer();
  const source = new RelaySource('', 1, 'circuit', Buffer.alloc(0));
  const tx = side.endpoint.open(LINKID.lnkConn, null, side.handler);
  const make = () => {
    const link = new Link(1, peer, tx, source, { stamp: 1, sinceUs: 1 });
    source.local = link;
    const lnkConn = new LnkConn(2, peer, tx, Buffer.alloc(0));
    return { link, lnkConn, relay: new Relay(source, lnkConn, 3, true) };
  };
  const { link, lnkConn, relay } = make();
  expect([link.isOpen, lnkConn.isOpen, relay.isClosing, relay.n, lnkConn.openedUs]).toEqual([true, true, false, 3, 0]);
  expect([link.connection, lnkConn.connection]).toEqual([connection, connection]);
  lnkConn.closed();
  expect([link.isOpen, lnkConn.isOpen, relay.isClosing]).toEqual([true, false, true]);
  const other = make();
  other.link.closed();
  expect([other.link.isOpen, other.lnkConn.isOpen, other.relay.isClosing]).toEqual([false, true, true]);
  const last = make();
  connection.isOpen = false;
  expect([last.link.isOpen, last.lnkConn.isOpen, last.relay.isClosing]).toEqual([false, false, true]);
  relay.route = tx;
  relay.routeGone();
  expect(relay.route).toBeNull();
});

it('the tables number what is open, count it, and find it', () => {
  const tables = new OpenTables();
  expect([tables.nextNumber(), tables.nextNumber(), tables.lastNumber]).toEqual([1, 2, 2]);
  // Stamps rise, whatever the clock does.
  expect([tables.nextStamp(1.0007), tables.nextStamp(0.5), tables.nextStamp(2)]).toEqual([1000, 1001, 2000]);
  const peer = { connection: { endpoint: { openCount: 3 } } } as unknown as Peer;
  tables.connections.set(1, peer).set(2, { connection: { endpoint: null } } as unknown as Peer);
  tables.sockets.add(peer);
  const forgotten: RelaySource[] = [];
  tables.onForgotten = (source) => void forgotten.push(source);
  const one = tables.learnRemote('a.1', 1, 'linkid', Buffer.from('x'));
  const two = tables.learnRemote('a.1', 2, 'linkid', Buffer.from('y'));
  const other = tables.learnRemote('b.1', 1, 'circuit', Buffer.from('z'));
  expect([tables.learnRemote('a.1', 1, 'linkid', Buffer.from('other')) === one, one.payload.toString()]).toEqual([
    true,
    'x',
  ]);
  expect(tables.counts()).toEqual({
    connections: 1,
    established: 2,
    lnkConns: 0,
    links: 0,
    remoteLinks: 3,
    transactions: 3,
  });
  tables.links.set(1, { source: two } as Link);
  expect([tables.source('', 1), tables.source('', 2), tables.source('b.1', 1), tables.source('c.1', 1)]).toEqual([
    two,
    undefined,
    other,
    undefined,
  ]);
  tables.forgetRemote(one);
  expect([forgotten, tables.source('a.1', 1), tables.source('a.1', 2)]).toEqual([[one], undefined, two]);
  tables.forgetRemote(two);
  expect([...tables.remoteLinks.keys()]).toEqual(['b.1']);
  tables.forgetRemote(two);
  expect(forgotten).toEqual([one, two, two]);
});
