import { decodeVolconfCopy } from '@spanmesh/dmsg/payload/lnk-volconf';
import { describe, expect, it } from 'vitest';
import { Target } from '../reconciler/target.ts';
import { copyOf, MEDIA } from '../testing/world.fixture.ts';
import { chosen, groupOf } from './policy.ts';
import { Slot } from './slot.ts';

/** A slot with this priority byte, whose target is new, up, or failing. */
function slot(index: number, priority: number, state: 'new' | 'up' | 'failing' = 'new'): Slot {
  const copy = decodeVolconfCopy(copyOf('span:host', { priority }), 0);
  const told = { gateway: 'gw', stamp: 0, at: 0 };
  const made = new Slot({ mediaId: MEDIA, key: MEDIA, principal: '', index }, copy, 'circuit', told);
  const target = new Target(`slot ${index}`, '', 0);
  if (state === 'failing') target.failing = true;
  if (state === 'up') target.state = { ...RUNNING };
  made.target = target;
  return made;
}

const RUNNING = {
  kind: 'running',
  placed: { gateway: 'gw', epoch: 1, generation: 1 },
  destination: { host: 'host', port: 987, dialect: 'auto' },
  connection: 1,
  remoteAddress: '',
  upAt: 0,
} as const;
const ROUND_ROBIN = 0x80;
const MEDIA_ERROR = 0x40;

const indexes = (slots: Iterable<Slot>) => [...slots].map(({ index }) => index).toSorted((a, b) => a - b);
const byPriority = (...slots: Slot[]) => indexes(chosen('priority', slots));

describe('the policy all', () => {
  it('chooses every slot, whatever its fields', () => {
    const slots = [slot(0, 0), slot(1, 15, 'up'), slot(2, MEDIA_ERROR, 'failing')];
    expect(indexes(chosen('all', slots))).toEqual([0, 1, 2]);
  });
});

describe('the policy priority', () => {
  it('chooses nothing of an empty group', () => {
    expect(byPriority()).toEqual([]);
  });

  it('chooses only the best slot while that is up or has not failed yet', () => {
    expect(byPriority(slot(0, 1), slot(1, 9, 'up'), slot(2, 3))).toEqual([1]);
    expect(byPriority(slot(0, 1), slot(1, 9, 'new'), slot(2, 3))).toEqual([1]);
  });

  it('also chooses the next slot after each failing one, down to the first that is not failing', () => {
    expect(byPriority(slot(0, 1), slot(1, 9, 'failing'), slot(2, 3, 'failing'), slot(3, 2), slot(4, 0))).toEqual([
      1, 2, 3,
    ]);
    expect(byPriority(slot(0, 1, 'failing'), slot(1, 9, 'failing'))).toEqual([0, 1]);
  });

  it('chooses slots whose media has errors after all others, by their priority', () => {
    expect(byPriority(slot(0, MEDIA_ERROR | 15), slot(1, 0))).toEqual([1]);
    expect(byPriority(slot(0, MEDIA_ERROR | 1), slot(1, MEDIA_ERROR | 2))).toEqual([1]);
    expect(byPriority(slot(0, 15), slot(1, MEDIA_ERROR))).toEqual([0]);
  });

  it('chooses the lowest index of equal slots', () => {
    expect(byPriority(slot(2, 5), slot(1, 5), slot(3, 5))).toEqual([1]);
    expect(byPriority(slot(10, 5), slot(9, 5))).toEqual([9]);
  });

  it('chooses all slots of one priority with the round-robin flag together, before others of this priority', () => {
    const share = ROUND_ROBIN | 5;
    expect(byPriority(slot(0, 5), slot(1, share), slot(2, share))).toEqual([1, 2]);
    expect(byPriority(slot(1, share), slot(2, ROUND_ROBIN | 4))).toEqual([1]);
  });

  it('treats slots that share as one: the next is chosen when all of them fail', () => {
    const share = ROUND_ROBIN | 5;
    expect(byPriority(slot(0, 5), slot(1, share, 'failing'), slot(2, share))).toEqual([1, 2]);
    expect(byPriority(slot(0, 5), slot(1, share, 'failing'), slot(2, share, 'failing'))).toEqual([0, 1, 2]);
    expect(byPriority(slot(0, 5), slot(1, share, 'failing'), slot(2, share, 'up'))).toEqual([1, 2]);
    // This slot is up, though an earlier attempt failed.
    const up = slot(1, 9, 'up');
    up.target!.failing = true;
    expect(byPriority(up, slot(2, 3))).toEqual([1]);
  });

  it('treats a slot without a target as one that has not failed', () => {
    const fresh = slot(1, 9);
    fresh.target = null;
    expect(byPriority(fresh, slot(2, 3))).toEqual([1]);
  });

  it('compares slots of one media and one cluster', () => {
    expect(groupOf(slot(0, 0))).toBe(groupOf(slot(1, 9)));
    const other = { ...slot(0, 0), key: 'other', copy: slot(0, 0).copy } as Slot;
    expect(groupOf(other)).not.toBe(groupOf(slot(0, 0)));
  });
});
