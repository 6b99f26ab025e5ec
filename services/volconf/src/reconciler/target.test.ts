import { describe, expect, it } from 'vitest';
import { comparePlaced, type Destination, sameDestination, Target } from './target.ts';

describe('a target', () => {
  it('is stopped at first, without attempts or errors, and without a principal', () => {
    expect(new Target('owner', 'label', 17)).toMatchObject({
      owner: 'owner',
      label: 'label',
      since: 17,
      principal: '',
      mediaId: '',
      byOperator: false,
      shown: false,
      wanted: null,
      state: { kind: 'stopped' },
      generation: 0,
      attempts: 0,
      failures: 0,
      failing: false,
      lastError: '',
      lastErrorAt: 0,
    });
  });

  it('that is used for another slot forgets the errors of the one before, and not its orders', () => {
    const target = new Target('owner', 'label', 0);
    const trouble = { attempts: 3, failures: 4, failing: true, lastError: 'why', lastErrorAt: 5, generation: 9 };
    Object.assign(target, trouble);
    target.begin();
    expect(target).toMatchObject({
      attempts: 0,
      failures: 0,
      failing: false,
      lastError: '',
      lastErrorAt: 0,
      generation: 9,
    });
  });
});

describe('orders', () => {
  it('are compared by epoch, then by generation', () => {
    expect(comparePlaced({ epoch: 1, generation: 9 }, { epoch: 2, generation: 1 })).toBeLessThan(0);
    expect(comparePlaced({ epoch: 2, generation: 9 }, { epoch: 2, generation: 1 })).toBeGreaterThan(0);
    expect(comparePlaced({ epoch: 2, generation: 1 }, { epoch: 2, generation: 1 })).toBe(0);
  });

  it('have the same destination if host, port and dialect are the same', () => {
    const there: Destination = { host: 'h', port: 1, dialect: 'auto' };
    expect(sameDestination(there, { ...there })).toBe(true);
    for (const other of [{ host: 'i' }, { port: 2 }, { dialect: 'linkid' as const }]) {
      expect(sameDestination(there, { ...there, ...other })).toBe(false);
    }
  });
});
