import { CREATE, DELETE, LNK_ERROR, LNK_PING, LNK_SPAN, LNK_VOLCONF, REPLY } from '@spanmesh/dmsg/command';
import { CIRCUIT, type DialectRules, LINKID } from '@spanmesh/dmsg/dialect';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import { RecordingSide } from '@spanmesh/dmsg/recording-side.fixture';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import type { Job } from '@spanmesh/runtime/grpc/slices';
import { describe, expect, it } from 'vitest';
import type { Connection } from '../connection/connection.ts';
import { GatewayMetrics } from '../metrics.ts';
import { lnkConnPayload, spanPayload } from '../testing/gateway.fixture.ts';
import { Links, type LinksDependencies } from './links.ts';
import { LnkConns, type LnkConnsDependencies } from './lnk-conns.ts';
import { OpenTables } from './open-tables.ts';
import { type LnkConn, Peer, type RelaySource } from './peer.ts';

const id = (lo: number) => ({ lo, hi: 0 });

/** A peer of this dialect, and the handlers of its LNK_SPANs and LNK_CONNs, with everything else replaced. */
function world(rules: DialectRules) {
  const clock = new FakeClock({ wall: 1000 });
  const metrics = new GatewayMetrics();
  const tables = new OpenTables();
  const side = new RecordingSide({ rules });
  const connection = {
    id: 77,
    endpoint: side.endpoint,
    isOpen: true,
    address: '192.0.2.1',
    remote: '192.0.2.1:5000',
    principal: 'them',
    holdings: { links: 'held links', lnkConns: 'held LNK_CONNs' },
    closed: [] as string[],
    close(reason: string) {
      this.closed.push(reason);
    },
  };
  const peer = new Peer(connection as unknown as Connection);
  /** Calls, in order. */
  const told: unknown[] = [];
  const lines: unknown[] = [];
  /** Principals that have their share; whether the log takes a line; whether a trace is made of each link. */
  const set = { refused: false, logs: true, traces: false, isOwn: false };
  const pool = (name: string) => ({
    refusal: (principal: string) => (set.refused && principal === 'them' ? 'share' : null),
    count: (holding: unknown, by: number) => told.push([name, holding, by]),
  });
  const deps = {
    options: { maxLinks: 2, maxLnkConns: 2 },
    clock,
    metrics,
    tables,
    logger: { warn: (line: object, words: string) => lines.push([line, words]) },
    throttle: {
      admit: (key: string) => {
        told.push(['log', key]);
        return { log: set.logs, suppressed: 4 };
      },
    },
    shares: {
      links: pool('links'),
      lnkConns: pool('LNK_CONNs'),
      limited: (limit: unknown) => told.push(['limited', limit]),
    },
    reports: {
      linkOpened: (link: { id: number }, step: unknown) => told.push(['link', link.id, step]),
      tell: (...args: unknown[]) => told.push(args),
    },
    relays: {
      *closingAllOf(source: RelaySource): Job<number> {
        told.push(['relays of', source.link, source.local !== null]);
        yield 64;
        return 5;
      },
      *closingAllOn(lnkConn: LnkConn): Job<number> {
        told.push(['relays on', lnkConn.id]);
        yield 64;
        return 6;
      },
    },
    endings: { run: (principal: string, job: Job<void>) => told.push(['units', principal, ...job]) },
    tracing: {
      get tracer() {
        return set.traces ? { begin: (name: string, with_: object) => ({ name, ...with_ }) } : null;
      },
    },
    media: {
      lnkConnOpened: (lnkConn: LnkConn) => told.push(['media', lnkConn.id]),
      lnkConnClosed: (lnkConn: LnkConn) => told.push(['media closed', lnkConn.id]),
      slotReceived: (lnkConn: LnkConn, index: number) => told.push(['slot', lnkConn.id, index]),
    },
    events: { asksForSpans: (lnkConn: LnkConn) => told.push(['event', lnkConn.id]) },
    ownLnkConn: {
      isOwn: (buf: Uint8Array, start: number, end: number) => set.isOwn && buf.length >= end && end > start,
    },
  };
  const links = new Links(deps as unknown as LinksDependencies);
  const lnkConns = new LnkConns(deps as unknown as LnkConnsDependencies);
  side.onOpen = (tx, frame) => {
    if ((frame.cmd & 0xffffff) === LNK_SPAN) links.open(peer, tx, frame);
    else lnkConns.open(peer, tx, frame);
  };
  const answers = () => side.saidFrames().map(({ cmd, error }) => [(cmd & 0xf0ffffff) >>> 0, error]);
  const span = (msgid: number, more = 0, payload = spanPayload(rules.dialect)) =>
    side.hear(CREATE | LNK_SPAN | more, { msgid: id(msgid), payload });
  const lnkConn = (msgid: number, more = 0, peerType = 1) =>
    side.hear(CREATE | rules.lnkConn | more, { msgid: id(msgid), payload: lnkConnPayload(rules.dialect, peerType) });
  return { clock, metrics, tables, side, connection, peer, told, lines, set, links, lnkConns, answers, span, lnkConn };
}

