import { describe, expect, it } from 'vitest';
import { FakeClock } from '../fake-clock.ts';
import type { Stored } from './lease-store.ts';
import { Sightings } from './sightings.ts';

const TTL = 1000;

function stored(revision: number, beat: number): Stored {
  const record = { holder: 'other', address: 'other:1', epoch: 7, ttl: TTL, settings: '', beat };
  return { revision, record, isJunk: false };
}

/** Looks often enough that nothing is a gap, at what `look` gives, for so long; whether the lease may be taken then. */
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
  it('may be taken once it has been the same for a ttl', () => {
    expect(after(4, () => stored(5, 1))).toBe(false);
    expect(after(5, () => stored(5, 1))).toBe(true);
  });

  it('is not the same once it was renewed, also under a revision that a restored store gives once more', () => {
    expect(after(9, (n) => stored(5 + n, 1 + n))).toBe(false);
    // The holder goes on in the copy: what it writes there has the revision that the record had.
    expect(after(9, (n) => stored(5, 1 + n))).toBe(false);
  });
});
