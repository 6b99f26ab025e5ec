import { expect, it } from 'vitest';
import { parsePrefix } from '../address/prefix.ts';
import { MAX_WITHDRAWN_KEYS } from './limits.ts';
import { type SeenKey, WithdrawnKeys } from './withdrawn-keys.ts';

const NOTHING = { peers: [], problems: [] };

// Limits: keys/limits.ts MAX_WITHDRAWN_KEYS
it('a limited number of withdrawn keys is remembered; beyond that the first is forgotten', () => {
  const given: SeenKey[] = Array.from({ length: MAX_WITHDRAWN_KEYS + 1 }, (_, n) => {
    return { prefix: parsePrefix(`${n >> 8}.${n & 255}.0.0/16`), besideNone: false };
  });
  const keys = new WithdrawnKeys({ absenceMs: 0 }, given);
  // The first decision starts with one key too many, the second with the maximum.
  for (let i = 0; i < 2; i++) {
    keys.decide(NOTHING, 0);
    const { seen } = keys;
    expect(seen).toHaveLength(MAX_WITHDRAWN_KEYS);
    expect(seen.every(({ prefix }, n) => prefix === given[n + 1]?.prefix)).toBe(true);
  }
});