const ACK = [(CREATE | REPLY | LNK_ERROR) >>> 0, 0];
const refusedWith = (error: number) => [(CREATE | REPLY | DELETE | LNK_ERROR) >>> 0, error];
const DONE = refusedWith(0);

describe('a link', () => {
  it.each([
    ['linkid', LINKID, []],
    ['circuit', CIRCUIT, [ACK]],
  ] as const)('is entered, counted and reported, and acknowledged in circuit (%s)', (dialect, rules, said) => {
    const { span, answers, told, tables, metrics, peer, clock, links, side } = world(rules);
    clock.advance(3);
    span(1);
    expect(answers()).toEqual(said);
    const link = tables.links.get(1);
    if (link === undefined) throw new Error('no link');
    expect(told).toEqual([
      ['links', 'held links', 1],
      ['link', 1, null],
    ]);
    expect([metrics.links, metrics.linksOpened, metrics.opensRefused, peer.links]).toEqual([1, 1, 0, 1]);
    expect([link.peer, link.isOpen, link.status, link.stamp, link.sinceUs]).toEqual([
      peer,
      true,
      null,
      1_003_000,
      1_003_000,
    ]);
    expect([link.source.local, link.source.dialect, link.source.sampledUs, link.source.gateway]).toEqual([
      link,
      dialect,
      3000,
      '',
    ]);
    expect(link.source.payload).toEqual(Buffer.from(spanPayload(dialect)));
    expect([links.linkOf(side.opened[0]), links.linkOf(undefined)]).toEqual([link, null]);
    // The second one is not sampled.
    span(2);
    expect([tables.links.get(2)?.source.sampledUs, tables.links.get(2)?.stamp]).toEqual([0, 1_003_001]);
  });

  it('is measured if it is the first, or one of 16 after that', () => {
    const { span, side, tables, clock } = world(LINKID);
    clock.advance(1);
    const measured: number[] = [];
    for (let n = 1; n <= 33; n++) {
      span(n);
      const [link] = tables.links.values();
      if (link?.source.sampledUs === 1000) measured.push(n);
      side.hear(DELETE | LNK_ERROR, { msgid: id(n) });
    }
    expect(measured).toEqual([1, 17, 33]);
  });

  it('begins a trace if there is a tracer', () => {
    const { span, told, set } = world(LINKID);
    set.traces = true;
    span(1);
    const attributes = { 'spanmesh.connection': 77, 'spanmesh.link': 1, 'spanmesh.peer': '192.0.2.1:5000' };
    expect(told[1]).toEqual(['link', 1, { name: 'link received', attributes }]);
  });

  it('that is opened and closed in one message is only answered', () => {
    for (const [rules, said] of [
      [LINKID, [DONE]],
      [CIRCUIT, [ACK, [(REPLY | DELETE | LNK_ERROR) >>> 0, 0]]],
    ] as const) {
      const { span, answers, told, tables, metrics } = world(rules);
      span(1, DELETE);
      expect([answers(), told, tables.links.size, metrics.linksOpened]).toEqual([said, [], 0, 0]);
    }
  });

  it('is refused with PARAM for its peer_type, with NOSUPP beyond the limit or the share, and counted', () => {
    const { span, answers, told, metrics, set, lines } = world(CIRCUIT);
    span(1, 0, spanPayload('circuit', 64));
    expect([answers(), told, metrics.opensRefused]).toEqual([[refusedWith(ErrorCode.PARAM)], [], 1]);
    set.refused = true;
    span(2);
    expect([answers(), told, metrics.opensRefused]).toEqual([[refusedWith(ErrorCode.NOSUPP)], [], 2]);
    set.refused = false;
    span(3, 0, spanPayload('circuit', 63));
    span(4);
    told.splice(0);
    answers();
    span(5);
    expect([answers(), metrics.opensRefused, metrics.links]).toEqual([[refusedWith(ErrorCode.NOSUPP)], 3, 2]);
    expect(told).toEqual([
      ['limited', { resource: 'LNK_SPANs of a connection', bound: 'share', principal: 'them', held: 2, limit: 2 }],
      ['log', 'over limit LNK_SPAN 192.0.2.1'],
    ]);
    expect(lines).toMatchObject([[{ connection: 77, what: 'LNK_SPAN', limit: 2, suppressed: 4 }, /too many/]]);
    set.logs = false;
    span(6);
    expect(lines).toHaveLength(1);
  });

  it('with a negative dist, which linkid alone has, is counted, and logged once an interval', () => {
    const { span, metrics, lines, set, told } = world(LINKID);
    span(1, 0, spanPayload('linkid', 3, -1));
    expect([metrics.negativeDists, told[0]]).toEqual([1, ['log', 'negative dist 192.0.2.1']]);
    expect(lines).toEqual([
      [{ connection: 77, peer: '192.0.2.1:5000', suppressed: 4 }, 'a LNK_SPAN has a negative dist: taken as 0'],
    ]);
    set.logs = false;
    span(2, 0, spanPayload('linkid', 3, -1));
    expect([metrics.negativeDists, lines.length]).toEqual([2, 1]);
  });

  it('has its status kept and reported; what has no meaning in it is counted', () => {
    const { span, side, told, tables, metrics, answers } = world(CIRCUIT);
    span(1);
    told.splice(0);
    const payload = spanPayload('circuit');
    new DataView(payload.buffer).setUint32(36, 0x80000001, true);
    side.hear(LNK_SPAN, { msgid: id(1), payload });
    expect([tables.links.get(1)?.status, told]).toEqual([
      0x80000001,
      [['linkStatuses', { link: 1, status: 0x80000001 }]],
    ]);
    expect([metrics.handled, metrics.ignoredMessages]).toEqual([1, 0]);
    side.hear(LNK_ERROR, { msgid: id(1) });
    expect(metrics.ignoredMessages).toBe(0);
    side.hear(LNK_PING, { msgid: id(1) });
    expect([metrics.handled, metrics.ignoredMessages, told.length]).toEqual([3, 1, 1]);
    answers();
  });

  it('that closes is out of all tables at once, its relays are closed, and then it is answered', () => {
    const { span, side, told, tables, metrics, peer, answers, links } = world(LINKID);
    span(1);
    const link = tables.links.get(1);
    if (link === undefined) throw new Error('no link');
    link.users = new Set([{ linkClosing: () => told.push('user') }]);
    told.splice(0);
    side.hear(DELETE | LNK_ERROR, { msgid: id(1) });
    expect(told).toEqual([
      ['linksClosed', 1],
      'user',
      ['links', 'held links', -1],
      ['relays of', 1, true],
      ['units', 'them', 64, 5],
    ]);
    expect(answers()).toEqual([DONE]);
    expect([link.isOpen, link.source.local, tables.links.size, metrics.links, peer.links]).toEqual([
      false,
      null,
      0,
      0,
      0,
    ]);
    const tx = side.opened[0];
    if (tx !== undefined) links.onMessage(tx as never, { cmd: DELETE } as never);
    expect([links.linkOf(tx), metrics.handled, told.length]).toEqual([null, 1, 5]);
  });

  it('that is lost with its connection is not reported, and not answered', () => {
    const { span, told, tables, metrics, answers, links, side } = world(LINKID);
    span(1);
    told.splice(0);
    const tx = side.opened[0] as never;
    links.onLost(tx);
    links.onLost(tx);
    expect([told, answers(), tables.links.size, metrics.links]).toEqual([
      [
        ['links', 'held links', -1],
        ['relays of', 1, true],
        ['units', 'them', 64, 5],
      ],
      [],
      0,
      0,
    ]);
  });
});

