import {
  BLK_OPEN,
  CREATE,
  DBG_SHELL,
  DELETE,
  LNK_AUTH,
  LNK_ERROR,
  LNK_PAD,
  LNK_PING,
  LNK_SPAN,
  REPLY,
  REVCIRC,
  REVTRANS,
} from '@spanmesh/dmsg/command';
import { CIRCUIT, type DialectRules, LINKID } from '@spanmesh/dmsg/dialect';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import { RecordingSide } from '@spanmesh/dmsg/recording-side.fixture';
import type { Transaction } from '@spanmesh/dmsg/transaction';
import { describe, expect, it } from 'vitest';
import type { Connection } from '../connection/connection.ts';
import { GatewayMetrics } from '../metrics.ts';
import { Dispatcher, type DispatcherDependencies } from './dispatcher.ts';
import { Peer } from './peer.ts';

const A = { lo: 0xa, hi: 0 };
const B = { lo: 0xb, hi: 0 };
/** An id that names nothing that is open. */
const FAR = { lo: 0, hi: 7 };

/** A peer of this dialect whose messages go to a dispatcher; `told`: which handlers got them. */
function world(rules: DialectRules) {
  const metrics = new GatewayMetrics();
  const side = new RecordingSide({ rules });
  const peer = new Peer({ endpoint: side.endpoint } as unknown as Connection);
  const told: unknown[] = [];
  const opens = (name: string) => ({ open: (whose: Peer) => told.push(whose === peer && name) });
  const dispatcher = new Dispatcher({
    metrics,
    lnkConns: opens('LNK_CONN'),
    links: opens('LNK_SPAN'),
    shell: {
      ...opens('shell'),
      oneWay: (_peer: Peer, _frame: unknown, circuit: Transaction | null) => told.push(['shell', circuit]),
    },
    routing: { ...opens('routing'), oneWay: () => told.push('one way') },
  } as unknown as DispatcherDependencies);
  side.onOpen = (tx, frame) => dispatcher.open(peer, tx, frame);
  side.onOneWay = (frame, circuit) => dispatcher.oneWay(peer, frame, circuit);
  const counts = () => {
    const { handled, unknownCommands, ignoredMessages, routedDropped } = metrics;
    return { handled, unknownCommands, ignoredMessages, routedDropped };
  };
  return { metrics, side, peer, told, dispatcher, counts };
}

const NONE = { handled: 0, unknownCommands: 0, ignoredMessages: 0, routedDropped: 0 };

/** Command, without the flags of direction that circuit has, and error of what was said. */
const answers = (side: RecordingSide) =>
  side.saidFrames().map(({ cmd, error }) => [(cmd & ~(REVTRANS | REVCIRC)) >>> 0, error]);

/** The answer to a transaction that is not for us. */
const NOSUPP = [(CREATE | REPLY | DELETE | LNK_ERROR) >>> 0, ErrorCode.NOSUPP];

describe.each([
  ['linkid', LINKID],
  ['circuit', CIRCUIT],
] as const)('a transaction of a %s peer', (dialect, rules) => {
  it('goes to the handler of its command', () => {
    const { side, told, counts } = world(rules);
    side.hear(CREATE | rules.lnkConn, { msgid: A });
    side.hear(CREATE | LNK_SPAN, { msgid: B });
    side.hear(CREATE | DBG_SHELL, { msgid: { lo: 0xc, hi: 0 } });
    expect([told, counts(), side.said()]).toEqual([['LNK_CONN', 'LNK_SPAN', 'shell'], { ...NONE, handled: 3 }, []]);
  });

  it('with a command that is unknown is refused with NOSUPP', () => {
    const { side, told, counts } = world(rules);
    side.hear(CREATE | LNK_AUTH, { msgid: A });
    const other = dialect === 'linkid' ? CIRCUIT : LINKID;
    side.hear(CREATE | other.lnkConn, { msgid: B });
    expect([told, counts(), answers(side)]).toEqual([
      [],
      { ...NONE, handled: 2, unknownCommands: 2 },
      [NOSUPP, NOSUPP],
    ]);
  });
});

it('a PING as a transaction is answered in circuit, and unknown in linkid', () => {
  const circuit = world(CIRCUIT);
  circuit.side.hear(CREATE | LNK_PING, { msgid: A });
  expect(answers(circuit.side)).toEqual([[(CREATE | REPLY | DELETE | LNK_PING) >>> 0, 0]]);
  const linkid = world(LINKID);
  linkid.side.hear(CREATE | LNK_PING, { msgid: A });
  expect([answers(linkid.side), linkid.counts().unknownCommands]).toEqual([[NOSUPP], 1]);
});

