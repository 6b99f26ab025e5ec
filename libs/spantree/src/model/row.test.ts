import { describe, expect, it } from 'vitest';
import { DialectTables } from './dialect-tables.ts';
import type { Node } from './parts.ts';
import { Cluster } from './parts.ts';
import { Reachability } from './reachability.ts';
import { findCell, putCell } from './row.ts';

function node(): Node {
  const key = { dialect: 'linkid', clusterId: '', peerType: 0, peerLabel: '' } as const;
  return new Cluster(key, new DialectTables(2, 16, new Reachability())).addNode('', '');
}

describe("a node's row", () => {
  it('keeps what it holds as LNK_CONNs come one by one and pairs get wider', () => {
    const n = node();
    for (let slot = 0; slot < 100; slot++) {
      putCell(n, slot, slot + 1, slot + 1);
      if (slot % 10 === 0) putCell(n, slot, -(slot + 1000), slot + 1);
      if (slot === 50) putCell(n, slot, 5000, slot + 1);
    }
    expect(n.rowWidth).toBe(3);
    for (let slot = 0; slot < 100; slot++) {
      expect(findCell(n, slot, slot + 1)).toBeGreaterThanOrEqual(0);
      expect(findCell(n, slot, -(slot + 1000)) >= 0).toBe(slot % 10 === 0);
      expect(findCell(n, slot, 5000) >= 0).toBe(slot === 50);
    }
    expect(n.row.filter((cell) => cell !== 0).length).toBe(100 + 10 + 1);
  });

  it('has no cells for slots that it never held', () => {
    const n = node();
    putCell(n, 0, 1, 1000);
    expect(n.row.length).toBeLessThan(20);
    expect(findCell(n, 999, 1)).toBe(-1);
    expect(findCell(n, 999, 0)).toBe(-1);
  });

  it('is not copied for every LNK_CONN that comes', () => {
    const n = node();
    const rows = new Set<Int32Array>();
    for (let slot = 0; slot < 256; slot++) {
      putCell(n, slot, 1, slot + 1);
      rows.add(n.row);
    }
    expect(rows.size).toBe(256 / 16);
  });
});
