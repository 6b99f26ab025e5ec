import { describe, expect, it } from 'vitest';
import type { Slot } from './slot.ts';
import { SlotShares } from './slot-shares.ts';

/** A slot with the fields that shares read. */
function slot(principal: string): Slot {
  return { principal, place: 0 } as Slot;
}

function added(shares: SlotShares, principal: string, count: number): Slot[] {
  const slots = Array.from({ length: count }, () => slot(principal));
  for (const one of slots) shares.add(one);
  return slots;
}

describe('slots by principal', () => {
  it('are accepted without replacing others up to the limit', () => {
    const shares = new SlotShares({ max: 3 });
    added(shares, 'a', 2);
    expect(shares.makeRoomFor('a')).toBeNull();
    added(shares, 'a', 1);
    expect(shares.makeRoomFor('a')).toBeUndefined();
    expect(shares.size).toBe(3);
  });

  it('then the principal with most gives up its newest slot for a principal with two fewer, not for one with one fewer', () => {
    const shares = new SlotShares({ max: 5 });
    const most = added(shares, 'most', 3);
    added(shares, 'b', 1);
    added(shares, 'c', 1);
    expect(shares.makeRoomFor('new')).toBe(most[2]);
    expect(shares.size).toBe(4);
    added(shares, 'new', 1);
    // `most` has two slots now.
    expect(shares.makeRoomFor('b')).toBeUndefined();
    expect(shares.makeRoomFor('newer')).toBe(most[1]);
  });

  it('a removed slot’s place goes to the last slot of its principal, and it counts once', () => {
    const shares = new SlotShares({ max: 3 });
    const [first, second, third] = added(shares, 'a', 3);
    shares.delete(first!);
    shares.delete(first!);
    expect(shares.size).toBe(2);
    shares.delete(third!);
    added(shares, 'a', 2);
    expect(shares.size).toBe(3);
    shares.delete(second!);
    expect(shares.size).toBe(2);
    shares.delete(slot('nobody'));
    expect(shares.size).toBe(2);
  });

  it('a principal with a single slot does not give it up for a newcomer; one without slots leaves no entry', () => {
    const shares = new SlotShares({ max: 1 });
    const [only] = added(shares, 'a', 1);
    expect([shares.makeRoomFor('b'), shares.principals]).toEqual([undefined, 1]);
    shares.delete(only!);
    expect(shares.principals).toBe(0);
  });

  it('a principal whose slots are all gone is not asked to give one up', () => {
    const shares = new SlotShares({ max: 0 });
    expect(shares.makeRoomFor('a')).toBeUndefined();
    const one = added(shares, 'a', 1)[0]!;
    shares.delete(one);
    expect([shares.size, shares.makeRoomFor('b')]).toEqual([0, undefined]);
  });
});
