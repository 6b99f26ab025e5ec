import { describe, expect, it } from 'vitest';
import { REPLY, REVCIRC, REVTRANS } from '../command.ts';
import { CIRCUIT } from '../dialect.ts';
import { RecordingSide } from './recording-side.fixture.ts';
import {
  DISCARD,
  GONE,
  isBoundTo,
  type LinkAddress,
  RX_CREATED,
  RX_DELETED,
  Transaction,
  TX_CREATED,
  TX_DELETED,
} from './transaction.ts';

const { endpoint } = new RecordingSide({ rules: CIRCUIT });

function transaction({
  openedByPeer = false,
  circuit = null as Transaction | null,
  stacked = true,
  address = null as LinkAddress | null,
} = {}): Transaction {
  return new Transaction(endpoint, 0x8000_0001, 0xffff_fff2, openedByPeer, circuit, DISCARD, stacked, address);
}

describe('a transaction', () => {
  it.each([
    [0, []],
    [RX_CREATED, ['rxCreated']],
    [TX_CREATED, ['txCreated']],
    [RX_CREATED | RX_DELETED, ['rxCreated', 'rxDeleted']],
    [TX_CREATED | TX_DELETED, ['txCreated', 'txDeleted']],
    [RX_CREATED | TX_CREATED | TX_DELETED, ['rxCreated', 'txCreated', 'txDeleted']],
    [RX_DELETED | TX_DELETED, ['rxDeleted', 'txDeleted', 'ended']],
    [GONE, ['ended']],
  ])('in state %i is %j', (state, is) => {
    const tx = transaction();
    tx.state = state;
    const all = ['rxCreated', 'rxDeleted', 'txCreated', 'txDeleted', 'ended'] as const;
    expect(all.filter((one) => tx[one])).toEqual(is);
  });

  it('has flags that say who opened it and its circuit, as far as its dialect has them', () => {
    const [ours, theirs] = [transaction(), transaction({ openedByPeer: true })];
    expect([ours.sendFlags, theirs.sendFlags]).toEqual([0, (REPLY | REVTRANS) >>> 0]);
    expect(transaction({ openedByPeer: true, stacked: false }).sendFlags).toBe(REPLY);
    expect(transaction({ circuit: ours }).sendFlags).toBe(0);
    expect(transaction({ circuit: theirs }).sendFlags).toBe(REVCIRC);
    expect(transaction({ circuit: theirs, openedByPeer: true }).sendFlags).toBe((REPLY | REVTRANS | REVCIRC) >>> 0);
  });

  it('has a msgid of 64 unsigned bits', () => {
    const { msgidLo, msgidHi } = transaction();
    expect([msgidLo, msgidHi]).toEqual([0x8000_0001, 0xffff_fff2]);
  });

  it('sends the msgid of its circuit, or its source and target, whatever their signs, or nothing', () => {
    const ids = ({ fromLo, fromHi, toLo, toHi }: Transaction) => [fromLo, fromHi, toLo, toHi];
    const address = { sourceLo: -1, sourceHi: 0x8000_0000, targetLo: -2, targetHi: 4 };
    expect(ids(transaction({ circuit: transaction() }))).toEqual([0x8000_0001, 0xffff_fff2, 0, 0]);
    expect(ids(transaction({ stacked: false, address }))).toEqual([0xffff_ffff, 0x8000_0000, 0xffff_fffe, 4]);
    expect(ids(transaction({ stacked: false }))).toEqual([0, 0, 0, 0]);
  });

  it('knows its depth', () => {
    const first = transaction();
    const second = transaction({ circuit: first });
    expect([first.depth, second.depth, transaction({ circuit: second }).depth]).toEqual([0, 1, 2]);
  });

  it('has the handler that it was bound to last', () => {
    const tx: Transaction = transaction();
    const handler = { ...DISCARD };
    expect([tx.data, isBoundTo(tx, handler), isBoundTo(undefined, handler)]).toEqual([null, false, false]);
    tx.bind(handler, 7);
    expect([tx.data, isBoundTo(tx, handler), isBoundTo(tx, DISCARD)]).toEqual([7, true, false]);
  });
});
