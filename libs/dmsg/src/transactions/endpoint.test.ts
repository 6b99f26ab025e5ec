import { describe, expect, it } from 'vitest';
import {
  ABORT,
  BLK_OPEN,
  BLK_READ,
  CREATE,
  DBG_SHELL,
  DELETE,
  LNK_CONN_CIRCUIT,
  LNK_ERROR,
  LNK_PING,
  LNK_SPAN,
  REPLY,
  REVCIRC,
  REVTRANS,
} from '../command.ts';
import { CIRCUIT, type DialectRules, LINKID } from '../dialect.ts';
import { DmsgError } from '../dmsg-error.ts';
import { ErrorCode } from '../error-code.ts';
import type { MessageFields } from '../wire/message.ts';
import { idOf, RecordingSide } from './recording-side.fixture.ts';
import type { Transaction } from './transaction.ts';

const ID = { lo: 0x77, hi: 0 };
const OTHER = { lo: 0x88, hi: 0 };
const THIRD = { lo: 0x99, hi: 0 };
const both: [string, DialectRules, number][] = [
  ['linkid', LINKID, 0],
  ['circuit', CIRCUIT, REVTRANS],
];

/** Expects the peer's message to be a protocol error: TRANS. */
function expectViolation(side: RecordingSide, cmd: number, fields: Partial<MessageFields>, reason: string) {
  let thrown: unknown;
  try {
    side.hear(cmd, fields);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(DmsgError);
  expect(thrown).toMatchObject({ code: ErrorCode.TRANS, reason });
  expect(side.said()).toEqual([]);
}

/** Expects the peer's message to be thrown away without an answer or a notification. */
function expectQuiet(side: RecordingSide, cmd: number, fields: Partial<MessageFields>) {
  side.said();
  side.heard();
  const before = side.endpoint.dropped;
  side.hear(cmd, fields);
  expect(side.endpoint.dropped).toBe(before + 1);
  expect([side.said(), side.heard()]).toEqual([[], []]);
}

/** A side with a transaction of the peer open on the link itself. */
function withPeers(rules: DialectRules): { side: RecordingSide; tx: Transaction } {
  const side = new RecordingSide({ rules });
  side.hear(LNK_SPAN | CREATE, { msgid: ID });
  side.heard();
  return { side, tx: side.opened[0]! };
}

/** A side with a transaction of ours open on the link itself. */
function withOwn(rules: DialectRules): { side: RecordingSide; tx: Transaction } {
  const side = new RecordingSide({ rules });
  const tx = side.endpoint.open(LNK_SPAN, null, side.handler);
  side.said();
  return { side, tx };
}

describe.each(both)('words on the wire (%s)', (_, rules, rev) => {
  it('opens, answers and stays open, closes by the opener', () => {
    const { side, tx } = withPeers(rules);
    side.endpoint.send(tx, LNK_ERROR);
    side.endpoint.send(tx, LNK_ERROR);
    side.endpoint.end(tx);
    const words = [0xa00fff01 | rev, 0x200fff01 | rev, 0x600fff01 | rev].map((word) => (word >>> 0).toString(16));
    expect(side.said()).toEqual(words.map((word) => `${word} 77 0`));
    side.hear(LNK_ERROR | DELETE, { msgid: ID });
    expect(side.heard()).toEqual(['message 400fff01 77 0']);
    expect(side.endpoint.openCount).toBe(0);
  });

  it('closes with CREATE when the end is the first answer', () => {
    const { side, tx } = withPeers(rules);
    side.endpoint.end(tx, ErrorCode.NOSUPP);
    expect(side.said()).toEqual([`${((0xe00fff01 | rev) >>> 0).toString(16)} 77 0 error 20`]);
  });

  it('writes our own transaction with the opener’s words', () => {
    const side = new RecordingSide({ rules });
    const tx = side.endpoint.open(rules.lnkConn, null, side.handler, new Uint8Array(8));
    side.endpoint.send(tx, LNK_SPAN);
    side.endpoint.end(tx, 0, true);
    side.endpoint.end(tx);
    const conn = ((rules.lnkConn | CREATE) >>> 0).toString(16);
    expect(side.said()).toEqual([`${conn} 100000001 0`, '00001207 100000001 0', '500fff01 100000001 0']);
    expect(side.endpoint.messagesOut).toBe(3);
  });

  it('a transaction opened and closed in one message is still answered', () => {
    const side = new RecordingSide({ rules });
    side.hear(LNK_PING | CREATE | DELETE, { msgid: ID });
    expect(side.endpoint.openCount).toBe(1);
    side.endpoint.send(side.opened[0]!, LNK_PING | DELETE);
    expect(side.said()).toEqual([`${((0xe0000101 | rev) >>> 0).toString(16)} 77 0`]);
    expect(side.endpoint.openCount).toBe(0);
  });

  it('frees a msgid only when both directions are deleted', () => {
    const { side, tx } = withPeers(rules);
    side.endpoint.end(tx);
    expect(side.endpoint.openCount).toBe(1);
    side.hear(LNK_ERROR | DELETE, { msgid: ID });
    side.hear(LNK_SPAN | CREATE, { msgid: ID });
    expect(side.opened.length).toBe(2);
  });

  it('keeps ours and the peer’s transaction of the same msgid apart', () => {
    const side = new RecordingSide({ rules });
    const mine = side.endpoint.open(LNK_SPAN, null, side.handler);
    side.hear(LNK_SPAN | CREATE, { msgid: idOf(mine) });
    side.hear(LNK_ERROR | DELETE, { msgid: idOf(mine) });
    expect([mine.rxDeleted, side.opened[0]!.rxDeleted]).toEqual([false, true]);
    side.hear(LNK_ERROR | CREATE | DELETE | REPLY | rev, { msgid: idOf(mine) });
    expect(mine.rxDeleted).toBe(true);
  });

  it('sends nothing after our DELETE', () => {
    const { side, tx } = withPeers(rules);
    side.endpoint.end(tx);
    side.said();
    expect(side.endpoint.send(tx, LNK_ERROR)).toBe(false);
    side.endpoint.end(tx);
    expect(side.said()).toEqual([]);
    expect(side.endpoint.dropped).toBe(1);
  });

  it('sends payload and aux data padded with zeros', () => {
    const side = new RecordingSide({ rules });
    side.endpoint.oneWay(DBG_SHELL | REPLY, 0, null, new Uint8Array([1, 2, 3]));
    side.endpoint.oneWay(LNK_SPAN, 0, new Uint8Array([9]));
    const [text, span] = side.saidFrames();
    expect([text!.headBytes, text!.auxPadded, text!.auxBytes]).toEqual([64, 64, rules.auxUnit === 1 ? 3 : 64]);
    expect([...text!.buf.subarray(64)]).toEqual([1, 2, 3, ...new Array<number>(61).fill(0)]);
    expect([...span!.buf.subarray(64)]).toEqual([9, ...new Array<number>(383).fill(0)]);
  });

  it('refuses to write a message out of bounds, and then has written nothing', () => {
    const { side, tx } = withPeers(rules);
    const tooLarge = new Uint8Array(rules.auxLimit + 1);
    expect(() => side.endpoint.send(tx, LNK_ERROR | DELETE, 0, null, tooLarge)).toThrow(DmsgError);
    expect(() => side.endpoint.send(tx, LNK_ERROR, 0, new Uint8Array(1))).toThrow(DmsgError);
    expect(() => side.endpoint.open(0x00000100, null, side.handler)).toThrow(DmsgError);
    expect([side.said(), tx.txDeleted, side.endpoint.openCount]).toEqual([[], false, 1]);
  });
});

describe.each(both)('row: protocol errors (%s)', (_, rules, rev) => {
  it('a duplicate CREATE of the peer’s', () => {
    const { side } = withPeers(rules);
    expectViolation(side, LNK_SPAN | CREATE, { msgid: ID }, 'duplicate CREATE');
  });

  it('a duplicate CREATE of a half-closed transaction', () => {
    const { side } = withPeers(rules);
    side.hear(LNK_ERROR | DELETE, { msgid: ID });
    expectViolation(side, LNK_SPAN | CREATE, { msgid: ID }, 'duplicate CREATE');
  });

  it('a duplicate REPLY|CREATE', () => {
    const { side, tx } = withOwn(rules);
    side.hear(LNK_ERROR | CREATE | REPLY | rev, { msgid: idOf(tx) });
    expectViolation(side, LNK_ERROR | CREATE | REPLY | rev, { msgid: idOf(tx) }, 'duplicate CREATE');
  });

  it('CREATE with msgid 0', () => {
    const side = new RecordingSide({ rules });
    expectViolation(side, LNK_SPAN | CREATE, {}, 'CREATE with msgid 0');
    expectViolation(side, LNK_SPAN | CREATE | REPLY | rev, {}, 'CREATE with msgid 0');
  });

  it.each([
    ['DELETE', DELETE],
    ['REPLY|CREATE', REPLY | CREATE],
    ['REPLY|DELETE', REPLY | DELETE],
    ['REPLY|CREATE|DELETE', REPLY | CREATE | DELETE],
  ])('%s for a transaction that is not there', (_name, flags) => {
    const side = new RecordingSide({ rules });
    const word = LNK_ERROR | flags | ((flags & REPLY) !== 0 ? rev : 0);
    expectViolation(side, word, { msgid: ID }, 'message for a transaction that is not there');
  });

  it('a second DELETE', () => {
    const { side } = withPeers(rules);
    side.hear(LNK_ERROR | DELETE, { msgid: ID });
    expectViolation(side, LNK_ERROR | DELETE, { msgid: ID }, 'second DELETE');
  });

  it('a second REPLY|DELETE', () => {
    const { side, tx } = withOwn(rules);
    side.hear(LNK_ERROR | CREATE | DELETE | REPLY | rev, { msgid: idOf(tx) });
    expectViolation(side, LNK_ERROR | DELETE | REPLY | rev, { msgid: idOf(tx) }, 'second DELETE');
  });

  it('REPLY|DELETE without a CREATE before', () => {
    const { side, tx } = withOwn(rules);
    expectViolation(side, LNK_ERROR | DELETE | REPLY | rev, { msgid: idOf(tx) }, 'DELETE without CREATE');
  });

  it('a message after DELETE', () => {
    const { side } = withPeers(rules);
    side.hear(LNK_ERROR | DELETE, { msgid: ID });
    expectViolation(side, LNK_SPAN, { msgid: ID }, 'message after DELETE');
  });

  it('DELETE with msgid 0', () => {
    expectViolation(new RecordingSide({ rules }), LNK_ERROR | DELETE, {}, 'DELETE with msgid 0');
    expectViolation(new RecordingSide({ rules }), LNK_ERROR | DELETE | REPLY, {}, 'DELETE with msgid 0');
  });

  it('opens as many as it may have open, both sides’ counted, and no more', () => {
    const side = new RecordingSide({ rules, maxOpen: 2 });
    side.hear(LNK_SPAN | CREATE, { msgid: ID });
    const mine = side.endpoint.open(LNK_SPAN, null, side.handler);
    expect(() => side.endpoint.open(LNK_SPAN, null, side.handler)).toThrow('too many open transactions');
    side.endpoint.end(mine);
    side.hear(LNK_SPAN | REPLY | CREATE | DELETE | rev, { msgid: idOf(mine) });
    side.endpoint.open(LNK_SPAN, null, side.handler);
    expect(side.endpoint.openCount).toBe(2);
  });

  // Limits: transactions/openings.ts DEFAULT_MAX_TRANSACTIONS
  it('more open transactions than the limit: PARAM', () => {
    const side = new RecordingSide({ rules, maxTransactions: 2 });
    side.hear(LNK_SPAN | CREATE, { msgid: ID });
    side.hear(LNK_SPAN | CREATE, { msgid: OTHER });
    expect(() => side.hear(LNK_SPAN | CREATE, { msgid: THIRD })).toThrow(
      expect.objectContaining({ code: ErrorCode.PARAM }),
    );
    expect(side.endpoint.openCount).toBe(2);
  });
});

describe('row: protocol errors of the linkid dialect', () => {
  it('out-of-band aux data', () => {
    const reason = 'out-of-band aux data is not supported';
    expectViolation(new RecordingSide({ rules: LINKID }), LNK_PING | REVTRANS, {}, reason);
    expectViolation(new RecordingSide({ rules: LINKID }), LNK_SPAN | CREATE | REVTRANS, { msgid: ID }, reason);
  });
});

describe('row: protocol errors of the circuit dialect', () => {
  it('CREATE without REPLY but with REVTRANS', () => {
    const side = new RecordingSide({ rules: CIRCUIT });
    expectViolation(side, LNK_SPAN | CREATE | REVTRANS, { msgid: ID }, 'REVTRANS without REPLY');
  });

  it('REVTRANS without REPLY inside a transaction, of which the reference dies', () => {
    const { side, tx } = withOwn(CIRCUIT);
    side.hear(LNK_ERROR | CREATE | REPLY | REVTRANS, { msgid: idOf(tx) });
    expectViolation(side, DBG_SHELL | REVTRANS, { msgid: idOf(tx) }, 'REVTRANS without REPLY');
  });

  it('REPLY without REVTRANS in a transaction', () => {
    const { side, tx } = withOwn(CIRCUIT);
    expectViolation(side, LNK_ERROR | CREATE | REPLY, { msgid: idOf(tx) }, 'REPLY without REVTRANS');
    const { side: other } = withPeers(CIRCUIT);
    expectViolation(other, LNK_ERROR | REPLY, { msgid: ID }, 'REPLY without REVTRANS');
  });

  it('REVTRANS with msgid 0', () => {
    expectViolation(new RecordingSide({ rules: CIRCUIT }), LNK_PING | REVTRANS, {}, 'REVTRANS with msgid 0');
    expectViolation(new RecordingSide({ rules: CIRCUIT }), LNK_PING | REPLY | REVTRANS, {}, 'REVTRANS with msgid 0');
  });

  it('a wrong circuit on an open transaction', () => {
    const { side } = withPeers(CIRCUIT);
    const reason = 'wrong circuit on an open transaction';
    side.hear(LNK_SPAN | CREATE, { msgid: OTHER });
    expectViolation(side, LNK_ERROR | DELETE, { msgid: OTHER, circuit: ID }, reason);
    side.hear(BLK_OPEN | CREATE, { msgid: THIRD, circuit: ID });
    expectViolation(side, LNK_ERROR | DELETE, { msgid: THIRD, circuit: OTHER }, reason);
    expectViolation(side, LNK_ERROR | DELETE, { msgid: THIRD }, reason);
  });

  it('a wrong circuit that differs in REVCIRC only', () => {
    const { side, tx } = withOwn(CIRCUIT);
    side.hear(LNK_SPAN | CREATE, { msgid: idOf(tx) });
    side.hear(BLK_OPEN | CREATE | REVCIRC, { msgid: OTHER, circuit: idOf(tx) });
    const reason = 'wrong circuit on an open transaction';
    expectViolation(side, LNK_ERROR | DELETE, { msgid: OTHER, circuit: idOf(tx) }, reason);
  });
});

describe.each(both)('row: dropped quietly (%s)', (_, rules, rev) => {
  it.each([
    ['no flags', 0],
    ['REPLY', REPLY],
    ['ABORT', ABORT],
    ['ABORT|DELETE', ABORT | DELETE],
    ['REPLY|ABORT|DELETE', REPLY | ABORT | DELETE],
    ['REPLY|CREATE|ABORT|DELETE', REPLY | CREATE | ABORT | DELETE],
  ])('%s for a transaction that is not there', (_name, flags) => {
    const word = LNK_ERROR | flags | ((flags & REPLY) !== 0 ? rev : 0);
    expectQuiet(new RecordingSide({ rules }), word, { msgid: ID });
  });

  it('ABORT|DELETE for a transaction that existed', () => {
    const { side, tx } = withPeers(rules);
    side.hear(LNK_ERROR | DELETE, { msgid: ID });
    side.endpoint.end(tx);
    expectQuiet(side, LNK_ERROR | DELETE | ABORT, { msgid: ID });
  });

  it('ABORT|DELETE in a direction that is closed already, whether we have answered or not', () => {
    const { side } = withPeers(rules);
    side.hear(LNK_ERROR | DELETE, { msgid: ID });
    expectQuiet(side, LNK_ERROR | DELETE | ABORT, { msgid: ID });
    expect(side.endpoint.openCount).toBe(1);
  });

  it('an ABORT without CREATE for a reused msgid: the transaction stays as it is', () => {
    const { side, tx } = withOwn(rules);
    expectQuiet(side, LNK_ERROR | DELETE | ABORT | REPLY | rev, { msgid: idOf(tx) });
    expectQuiet(side, LNK_ERROR | ABORT | REPLY | rev, { msgid: idOf(tx) });
    side.hear(LNK_ERROR | CREATE | REPLY | rev, { msgid: idOf(tx) });
    expect([tx.rxCreated, tx.rxDeleted]).toEqual([true, false]);
  });

  it('a REPLY before the REPLY|CREATE', () => {
    const { side, tx } = withOwn(rules);
    expectQuiet(side, LNK_PING | REPLY | rev, { msgid: idOf(tx) });
    expect(tx.rxCreated).toBe(false);
  });

  it('ABORT with msgid 0', () => {
    expectQuiet(new RecordingSide({ rules }), LNK_ERROR | ABORT | DELETE, {});
  });

  it('anything after the link was lost', () => {
    const side = new RecordingSide({ rules });
    side.endpoint.lost(ErrorCode.EOF);
    expectQuiet(side, LNK_SPAN | CREATE, { msgid: ID });
    expect(() => side.endpoint.open(LNK_SPAN, null, side.handler)).toThrow(DmsgError);
    expect(side.endpoint.oneWay(LNK_PING)).toBe(false);
  });
});

describe.each(both)('inside a transaction (%s)', (_, rules, rev) => {
  it('takes messages without flags, an ABORT in the middle, and a DELETE that carries a command', () => {
    const { side, tx } = withPeers(rules);
    side.hear(LNK_SPAN, { msgid: ID });
    side.hear(LNK_ERROR | ABORT, { msgid: ID });
    side.hear(LNK_SPAN | DELETE, { msgid: ID, error: 5 });
    expect(side.heard()).toEqual(['message 00001207 77 0', 'message 100fff01 77 0', 'message 40001207 77 0 error 5']);
    expect(tx.rxDeleted).toBe(true);
  });

  it('takes CREATE, middle and DELETE of an answer', () => {
    const { side, tx } = withOwn(rules);
    for (const flags of [CREATE, 0, DELETE]) side.hear(LNK_ERROR | flags | REPLY | rev, { msgid: idOf(tx) });
    expect(side.heard().length).toBe(3);
    side.endpoint.end(tx);
    expect(side.endpoint.openCount).toBe(0);
    expect(side.gone.get(tx)).toBe(1);
  });

  it('takes CREATE|ABORT as a CREATE', () => {
    const side = new RecordingSide({ rules });
    side.hear(LNK_SPAN | CREATE | ABORT, { msgid: ID });
    expect(side.opened.length).toBe(1);
  });

  it('takes an ABORT|DELETE as the end, and still has to send its own', () => {
    const { side, tx } = withPeers(rules);
    side.hear(LNK_ERROR | DELETE | ABORT, { msgid: ID, error: 0x21 });
    expect(side.heard()).toEqual(['message 500fff01 77 0 error 21']);
    expect(side.endpoint.openCount).toBe(1);
    side.endpoint.end(tx);
    expect(side.endpoint.openCount).toBe(0);
  });
});

describe('one-way messages', () => {
  it('arrive on the link itself, REPLY or not', () => {
    const side = new RecordingSide({ rules: LINKID });
    side.hear(LNK_PING);
    side.hear(LNK_PING | REPLY, { circuit: ID, target: OTHER });
    expect(side.heard()).toEqual(['oneway 00000101 0 0', 'oneway 20000101 0 77>88']);
  });

  it('arrive on a live circuit, ours or the peer’s, and are dropped on one that is gone', () => {
    const { side, tx } = withPeers(CIRCUIT);
    const circuits: (Transaction | null)[] = [];
    side.onOneWay = (_frame, circuit) => circuits.push(circuit);
    const mine = side.endpoint.open(LNK_SPAN, null, side.handler);
    side.hear(LNK_PING);
    side.hear(LNK_PING, { circuit: ID });
    side.hear(LNK_PING | REVCIRC, { circuit: idOf(mine) });
    expect(circuits).toEqual([null, tx, mine]);
    expectQuiet(side, LNK_PING, { circuit: OTHER });
    expectQuiet(side, LNK_ERROR | DELETE, { circuit: OTHER });
  });

  it('go out on a circuit with the REVCIRC that belongs to it, or routed by link ids', () => {
    const { side, tx } = withPeers(CIRCUIT);
    const mine = side.endpoint.open(LNK_SPAN, null, side.handler);
    side.said();
    side.endpoint.oneWay(LNK_PING | CREATE | DELETE, 0, null, null, tx);
    side.endpoint.oneWay(LNK_PING | REPLY, 0, null, null, mine);
    expect(side.said()).toEqual(['04000101 0 77', '20000101 0 100000001']);
    const linkid = new RecordingSide({ rules: LINKID });
    linkid.endpoint.oneWay(LNK_PING, 0, null, null, null, { sourceLo: 1, sourceHi: 2, targetLo: 3, targetHi: 4 });
    expect(linkid.said()).toEqual(['00000101 0 200000001>400000003']);
  });
});

describe('linkid addresses', () => {
  it('a transaction of ours goes from and to the link ids it is given, all 64 bits of them', () => {
    const side = new RecordingSide({ rules: LINKID });
    const address = { sourceLo: 1, sourceHi: 2, targetLo: 3, targetHi: 4 };
    side.endpoint.open(BLK_OPEN, null, side.handler, null, 0, null, address);
    expect(side.said()).toEqual(['80500102 100000001 200000001>400000003']);
  });

  it('an answer to a routed transaction swaps source and target', () => {
    const side = new RecordingSide({ rules: LINKID });
    side.hear(BLK_OPEN | CREATE, { msgid: ID, circuit: { lo: 0x88, hi: 0x8 }, target: { lo: 0x99, hi: 0x9 } });
    side.endpoint.end(side.opened[0]!);
    expect(side.said()).toEqual(['e00fff01 77 900000099>800000088']);
  });

  it('abandon closes our direction without sending, and the peer’s DELETE ends the transaction', () => {
    const { side, tx } = withPeers(LINKID);
    side.endpoint.abandon(tx);
    side.endpoint.abandon(tx);
    expect(side.endpoint.openCount).toBe(1);
    side.hear(LNK_ERROR | DELETE, { msgid: ID });
    expect([side.said(), side.endpoint.openCount]).toEqual([[], 0]);
  });
});

describe('row: circuit gone in both directions', () => {
  it('drops everything but a CREATE quietly', () => {
    const side = new RecordingSide({ rules: CIRCUIT });
    for (const flags of [0, DELETE, DELETE | ABORT, REPLY | REVTRANS | CREATE, REPLY | REVTRANS | DELETE, REVCIRC]) {
      expectQuiet(side, LNK_ERROR | flags, { msgid: ID, circuit: OTHER });
    }
  });

  it.each([
    ['the peer’s circuit', 0, 'fc0fff01'],
    ['our circuit', REVCIRC, 'f80fff01'],
  ])('answers a CREATE on %s with LOSTLINK', (_name, flag, word) => {
    const side = new RecordingSide({ rules: CIRCUIT });
    side.hear(BLK_OPEN | CREATE | flag, { msgid: ID, circuit: OTHER });
    expect(side.said()).toEqual([`${word} 77 88 error 21`]);
    expect([side.endpoint.openCount, side.endpoint.refusedCircuit, side.heard()]).toEqual([0, 1, []]);
    // The sender closes its side, as it must. The circuit is gone, so that message is dropped.
    expectQuiet(side, LNK_ERROR | DELETE | flag, { msgid: ID, circuit: OTHER });
  });

  it('still takes messages on a circuit that is closed in one direction only', () => {
    const { side, tx } = withPeers(CIRCUIT);
    side.endpoint.end(tx);
    side.hear(BLK_OPEN | CREATE, { msgid: OTHER, circuit: ID });
    expect(side.opened.length).toBe(2);
    side.hear(LNK_ERROR | DELETE, { msgid: ID });
    expect(side.heard().slice(-1)).toEqual(['lost 88 error 21']);
    expect(side.endpoint.openCount).toBe(0);
  });
});

describe('stacking', () => {
  it('sets REVTRANS and REVCIRC by who opened what', () => {
    const { side, tx: theirs } = withPeers(CIRCUIT);
    const mine = side.endpoint.open(LNK_SPAN, null, side.handler);
    side.said();
    side.hear(BLK_OPEN | CREATE, { msgid: OTHER, circuit: ID });
    side.hear(BLK_OPEN | CREATE | REVCIRC, { msgid: THIRD, circuit: idOf(mine) });
    side.endpoint.send(side.opened[1]!, LNK_ERROR);
    side.endpoint.send(side.opened[2]!, LNK_ERROR);
    side.endpoint.open(BLK_READ, theirs, side.handler);
    side.endpoint.open(BLK_READ, mine, side.handler);
    expect(side.said()).toEqual([
      'ac0fff01 88 77',
      'a80fff01 99 100000001',
      '84500302 200000002 77',
      '80500302 300000003 100000001',
    ]);
  });

  it('ends everything stacked first, leaves first, the circuit last', () => {
    const { side, tx } = withPeers(CIRCUIT);
    side.hear(BLK_OPEN | CREATE, { msgid: OTHER, circuit: ID });
    side.hear(BLK_READ | CREATE | DELETE, { msgid: THIRD, circuit: OTHER });
    const own = side.endpoint.open(BLK_READ, side.opened[1]!, side.handler);
    side.said();
    side.heard();
    side.endpoint.end(tx);
    expect(side.said()).toEqual([
      '540fff01 100000001 88 error 21',
      'fc0fff01 99 88 error 21',
      'fc0fff01 88 77 error 21',
      'e80fff01 77 0',
    ]);
    // The peer had closed 99 already, so that one is over and nobody is told again; the others wait for the peer.
    expect([side.heard(), side.endpoint.openCount]).toEqual([[], 3]);
    side.hear(LNK_ERROR | DELETE, { msgid: OTHER, circuit: ID });
    expect(side.heard()).toEqual(['message 400fff01 88 77', 'lost 1 error 21']);
    side.hear(LNK_ERROR | DELETE, { msgid: ID });
    expect([side.endpoint.openCount, side.finals.get(own)]).toEqual([0, 1]);
  });

  it('understands the other order too: the circuit’s DELETE first, then those stacked on it', () => {
    const { side } = withPeers(CIRCUIT);
    side.onMessage = (tx, frame) => {
      if ((frame.cmd & DELETE) !== 0) side.endpoint.end(tx);
    };
    side.hear(BLK_OPEN | CREATE, { msgid: OTHER, circuit: ID });
    side.heard();
    side.hear(LNK_ERROR | DELETE | ABORT, { msgid: ID, error: 0x21 });
    expect(side.said()).toEqual(['fc0fff01 88 77 error 21', 'e80fff01 77 0']);
    expect(side.heard()).toEqual(['message 500fff01 77 0 error 21', 'lost 88 error 21']);
    expectQuiet(side, LNK_ERROR | DELETE | ABORT, { msgid: OTHER, circuit: ID, error: 0x21 });
    expect(side.endpoint.openCount).toBe(0);
  });

  // Limits: transactions/openings.ts DEFAULT_MAX_DEPTH
  it('refuses a CREATE stacked deeper than the limit with CANTCIRC, and understands the peer’s end of it', () => {
    const side = new RecordingSide({ rules: CIRCUIT, maxDepth: 1 });
    side.hear(LNK_SPAN | CREATE, { msgid: ID });
    side.hear(BLK_OPEN | CREATE, { msgid: OTHER, circuit: ID });
    side.heard();
    side.hear(BLK_READ | CREATE | DELETE, { msgid: THIRD, circuit: OTHER });
    expect([side.said(), side.heard()]).toEqual([['ec0fff01 99 88 error 24'], []]);
    expect([side.endpoint.openCount, side.endpoint.refusedDepth]).toEqual([2, 1]);
    side.hear(BLK_READ | CREATE, { msgid: THIRD, circuit: OTHER });
    expect([side.said(), side.endpoint.openCount]).toEqual([['ec0fff01 99 88 error 24'], 3]);
    side.hear(LNK_ERROR | DELETE, { msgid: THIRD, circuit: OTHER });
    expect([side.said(), side.heard(), side.endpoint.openCount]).toEqual([[], [], 2]);
    expect(() => side.endpoint.open(BLK_READ, side.opened[1]!, side.handler)).toThrow(
      expect.objectContaining({ code: ErrorCode.CANTCIRC }),
    );
  });

  it('allows a depth of 16 by default, so that 300 stacked CREATEs, which crash a kernel, end here', () => {
    const side = new RecordingSide({ rules: CIRCUIT });
    side.hear(LNK_SPAN | CREATE, { msgid: { lo: 1, hi: 0 } });
    for (let n = 2; n <= 301; n++) {
      side.hear(BLK_OPEN | CREATE, { msgid: { lo: n, hi: 0 }, circuit: { lo: n - 1, hi: 0 } });
    }
    expect([side.opened.length, side.endpoint.refusedDepth]).toEqual([17, 284]);
    expect(side.said().every((message) => message.endsWith('error 24'))).toBe(true);
    side.endpoint.lost(ErrorCode.EOF);
    expect(side.endpoint.openCount).toBe(0);
  });

  it('tears down 300 levels leaves first', () => {
    const side = new RecordingSide({ rules: CIRCUIT, maxDepth: 300 });
    side.hear(LNK_SPAN | CREATE, { msgid: { lo: 1, hi: 0 } });
    for (let n = 2; n <= 301; n++) {
      side.hear(BLK_OPEN | CREATE, { msgid: { lo: n, hi: 0 }, circuit: { lo: n - 1, hi: 0 } });
    }
    side.endpoint.end(side.opened[0]!);
    expect(side.saidFrames().map((frame) => frame.msgidLo)).toEqual(Array.from({ length: 301 }, (_, i) => 301 - i));
    side.heard();
    side.hear(LNK_ERROR | DELETE, { msgid: { lo: 1, hi: 0 } });
    expect(side.heard().length).toBe(301);
    expect(side.endpoint.openCount).toBe(0);
  });

  it('tears down 100,000 children of one circuit', () => {
    const { side, tx } = withOwn(CIRCUIT);
    for (let n = 0; n < 50_000; n++) {
      side.endpoint.open(BLK_READ | DELETE, tx, side.handler);
      side.endpoint.open(BLK_READ, tx, side.handler);
    }
    side.out.take();
    side.hear(LNK_ERROR | CREATE | DELETE | REPLY | REVTRANS, { msgid: idOf(tx) });
    side.endpoint.end(tx);
    expect([side.endpoint.openCount, side.finals.size, side.gone.size]).toEqual([0, 100_001, 100_001]);
    expect(side.out.bytes).toBe(50_001 * 64);
  });

  it('cannot open on a circuit that has ended, nor on one of another link', () => {
    const { side, tx } = withPeers(CIRCUIT);
    side.hear(LNK_ERROR | DELETE, { msgid: ID });
    side.endpoint.end(tx);
    const lost = expect.objectContaining({ code: ErrorCode.LOSTLINK });
    expect(() => side.endpoint.open(BLK_OPEN, tx, side.handler)).toThrow(lost);
    expect(side.endpoint.oneWay(LNK_PING, 0, null, null, tx)).toBe(false);
    const stranger = withPeers(CIRCUIT).tx;
    const param = expect.objectContaining({ code: ErrorCode.PARAM });
    expect(() => side.endpoint.open(BLK_OPEN, stranger, side.handler)).toThrow(param);
  });
});

describe('lost', () => {
  it('tells every open transaction, leaves first, and leaves nothing', () => {
    const { side, tx } = withPeers(CIRCUIT);
    side.hear(BLK_OPEN | CREATE, { msgid: OTHER, circuit: ID });
    side.hear(BLK_READ | CREATE | DELETE, { msgid: THIRD, circuit: OTHER });
    side.endpoint.open(LNK_CONN_CIRCUIT, null, side.handler);
    side.heard();
    side.said();
    side.endpoint.lost(ErrorCode.EOF);
    side.endpoint.lost(ErrorCode.EOF);
    expect(side.heard()).toEqual(['lost 1 error 2', 'lost 88 error 2', 'lost 77 error 2']);
    expect([side.said(), side.endpoint.openCount, side.gone.size]).toEqual([[], 0, 4]);
    side.endpoint.end(tx);
    expect(side.said()).toEqual([]);
  });

  it('tells the others even if one handler throws', () => {
    const side = new RecordingSide({ rules: LINKID });
    side.hear(LNK_SPAN | CREATE, { msgid: ID });
    side.hear(LNK_SPAN | CREATE, { msgid: OTHER });
    side.onLost = () => {
      throw new Error('a fault of ours');
    };
    expect(() => side.endpoint.lost(ErrorCode.EOF)).toThrow('a fault of ours');
    expect([side.finals.size, side.endpoint.openCount]).toEqual([2, 0]);
  });
});

describe('lost in slices', () => {
  it('tells a few at a time; a transaction that is not told yet has ended, too, and sends nothing', () => {
    const side = new RecordingSide({ rules: CIRCUIT });
    for (let lo = 1; lo <= 200; lo++) side.hear(LNK_SPAN | CREATE, { msgid: { lo, hi: 1 } });
    const last = side.endpoint.findPeers(1, 1);
    if (last === undefined) throw new Error('it is open');
    side.heard();
    side.said();
    const losing = side.endpoint.losing(ErrorCode.EOF);
    expect([side.heard(), last.ended, side.endpoint.isLost]).toEqual([[], true, true]);
    const told: number[] = [];
    for (let step = losing.next(); step.done !== true; step = losing.next()) {
      const heard = side.heard().length;
      expect(heard).toBe(step.value);
      told.push(heard);
      if (side.finals.size === 200) continue;
      side.endpoint.end(last);
      side.endpoint.abandon(last);
      expect(side.endpoint.send(last, LNK_SPAN)).toBe(false);
      const lost = expect.objectContaining({ code: ErrorCode.LOSTLINK });
      expect(() => side.endpoint.open(BLK_OPEN, last, side.handler)).toThrow(lost);
    }
    expect(Math.max(...told)).toBeLessThanOrEqual(64);
    expect([side.said(), side.finals.size, side.gone.size, side.endpoint.openCount]).toEqual([[], 200, 200, 0]);
    expect([...side.endpoint.losing(ErrorCode.EOF)]).toEqual([]);
  });
});

describe('handlers that call back', () => {
  it('may end the transaction that is being deleted, and its circuit', () => {
    const { side, tx } = withPeers(CIRCUIT);
    side.onMessage = (which) => {
      side.endpoint.end(which);
      side.endpoint.end(tx);
    };
    side.hear(BLK_OPEN | CREATE, { msgid: OTHER, circuit: ID });
    side.hear(LNK_ERROR | DELETE, { msgid: OTHER, circuit: ID });
    expect(side.said()).toEqual(['ec0fff01 88 77', 'e80fff01 77 0']);
    side.hear(LNK_ERROR | DELETE, { msgid: ID });
    expect(side.endpoint.openCount).toBe(0);
  });

  it('may end at once in onOpen', () => {
    const side = new RecordingSide({ rules: CIRCUIT });
    side.onOpen = (tx) => side.endpoint.end(tx, ErrorCode.NOSUPP);
    side.hear(BLK_OPEN | CREATE | DELETE, { msgid: ID });
    expect([side.said(), side.endpoint.openCount]).toEqual([['e80fff01 77 0 error 20'], 0]);
  });

  it('may declare the link lost while something is being deleted', () => {
    const { side } = withPeers(CIRCUIT);
    side.hear(BLK_OPEN | CREATE, { msgid: OTHER, circuit: ID });
    side.onMessage = () => side.endpoint.lost(ErrorCode.EOF);
    side.hear(LNK_ERROR | DELETE, { msgid: ID });
    expect(side.endpoint.openCount).toBe(0);
    expect([...side.finals.values(), ...side.gone.values()]).toEqual([1, 1, 1, 1]);
  });

  it('may end and open other transactions while they are told of a loss', () => {
    const { side, tx } = withPeers(CIRCUIT);
    for (const lo of [0x88, 0x99]) side.hear(BLK_OPEN | CREATE, { msgid: { lo, hi: 0 }, circuit: ID });
    side.onLost = () => {
      for (const other of side.opened) side.endpoint.end(other);
      expect(() => side.endpoint.open(BLK_OPEN, tx, side.handler)).toThrow(DmsgError);
      side.endpoint.open(LNK_SPAN, null, side.handler);
    };
    side.endpoint.end(tx);
    side.hear(LNK_ERROR | DELETE, { msgid: ID });
    expect(side.heard().filter((line) => line.startsWith('lost')).length).toBe(2);
    expect(side.endpoint.openCount).toBe(2);
    expect(side.endpoint.transactions().every((open) => !open.openedByPeer)).toBe(true);
  });

  it('may open nothing on the circuit that is being closed: its DELETE comes last', () => {
    const { side, tx } = withPeers(CIRCUIT);
    side.hear(BLK_OPEN | CREATE | DELETE, { msgid: OTHER, circuit: ID });
    side.said();
    const lost = expect.objectContaining({ code: ErrorCode.LOSTLINK });
    side.onGone = () => {
      if (!tx.ended) expect(() => side.endpoint.open(BLK_READ, tx, side.handler)).toThrow(lost);
    };
    side.endpoint.end(tx);
    expect([side.gone.size, side.endpoint.openCount]).toEqual([1, 1]);
    expect(side.said()).toEqual(['fc0fff01 88 77 error 21', 'e80fff01 77 0']);
    side.hear(LNK_ERROR | DELETE, { msgid: ID });
    expect(side.endpoint.openCount).toBe(0);
  });
});
