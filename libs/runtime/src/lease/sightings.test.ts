import { describe, expect, it } from 'vitest';
import { FakeClock } from '../fake-clock.ts';
import type { LeaseRecord } from './lease-record.ts';
import type { Stored } from './lease-store.ts';
import { Sightings } from './sightings.ts';

const TTL = 1000;

function stored(revision: number, beat: number): Stored {
  const record = { holder: 'other', address: 'other:1', epoch: 7, ttl: TTL, settings: '', beat };
  return { revision, record, isJunk: false };
}

/**
 * Reads the store's record `looks` times without a gap, each time as `look` returns it; returns whether the lease may
 * be taken then.
 */
function after(looks: number, look: (n: number) => Stored): boolean {
  const clock = new FakeClock();
  const sightings = new Sightings({ ttlMs: TTL }, { clock });
  for (let n = 0; n < looks; n++) {
    if (n > 0) clock.advance(TTL / 4);
    const seen = look(n);
    sightings.answered(seen);
    sightings.note(seen);
  }
  return sightings.mayTake({ differs: false });
}

describe('what a contender has seen of the record', () => {
  it('allows a takeover once the record has been the same for a ttl', () => {
    expect(after(4, () => stored(5, 1))).toBe(false);
    expect(after(5, () => stored(5, 1))).toBe(true);
  });

  it('does not take a renewed record for the same, even under a revision that a restored store repeats', () => {
    expect(after(9, (n) => stored(5 + n, 1 + n))).toBe(false);
    // The holder goes on in the restored copy: its next write has the revision that the record had before.
    expect(after(9, (n) => stored(5, 1 + n))).toBe(false);
  });

  it('are the record, since when, and the revision to write over; nothing once the record is ours', () => {
    const clock = new FakeClock();
    const sightings = new Sightings({ ttlMs: TTL }, { clock });
    const shown = () => [sightings.record, sightings.since, sightings.revision];
    const see = (seen: Stored) => {
      sightings.answered(seen);
      sightings.note(seen);
    };
    expect(shown()).toEqual([null, undefined, null]);
    expect(sightings.mayTake({ differs: false })).toBe(false);
    see({ revision: 0, record: null, isJunk: false });
    expect(shown()).toEqual([null, 0, null]);
    clock.advance(100);
    see(stored(5, 1));
    clock.advance(100);
    see(stored(5, 1));
    expect(shown()).toEqual([stored(5, 1).record, 100, 5]);
    sightings.isOurs();
    expect(shown()).toEqual([null, undefined, null]);
  });

  it('allows a takeover of an empty store at once, unless it has lost a record: another’s, or ours', () => {
    const empty: Stored = { revision: 0, record: null, isJunk: false };
    expect(after(1, () => empty)).toBe(true);
    expect(after(5, (n) => (n === 0 ? stored(5, 1) : empty))).toBe(false);
    expect(after(6, (n) => (n === 0 ? stored(5, 1) : empty))).toBe(true);
    const sightings = new Sightings({ ttlMs: TTL }, { clock: new FakeClock() });
    sightings.isOurs();
    sightings.note(empty);
    expect(sightings.mayTake({ differs: false })).toBe(false);
  });

  it('gives the holder a whole ttl again after a gap of more than three quarters of one without an answer', () => {
    const waited = (gap: number) => {
      const clock = new FakeClock();
      const sightings = new Sightings({ ttlMs: TTL }, { clock });
      const see = (ms: number) => {
        clock.advance(ms);
        sightings.answered(stored(5, 1));
        sightings.note(stored(5, 1));
        return sightings.mayTake({ differs: false });
      };
      see(0);
      see(TTL / 4);
      return [see(gap), see(TTL / 2), see(TTL / 2 - 1), see(1)];
    };
    expect(waited((TTL * 3) / 4)).toEqual([true, true, true, true]);
    expect(waited((TTL * 3) / 4 + 1)).toEqual([false, false, false, true]);
  });

  it('waits for the longer ttl, and three of them for other settings unless the record is released', () => {
    const takenAfter = (record: Partial<LeaseRecord>, differs: boolean) => {
      const clock = new FakeClock();
      const sightings = new Sightings({ ttlMs: TTL }, { clock });
      const seen = stored(5, 1);
      sightings.answered(seen);
      sightings.note({ ...seen, record: seen.record && { ...seen.record, ...record } });
      let ms = 0;
      for (; !sightings.mayTake({ differs }); ms += TTL / 2) clock.advance(TTL / 2);
      return ms / TTL;
    };
    expect([takenAfter({}, false), takenAfter({ ttl: 2 * TTL }, false), takenAfter({ ttl: TTL / 2 }, false)]).toEqual([
      1, 2, 1,
    ]);
    expect([takenAfter({}, true), takenAfter({ ttl: 2 * TTL }, true)]).toEqual([3, 6]);
    expect([takenAfter({ holder: '' }, false), takenAfter({ holder: '' }, true)]).toEqual([0, 1]);
  });
});