describe('a transaction for another peer', () => {
  it.each([{ target: FAR }, { circuit: FAR }])(
    'is passed on (linkid, %j), unless it is one of the link layer',
    (to) => {
      const { side, told, counts } = world(LINKID);
      side.hear(CREATE | BLK_OPEN, { msgid: A, ...to });
      expect([told, counts()]).toEqual([['routing'], NONE]);
      side.hear(CREATE | LNK_SPAN, { msgid: B, ...to });
      side.hear(CREATE | LINKID.lnkConn, { msgid: { lo: 0xc, hi: 0 }, ...to });
      expect([told, counts(), answers(side)]).toEqual([['routing'], { ...NONE, routedDropped: 2 }, [NOSUPP, NOSUPP]]);
    },
  );

  it('named by a target is for us in circuit, which has no targets', () => {
    const { side, told } = world(CIRCUIT);
    side.hear(CREATE | DBG_SHELL, { msgid: A, target: FAR });
    expect(told).toEqual(['shell']);
  });

  it('on a span of the peer itself is for us, and can open neither spans nor LNK_CONNs', () => {
    const { side, told, counts } = world(CIRCUIT);
    side.hear(CREATE | LNK_SPAN, { msgid: A });
    side.hear(CREATE | DBG_SHELL, { msgid: B, circuit: A });
    side.hear(CREATE | LNK_PING, { msgid: { lo: 0xc, hi: 0 }, circuit: A });
    side.hear(CREATE | LNK_SPAN, { msgid: { lo: 0xd, hi: 0 }, circuit: A });
    expect([told, counts()]).toEqual([['LNK_SPAN', 'shell'], { ...NONE, handled: 3, routedDropped: 1 }]);
    expect(answers(side)).toEqual([[(CREATE | REPLY | DELETE | LNK_PING) >>> 0, 0], NOSUPP]);
  });
});

describe.each([
  ['linkid', LINKID],
  ['circuit', CIRCUIT],
] as const)('a one-way message of a %s peer', (dialect, rules) => {
  it('is answered if it is a PING or unknown', () => {
    const { side, counts } = world(rules);
    const nosupp = [LNK_ERROR | REPLY, ErrorCode.NOSUPP];
    side.hear(LNK_PING);
    expect(answers(side)).toEqual([dialect === 'linkid' ? nosupp : [LNK_PING | REPLY, 0]]);
    side.hear(LNK_AUTH);
    expect([answers(side), counts()]).toEqual([[nosupp], { ...NONE, handled: 2, unknownCommands: 1 }]);
  });

  it('is not answered if it is a pad, an error, a span or a reply', () => {
    const { side, told, counts } = world(rules);
    for (const cmd of [LNK_PAD, LNK_ERROR, LNK_PAD | REPLY, LNK_AUTH | REPLY, DBG_SHELL | REPLY]) side.hear(cmd);
    expect([answers(side), counts(), told]).toEqual([[], { ...NONE, handled: 5 }, []]);
    side.hear(LNK_SPAN);
    expect([answers(side), counts(), told]).toEqual([[], { ...NONE, handled: 6, ignoredMessages: 1 }, []]);
  });

  it('goes to the shell', () => {
    const { side, told, counts } = world(rules);
    side.hear(DBG_SHELL);
    expect([answers(side), told, counts()]).toEqual([[], [['shell', null]], { ...NONE, handled: 1 }]);
  });

  it('that answers our PING shows that the peer answers PINGs', () => {
    const { side, peer } = world(rules);
    side.hear(LNK_PING | REPLY);
    expect(peer.liveness.answersPings).toBe(false);
    peer.liveness.pinged(1);
    side.hear(LNK_ERROR | REPLY, { error: ErrorCode.PARAM });
    expect(peer.liveness.answersPings).toBe(false);
    side.hear(LNK_ERROR | REPLY, { error: ErrorCode.NOSUPP });
    expect(peer.liveness.answersPings).toBe(true);
  });

  it('is thrown away once the connection has ended', () => {
    const { dispatcher, told, counts, side, peer } = world(rules);
    side.onOneWay = (frame, circuit) =>
      dispatcher.oneWay(new Peer({ endpoint: null } as unknown as Connection), frame, circuit);
    side.hear(DBG_SHELL);
    expect([told, counts(), peer.lnkConns.size]).toEqual([[], NONE, 0]);
  });
});

it.each([{ target: FAR }, { circuit: FAR }])(
  'a one-way message for another peer is passed on (linkid, %j), unless it is one of the link layer',
  (to) => {
    const { side, told, counts } = world(LINKID);
    side.hear(LNK_PING, to);
    side.hear(DBG_SHELL | REPLY, to);
    expect([told, counts(), answers(side)]).toEqual([['one way', 'one way'], NONE, []]);
    side.hear(LNK_SPAN, to);
    side.hear(LINKID.lnkConn, to);
    expect([told.length, counts(), answers(side)]).toEqual([2, { ...NONE, routedDropped: 2 }, []]);
  },
);

it('a one-way message on a span of the peer itself is answered on it, and is no answer to our PING', () => {
  const { side, peer, told, counts } = world(CIRCUIT);
  side.hear(CREATE | LNK_SPAN, { msgid: A });
  const [span] = side.opened;
  side.hear(LNK_PING, { circuit: A });
  side.hear(LNK_AUTH, { circuit: A });
  expect(side.saidFrames().map(({ cmd, circuitLo }) => [(cmd & ~REVCIRC) >>> 0, circuitLo])).toEqual([
    [LNK_PING | REPLY, A.lo],
    [LNK_ERROR | REPLY, A.lo],
  ]);
  side.hear(LNK_SPAN, { circuit: A });
  expect([answers(side), counts()]).toEqual([[], { ...NONE, handled: 3, unknownCommands: 1, routedDropped: 1 }]);
  peer.liveness.pinged(1);
  side.hear(LNK_PING | REPLY, { circuit: A });
  expect(peer.liveness.answersPings).toBe(false);
  side.hear(DBG_SHELL, { circuit: A });
  expect(told).toEqual(['LNK_SPAN', ['shell', span]]);
});
