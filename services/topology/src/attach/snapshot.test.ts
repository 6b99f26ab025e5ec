import { StateChange } from '@spanmesh/proto/v1/gateway_control';
import { expect, it } from 'vitest';
import { Snapshot } from './snapshot.ts';

// Written once more: a change of them must be noticed.
const MAX_SNAPSHOT_ENTRIES = 8_000_000;

/** A part of a snapshot with this number of entries: one link, and its relays on LNK_CONNs for all others. */
function part(entries: number): StateChange {
  const lnkConns = { length: entries - 1 } as unknown as number[];
  return Object.assign(StateChange.create(), { relaysOpen: [{ linkGateway: '', link: 1, lnkConns }] });
}

// Limits: attach/snapshot.ts MAX_SNAPSHOT_ENTRIES
it('a snapshot may have a limited number of entries, in any number of parts', () => {
  const snapshot = new Snapshot();
  expect(snapshot.add(part(MAX_SNAPSHOT_ENTRIES / 2))).toBe(true);
  expect(snapshot.add(part(MAX_SNAPSHOT_ENTRIES / 2))).toBe(true);
  expect(snapshot.all.relaysOpen).toHaveLength(2);
  expect(snapshot.add(part(1))).toBe(false);
});
