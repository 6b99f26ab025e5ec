import { describe, expect, it } from 'vitest';
import { FakeClock } from '../fake-clock.ts';
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
});
