import { describe, expect, it } from 'vitest';
import {
  ABORT,
  BLK_OPEN,
  BLK_READ,
  CREATE,
  DBG_SHELL,
  DELETE,
  LNK_ERROR,
  LNK_PING,
  LNK_SPAN,
  REPLY,
  REVCIRC,
  REVTRANS,
} from '../command.ts';
import { CIRCUIT, LINKID } from '../dialect.ts';
import type { Frame } from '../wire/frame.ts';
import { FrameReader } from '../wire/framing.ts';
import { encodeMessage, type MessageFields } from '../wire/message.ts';
import { describeFrame, idOf, RecordingSide } from './recording-side.fixture.ts';
import type { Transaction, TransactionHandler } from './transaction.ts';

const SPAN = { lo: 0x5a, hi: 1 };
const OPEN = { lo: 0x0b, hi: 0xffff_f800 };
const READ = { lo: 0x0c, hi: 0xffff_f800 };

/** The handler of a joined transaction: passes all its messages on to its partner (in `data`), as a router does. */
const join: TransactionHandler = {
  onMessage(tx, frame) {
    const partner = tx.data as Transaction;
    partner.endpoint.forward(partner, frame);
  },
  onLost(tx, error) {
    const partner = tx.data as Transaction;
    partner.endpoint.end(partner, error, true);
  },
};

/**
 * A router with two connections: A owns a span, B has its relay. A transaction that B opens on the relay is joined to
 * one on A's span; one that A stacks on a joined transaction is joined to one on the partner.
 */
function router() {
  const a = new RecordingSide({ rules: CIRCUIT });
  const b = new RecordingSide({ rules: CIRCUIT });
  a.hear(LNK_SPAN | CREATE, { msgid: SPAN });
  const link = a.opened[0]!;
  a.endpoint.send(link, LNK_ERROR);
  const relay = b.endpoint.open(LNK_SPAN, null, b.handler);
  b.hear(LNK_ERROR | CREATE | REPLY | REVTRANS, { msgid: idOf(relay) });
  relay.data = link;
  const onOpen = (tx: Transaction, frame: Frame) => {
    const circuit = tx.circuit!.data as Transaction;
    tx.handler = join;
    tx.data = circuit.endpoint.openForwarded(circuit, join, frame);
    (tx.data as Transaction).data = tx;
  };
  b.onOpen = onOpen;
  a.onOpen = onOpen;
  a.said();
  b.said();
  /** Another message of B in OPEN, on the relay. */
  const read = (fields: Partial<MessageFields> = {}) =>
    encodeMessage({ rules: CIRCUIT, cmd: BLK_READ | REVCIRC, msgid: OPEN, circuit: idOf(relay), salt: 0, ...fields });
  return { a, b, link, relay, read };
}

