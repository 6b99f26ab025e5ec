import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { describe, expect, it } from 'vitest';
import { Roster } from './roster.ts';

// Written once more: a change of them must be noticed.
const GATHER_MS = 5000;
const MAX_ROSTER = 16_384;

const A = 'a.00000001';

describe('the roster', () => {
  it('waits for a gateway that was heard of, for 5 s from the first time', () => {
    const clock = new FakeClock();
    const roster = new Roster({ clock });
    expect(roster.isResolved(A)).toBe(true);
    roster.heard(A);
    expect([roster.isResolved(A), roster.areResolved]).toEqual([false, false]);
    clock.advance(GATHER_MS - 1);
    roster.heard(A);
    expect(roster.isResolved(A)).toBe(false);
    clock.advance(1);
    expect([roster.isResolved(A), roster.areResolved]).toEqual([true, true]);
  });

  it('does not wait for one that has reported its objects, or is removed', () => {
    const roster = new Roster({ clock: new FakeClock() });
    roster.attached(A);
    roster.heard('b.00000001');
    roster.told(A);
    expect([roster.isResolved(A), roster.areResolved]).toEqual([true, false]);
    expect(roster.isAnybodySilent).toBe(true);
    roster.remove('b.00000001');
    expect([roster.areResolved, roster.size, roster.isAnybodySilent]).toEqual([true, 1, false]);
  });

  it('knows since when a gateway has been silent: the end of its stream, or of the last trunk to it', () => {
    const clock = new FakeClock();
    const roster = new Roster({ clock });
    roster.attached(A);
    expect([[...roster.silent()], roster.isAnybodySilent]).toEqual([[], false]);
    clock.advance(100);
    roster.detached(A);
    expect(roster.isAnybodySilent).toBe(true);
    clock.advance(100);
    roster.detached(A);
    const silent = { id: A, name: 'a', boot: '00000001', silentSince: 100 };
    expect([...roster.silent()]).toEqual([{ ...silent, since: 100 }]);
    roster.hasTrunk(A);
    expect([...roster.silent()]).toEqual([{ ...silent, since: 200 }]);
    roster.attached(A);
    expect([...roster.silent()]).toEqual([]);
  });

  it('knows the other boots of a name', () => {
    const roster = new Roster({ clock: new FakeClock() });
    for (const id of [A, 'a.00000002', 'b.00000001']) roster.heard(id);
    expect(roster.rivals({ name: 'a', boot: '00000002' })).toEqual([A]);
    expect(roster.rivals({ name: 'a', boot: '00000003' })).toEqual([A, 'a.00000002']);
    roster.remove(A);
    roster.remove(A);
    roster.remove('b.00000001');
    expect(roster.rivals({ name: 'a', boot: '00000002' })).toEqual([]);
    expect(roster.rivals({ name: 'b', boot: '00000002' })).toEqual([]);
    roster.clear();
    expect([roster.rivals({ name: 'a', boot: '00000003' }), roster.size, roster.isAnybodySilent]).toEqual([
      [],
      0,
      false,
    ]);
  });

  // Limits: attach/roster.ts MAX_ROSTER
  it('accepts no invalid name, and a limited number of gateways', () => {
    const roster = new Roster({ clock: new FakeClock() });
    for (const id of ['', 'a', 'a.1', 'A.00000001', '.00000001', `${'a'.repeat(64)}.00000001`]) roster.heard(id);
    expect(roster.size).toBe(0);
    for (let i = 0; i <= MAX_ROSTER; i++) roster.heard(`g${i}.00000001`);
    expect(roster.size).toBe(MAX_ROSTER);
    // A gateway with a stream is accepted even beyond the limit.
    roster.attached(A);
    roster.detached(A);
    expect([...roster.silent()].some(({ id }) => id === A)).toBe(true);
  });
});
