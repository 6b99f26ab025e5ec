import { describe, expect, it } from 'vitest';
import { BASE_MASK, BLK_READ, CREATE, DELETE, LNK_ERROR, LNK_PING, REPLY, REVCIRC, REVTRANS } from '../command.ts';
import { CIRCUIT, type DialectRules, LINKID } from '../dialect.ts';
import { FrameReader } from '../wire/framing.ts';
import { OutBuffer } from '../wire/out-buffer.ts';
import { SaltSequence } from '../wire/salt.ts';
import { DISCARD, Transaction, type TransactionEndpoint, TX_CREATED } from './transaction.ts';
import { TransactionWriter } from './transaction-writer.ts';

function setUp(rules: DialectRules) {
  const out = new OutBuffer();
  const told: (Transaction | null)[] = [];
  const writer = new TransactionWriter(rules, { out, salts: new SaltSequence(), sending: (on) => told.push(on) });
  const reader = new FrameReader({ rules });
  /** The flags (without command and sizes) of the messages written since the last call. */
  const flags = () => {
    const found: number[] = [];
    for (const slice of out.take()) reader.push(slice, { onFrame: ({ cmd }) => found.push((cmd & ~BASE_MASK) >>> 0) });
    return found;
  };
  const make = (isPeers: boolean, circuit: Transaction | null = null) =>
    new Transaction({} as TransactionEndpoint, 7, 0, isPeers, circuit, DISCARD, rules.stacked, null);
  return { writer, told, flags, make };
}

describe('what an endpoint writes', () => {
  it('has flags that follow from who opened the transaction and its circuit, and from being the first', () => {
    const { writer, flags, make } = setUp(CIRCUIT);
    const theirs = make(true);
    const ours = make(false, theirs);
    writer.write(theirs, LNK_ERROR, 0, null, null);
    writer.write(ours, BLK_READ, 0, null, null);
    ours.state = TX_CREATED;
    writer.write(ours, BLK_READ | DELETE, 0, null, null);
    writer.oneWay(LNK_PING, 0, null, null, theirs, null);
    expect(flags()).toEqual([
      (CREATE | REPLY | REVTRANS) >>> 0,
      (CREATE | REVCIRC) >>> 0,
      (DELETE | REVCIRC) >>> 0,
      REVCIRC >>> 0,
    ]);
  });

  it('has no flags of the circuit dialect in linkid', () => {
    const { writer, flags, make } = setUp(LINKID);
    writer.write(make(true), LNK_ERROR, 0, null, null);
    writer.oneWay(LNK_PING, 0, null, null, null, { sourceLo: 1, sourceHi: 0, targetLo: 2, targetHi: 0 });
    expect(flags()).toEqual([(CREATE | REPLY) >>> 0, 0]);
  });

  it('is announced to the sending callback, an opening message as one on its circuit', () => {
    const { writer, told, make } = setUp(CIRCUIT);
    const circuit = make(true);
    const tx = make(false, circuit);
    writer.write(tx, BLK_READ, 0, null, null);
    tx.state = TX_CREATED;
    writer.write(tx, BLK_READ, 0, null, null);
    writer.oneWay(LNK_PING, 0, null, null, null, null);
    expect(told).toEqual([circuit, tx, null]);
    expect(writer.messages).toBe(3);
  });
});