describe('a LNK_CONN', () => {
  it('is acknowledged, entered, counted and told of', () => {
    const { lnkConn, answers, told, tables, metrics, peer, clock } = world(LINKID);
    clock.advance(2);
    lnkConn(1);
    expect(answers()).toEqual([ACK]);
    const made = tables.lnkConns.get(1);
    if (made === undefined) throw new Error('no LNK_CONN');
    const payload = Buffer.from(lnkConnPayload('linkid'));
    expect(told).toEqual([
      ['LNK_CONNs', 'held LNK_CONNs', 1],
      ['media', 1],
      ['lnkConnsOpened', { id: 1, connection: 77, payload }],
      ['event', 1],
    ]);
    expect([made.openedUs, made.isOpen, peer.lnkConns.has(made), metrics.lnkConns, metrics.opensRefused]).toEqual([
      2000,
      true,
      true,
      1,
      0,
    ]);
  });

  it('that is our own closes the connection', () => {
    const { lnkConn, answers, told, set, connection } = world(LINKID);
    set.isOwn = true;
    lnkConn(1);
    expect([connection.closed, answers(), told]).toEqual([['self'], [], []]);
  });

  it('that is opened and closed in one message is only answered', () => {
    const { lnkConn, answers, told, tables } = world(LINKID);
    lnkConn(1, DELETE);
    expect([answers(), told, tables.lnkConns.size]).toEqual([[DONE], [], 0]);
  });

  it('is refused for its peer_type, beyond the limit, and beyond the share', () => {
    const { lnkConn, answers, told, metrics, set } = world(LINKID);
    lnkConn(1, 0, 64);
    set.refused = true;
    lnkConn(2);
    expect([answers(), told, metrics.opensRefused]).toEqual([
      [refusedWith(ErrorCode.PARAM), refusedWith(ErrorCode.NOSUPP)],
      [],
      2,
    ]);
    set.refused = false;
    lnkConn(3, 0, 63);
    lnkConn(4);
    told.splice(0);
    answers();
    lnkConn(5);
    expect([answers(), metrics.opensRefused, metrics.lnkConns]).toEqual([[refusedWith(ErrorCode.NOSUPP)], 3, 2]);
    expect(told[0]).toMatchObject(['limited', { resource: 'LNK_CONNs of a connection', held: 2, limit: 2 }]);
  });

  it('of a circuit peer is the only one', () => {
    const { lnkConn, answers, told, metrics } = world(CIRCUIT);
    lnkConn(1);
    told.splice(0);
    lnkConn(2);
    expect([answers(), told, metrics.opensRefused]).toEqual([[ACK, refusedWith(ErrorCode.PARAM)], [], 1]);
  });

  it('counts what has no meaning in it, and no acknowledgement', () => {
    const { lnkConn, side, metrics, told } = world(LINKID);
    lnkConn(1);
    told.splice(0);
    side.hear(LNK_ERROR, { msgid: id(1) });
    expect(metrics.ignoredMessages).toBe(0);
    side.hear(LNK_PING, { msgid: id(1) });
    expect([metrics.ignoredMessages, metrics.volconfs, told]).toEqual([1, 0, []]);
  });

  it('keeps the last LNK_VOLCONF of each slot, with stamps that rise though the clock stands', () => {
    const { lnkConn, side, metrics, told, tables, clock, lines } = world(LINKID);
    clock.advance(5);
    lnkConn(1);
    told.splice(0);
    const say = (index: number, path: string) => {
      const payload = Buffer.alloc(448);
      payload.write(path, 64);
      payload.writeUInt32LE(index, 128);
      side.hear(LNK_VOLCONF, { msgid: id(1), payload });
      const { copy, receivedUs } = tables.lnkConns.get(1)?.volconfs?.get(index) ?? {};
      return [copy?.toString('latin1', 64, 64 + path.length), receivedUs];
    };
    expect([say(3, 'a'), say(3, 'b'), say(4, 'c')]).toEqual([
      ['a', 5000],
      ['b', 5000 + 1 / 16],
      ['c', 5000 + 2 / 16],
    ]);
    clock.advance(1);
    expect(say(4, 'd')).toEqual(['d', 6000]);
    expect([told, metrics.volconfs, metrics.volconfsIgnored]).toEqual([
      [
        ['slot', 1, 3],
        ['slot', 1, 3],
        ['slot', 1, 4],
        ['slot', 1, 4],
      ],
      4,
      0,
    ]);
    say(256, 'e');
    expect([metrics.volconfsIgnored, lines]).toMatchObject([
      1,
      [[{ connection: 77, fault: 'index', suppressed: 4 }, expect.any(String)]],
    ]);
  });

  it('that closes is out of all tables at once, its relays are closed, and then it is answered', () => {
    const { lnkConn, side, told, tables, metrics, peer, answers, lnkConns } = world(LINKID);
    lnkConn(1);
    const made = tables.lnkConns.get(1);
    answers();
    told.splice(0);
    side.hear(DELETE | LNK_ERROR, { msgid: id(1) });
    expect(told).toEqual([
      ['lnkConnsClosed', 1],
      ['LNK_CONNs', 'held LNK_CONNs', -1],
      ['media closed', 1],
      ['relays on', 1],
      ['units', 'them', 64, 6],
    ]);
    expect(answers()).toEqual([[(REPLY | DELETE | LNK_ERROR) >>> 0, 0]]);
    expect([made?.isOpen, made?.tx.data, tables.lnkConns.size, metrics.lnkConns, peer.lnkConns.size]).toEqual([
      false,
      null,
      0,
      0,
      0,
    ]);
    lnkConns.onMessage(side.opened[0] as never, { cmd: DELETE } as never);
    expect(told).toHaveLength(5);
  });

  it('that is lost with its connection is not reported, and not answered', () => {
    const { lnkConn, told, tables, answers, lnkConns, side } = world(LINKID);
    lnkConn(1);
    told.splice(0);
    answers();
    const tx = side.opened[0] as never;
    lnkConns.onLost(tx);
    lnkConns.onLost(tx);
    expect(told).toEqual([
      ['LNK_CONNs', 'held LNK_CONNs', -1],
      ['media closed', 1],
      ['relays on', 1],
      ['units', 'them', 64, 6],
    ]);
    expect([answers(), tables.lnkConns.size]).toEqual([[], 0]);
  });
});
