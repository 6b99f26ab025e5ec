import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CIRCUIT } from '../dialect.ts';
import { RecordingSide } from './recording-side.fixture.ts';
import { DISCARD, Transaction } from './transaction.ts';
import { TransactionTable } from './transaction-table.ts';

const { endpoint } = new RecordingSide({ rules: CIRCUIT });

function ours(table: TransactionTable, circuit: Transaction | null = null): Transaction {
  const tx = new Transaction(endpoint, table.nextLo, table.nextHi, false, circuit, DISCARD, true, null);
  table.add(tx);
  return tx;
}

describe('TransactionTable', () => {
  it('gives our transactions msgids that are never 0 and are not used again', () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.nat()), { maxLength: 200 }), (steps) => {
        const table = new TransactionTable();
        const open: Transaction[] = [];
        const used = new Set<string>();
        for (const step of steps) {
          if (step === null || open.length === 0) {
            const tx = ours(table);
            const id = `${tx.msgidLo},${tx.msgidHi}`;
            expect(tx.msgidLo).toBeGreaterThan(0);
            expect(used.has(id)).toBe(false);
            used.add(id);
            open.push(tx);
          } else {
            const [tx] = open.splice(step % open.length, 1);
            table.remove(tx!);
            expect(table.findOwn(tx!.msgidLo, tx!.msgidHi)).toBeUndefined();
          }
          expect(table.size).toBe(open.length);
          for (const tx of open) expect(table.findOwn(tx.msgidLo, tx.msgidHi)).toBe(tx);
        }
      }),
    );
  });

  it('reuses the slot of a transaction that is gone, under another generation', () => {
    const table = new TransactionTable();
    const first = ours(table);
    const generations = new Set<number>();
    for (let n = 0; n < 100; n++) {
      const tx = ours(table);
      expect([tx.msgidLo, table.size]).toEqual([2, 2]);
      generations.add(tx.msgidHi);
      table.remove(tx);
      expect(tx.ended).toBe(true);
    }
    expect(generations.size).toBe(100);
    table.remove(first);
    // The table is empty: the slots go, but generations are still counted on.
    expect([table.size, table.nextLo]).toEqual([0, 1]);
    expect(generations.has(table.nextHi)).toBe(false);
  });

  it('does not find a msgid that was never there, however strange', () => {
    const table = new TransactionTable();
    const tx = ours(table);
    for (const lo of [0, 2, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff])
      expect(table.findOwn(lo, tx.msgidHi)).toBeUndefined();
    expect(table.findOwn(tx.msgidLo, tx.msgidHi + 1)).toBeUndefined();
  });

  it('keeps ours and the peer’s apart', () => {
    const table = new TransactionTable();
    const tx = ours(table);
    const theirs = new Transaction(endpoint, tx.msgidLo, tx.msgidHi, true, null, DISCARD, true, null);
    table.add(theirs);
    expect(table.findOwn(tx.msgidLo, tx.msgidHi)).toBe(tx);
    expect(table.findPeers(tx.msgidLo, tx.msgidHi)).toBe(theirs);
    expect([table.size, table.peerCount]).toEqual([2, 1]);
    table.remove(tx);
    expect(table.findPeers(tx.msgidLo, tx.msgidHi)).toBe(theirs);
  });

  it('lists leaves first: each transaction after all that is stacked on it', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { minLength: 1, maxLength: 60 }), fc.nat(), (parents, drop) => {
        const table = new TransactionTable();
        const all: Transaction[] = [];
        for (const p of parents)
          all.push(ours(table, p % (all.length + 1) === all.length ? null : all[p % (all.length + 1)]!));
        const check = (expected: number) => {
          const list = table.leavesFirst(null);
          expect(new Set(list).size).toBe(expected);
          expect(list.length).toBe(expected);
          const place = new Map(list.map((tx, i) => [tx, i]));
          for (const tx of list) if (tx.circuit !== null) expect(place.get(tx)!).toBeLessThan(place.get(tx.circuit)!);
        };
        check(all.length);
        const top = all[drop % all.length]!;
        const below = table.leavesFirst(top);
        expect(below).not.toContain(top);
        for (const tx of [...below, top]) table.remove(tx);
        check(all.length - below.length - 1);
      }),
    );
  });
});