describe('forward', () => {
  it('passes a transaction on with the same command words in both directions, as recorded', () => {
    const { a, b, relay } = router();
    const aux = new Uint8Array(130).fill(7);
    b.hear(BLK_OPEN | CREATE | REVCIRC, { msgid: OPEN, circuit: idOf(relay), aux, payload: new Uint8Array([2]) });
    const [open] = a.saidFrames();
    const [mine] = a.endpoint.transactions().filter((tx) => !tx.openedByPeer);
    expect(describeFrame(open!)).toBe(`84500102 100000001 10000005a`);
    expect([open!.auxBytes, open!.auxPadded, open!.buf[64], open!.buf[128 + 129], open!.buf[128 + 130]]).toEqual([
      130, 192, 2, 7, 0,
    ]);
    a.hear(LNK_ERROR | CREATE | REPLY | REVTRANS, { msgid: idOf(mine!), circuit: SPAN, error: 3 });
    a.hear(LNK_ERROR | REPLY | REVTRANS, { msgid: idOf(mine!), circuit: SPAN });
    b.hear(BLK_READ | CREATE | DELETE, { msgid: READ, circuit: OPEN });
    b.hear(LNK_ERROR | DELETE | REVCIRC, { msgid: OPEN, circuit: idOf(relay) });
    expect(a.said()).toEqual(['c0500302 200000002 100000001', '440fff01 100000001 10000005a']);
    a.hear(LNK_ERROR | CREATE | DELETE | REPLY | REVTRANS | REVCIRC, { msgid: { lo: 2, hi: 2 }, circuit: idOf(mine!) });
    a.hear(LNK_ERROR | DELETE | REPLY | REVTRANS, { msgid: idOf(mine!), circuit: SPAN });
    expect(b.said()).toEqual([
      'a80fff01 fffff8000000000b 100000001 error 3',
      '280fff01 fffff8000000000b 100000001',
      'ec0fff01 fffff8000000000c fffff8000000000b',
      '680fff01 fffff8000000000b 100000001',
    ]);
    expect([a.endpoint.openCount, b.endpoint.openCount]).toEqual([1, 1]);
  });

  it('changes msgid, circuit, salt and hdr_crc and no other byte', () => {
    const { a, b, relay, read } = router();
    b.hear(BLK_OPEN | CREATE | REVCIRC, { msgid: OPEN, circuit: idOf(relay) });
    a.said();
    const bytes = read({
      target: { lo: 0x1234, hi: 0x5678 },
      payload: new Uint8Array(64).fill(0xee),
      aux: new Uint8Array(70).fill(0xdd),
    });
    const before = Buffer.from(bytes);
    new FrameReader({ rules: CIRCUIT }).push(bytes, { onFrame: (frame) => b.endpoint.receive(frame) });
    const after = Buffer.concat(a.out.take());
    for (const [from, to] of [
      [4, 24],
      [60, 64],
    ] as const) {
      expect(after.subarray(from, to).equals(before.subarray(from, to))).toBe(false);
      before.copy(after, from, from, to);
    }
    expect(after.equals(before)).toBe(true);
  });

  it('joins what the owner of the span stacks on a joined transaction', () => {
    const { a, b, relay } = router();
    b.hear(BLK_OPEN | CREATE | REVCIRC, { msgid: OPEN, circuit: idOf(relay) });
    const mine = a.endpoint.transactions().find((tx) => !tx.openedByPeer)!;
    a.hear(BLK_READ | CREATE | REVCIRC, { msgid: READ, circuit: idOf(mine) });
    // At B, too, B opened the circuit's transaction: the roles are the same as at A, and so is the command word.
    expect(b.said()).toEqual(['84500302 200000002 fffff8000000000b']);
  });

  it('passes messages that are neighbours in one buffer on as one slice, without a copy', () => {
    const { a, b, relay, read } = router();
    b.hear(BLK_OPEN | CREATE | REVCIRC, { msgid: OPEN, circuit: idOf(relay) });
    a.said();
    const reader = new FrameReader({ rules: CIRCUIT });
    const chunk = Buffer.concat([read(), read({ salt: 1 }), read({ salt: 2 })]);
    reader.push(chunk, { onFrame: (frame) => b.endpoint.receive(frame) });
    const slices = a.out.take();
    expect(slices.length).toBe(1);
    expect([slices[0]!.buffer, slices[0]!.byteOffset, slices[0]!.length]).toEqual([
      chunk.buffer,
      chunk.byteOffset,
      384,
    ]);
    expect(a.endpoint.messagesOut).toBe(5);
  });

  it('drops a message in a direction that is closed, counts it and leaves the frame unchanged', () => {
    const { a, b, relay, read } = router();
    b.hear(BLK_OPEN | CREATE | REVCIRC, { msgid: OPEN, circuit: idOf(relay) });
    const mine = a.endpoint.transactions().find((tx) => !tx.openedByPeer)!;
    a.endpoint.end(mine);
    a.said();
    const bytes = read();
    const before = Buffer.from(bytes);
    new FrameReader({ rules: CIRCUIT }).push(bytes, { onFrame: (frame) => b.endpoint.receive(frame) });
    expect([a.said(), a.endpoint.dropped, before.equals(bytes)]).toEqual([[], 1, true]);
  });

  it('adds CREATE to the first message that it passes, and to no other, whatever the frame has', () => {
    const side = new RecordingSide({ rules: CIRCUIT });
    side.hear(LNK_SPAN | CREATE, { msgid: SPAN });
    const tx = side.opened[0]!;
    const source = new RecordingSide({ rules: CIRCUIT });
    source.onOneWay = (frame) => side.endpoint.forward(tx, frame);
    source.hear(LNK_PING | REPLY);
    source.hear(LNK_PING);
    expect(side.said()).toEqual(['a8000101 10000005a 0', '28000101 10000005a 0']);
  });

  it('ends everything stacked on the transaction before it passes a DELETE on', () => {
    const { a, b, relay } = router();
    b.hear(BLK_OPEN | CREATE | REVCIRC, { msgid: OPEN, circuit: idOf(relay) });
    b.hear(BLK_READ | CREATE, { msgid: READ, circuit: OPEN });
    a.said();
    b.hear(LNK_ERROR | DELETE | ABORT | REVCIRC, { msgid: OPEN, circuit: idOf(relay), error: 0x21 });
    b.hear(LNK_ERROR | DELETE | ABORT, { msgid: READ, circuit: OPEN, error: 0x21 });
    expect(a.said()).toEqual(['500fff01 200000002 100000001 error 21', '540fff01 100000001 10000005a error 21']);
    expect(a.endpoint.dropped).toBe(1);
  });

  it('ends the partners when a connection is lost, leaves first, with CREATE where there was no answer yet', () => {
    const { a, b, relay } = router();
    b.hear(BLK_OPEN | CREATE | REVCIRC, { msgid: OPEN, circuit: idOf(relay) });
    const mine = a.endpoint.transactions().find((tx) => !tx.openedByPeer)!;
    a.hear(LNK_ERROR | CREATE | REPLY | REVTRANS, { msgid: idOf(mine), circuit: SPAN });
    b.hear(BLK_READ | CREATE | DELETE, { msgid: READ, circuit: OPEN });
    b.said();
    a.endpoint.lost(0x21);
    expect(b.said()).toEqual([
      'fc0fff01 fffff8000000000c fffff8000000000b error 21',
      '780fff01 fffff8000000000b 100000001 error 21',
    ]);
    b.endpoint.lost(2);
    expect([a.endpoint.openCount, b.endpoint.openCount]).toEqual([0, 0]);
  });

  it('passes one-way messages on a relay on to the span', () => {
    const { a, b, link } = router();
    b.onOneWay = (frame) => a.endpoint.forwardOneWay(frame, link);
    b.hear(DBG_SHELL | REVCIRC, { circuit: { lo: 1, hi: 1 }, aux: new Uint8Array(5) });
    expect(a.said()).toEqual(['04100101 0 10000005a']);
  });

  it('does not pass a one-way message on a circuit that has ended', () => {
    const { a, b, link } = router();
    a.hear(LNK_ERROR | DELETE, { msgid: SPAN });
    a.endpoint.end(link);
    a.said();
    b.onOneWay = (frame) => expect(a.endpoint.forwardOneWay(frame, link)).toBe(false);
    b.hear(LNK_PING);
    expect([a.said(), a.endpoint.dropped]).toEqual([[], 1]);
  });

  it('rewrites source and target in the linkid dialect', () => {
    const a = new RecordingSide({ rules: LINKID });
    const b = new RecordingSide({ rules: LINKID });
    const address = { sourceLo: 0x10, sourceHi: 0, targetLo: 0x20, targetHi: 0 };
    b.onOpen = (tx, frame) => {
      tx.handler = join;
      tx.data = a.endpoint.openForwarded(null, join, frame, address);
      (tx.data as Transaction).data = tx;
    };
    b.onOneWay = (frame) => a.endpoint.forwardOneWay(frame, null, address);
    const routed = { circuit: { lo: 1, hi: 0 }, target: { lo: 2, hi: 0 } };
    b.hear(LNK_PING, routed);
    b.hear(BLK_OPEN | CREATE, { msgid: OPEN, ...routed });
    expect(a.said()).toEqual(['00000101 0 10>20', '80500102 100000001 10>20']);
    a.hear(LNK_ERROR | CREATE | REPLY, {
      msgid: { lo: 1, hi: 1 },
      circuit: { lo: 0x20, hi: 0 },
      target: { lo: 0x10, hi: 0 },
    });
    expect(b.said()).toEqual(['a00fff01 fffff8000000000b 2>1']);
  });
});
