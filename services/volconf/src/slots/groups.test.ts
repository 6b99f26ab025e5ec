import { decodeVolconfCopy } from '@spanmesh/dmsg/payload/lnk-volconf';
import { describe, expect, it } from 'vitest';
import { Target } from '../reconciler/target.ts';
import { copyOf, MEDIA } from '../testing/world.fixture.ts';
import { Groups } from './groups.ts';
import type { Policy } from './policy.ts';
import { Slot } from './slot.ts';

const PORT = 987;
const EMPTY = { groups: 0, groupsOfSlots: 0, undecided: 0 };

/** Groups whose wishes are recorded in their order. */
function rig(policy: Policy) {
  const shown: number[] = [];
  const groups = new Groups({ policy }, { shown: ({ index }) => shown.push(index) });
  const slot = (index: number, priority: number, path = 'span:host'): Slot => {
    const copy = decodeVolconfCopy(copyOf(path, { priority, copyId: 1 }), 0);
    const told = { gateway: 'gw', stamp: 0, at: 0 };
    const made = new Slot({ mediaId: MEDIA, key: MEDIA, principal: '', index }, copy, 'circuit', told);
    made.target = new Target(`slot ${index}`, '', 0);
    made.interpret(PORT);
    groups.put(made);
    return made;
  };
  const wishes = () =>
    [...groups.wishes()].map(({ target, destination }) => `${target.owner}: ${destination?.host ?? 'nothing'}`);
  return { groups, slot, wishes, shown };
}

describe('the wishes for slots', () => {
  it('with the policy all are every destination, each once, whatever the state of the others', () => {
    const { groups, slot, wishes, shown } = rig('all');
    const first = slot(0, 1);
    slot(1, 2);
    expect(wishes()).toEqual(['slot 0: host', 'slot 1: host']);
    groups.noteState(first);
    groups.remove(first);
    expect([wishes(), shown]).toEqual([[], []]);
  });

  it('is nothing where a slot has no target', () => {
    const { groups, slot, wishes } = rig('all');
    const [bare] = [slot(0, 1), slot(1, 2)];
    bare.target = null;
    expect([wishes(), groups.tables().undecided]).toEqual([['slot 1: host'], 0]);
  });

  it('with the policy priority is the best, and the next as soon as that has failed', () => {
    const { groups, slot, wishes, shown } = rig('priority');
    const [worse, better] = [slot(0, 1), slot(1, 2)];
    expect(wishes()).toEqual(['slot 0: nothing', 'slot 1: host']);
    expect([worse.heldBack, better.heldBack, shown]).toEqual([true, false, [0]]);
    better.target!.failing = true;
    expect(wishes()).toEqual([]);
    groups.noteState(better);
    expect(wishes()).toEqual(['slot 0: host', 'slot 1: host']);
    expect([worse.heldBack, shown]).toEqual([false, [0, 0]]);
  });

  it('are made anew when obeying a wish changes a group, and not before that wish is obeyed', () => {
    const { groups, slot } = rig('priority');
    const [worse, better] = [slot(0, 1), slot(1, 2)];
    const obeyed: string[] = [];
    for (const { target, destination } of groups.wishes()) {
      obeyed.push(`${target.owner}: ${destination?.host ?? 'nothing'}`);
      if (target !== better.target || target.failing) continue;
      target.failing = true;
      groups.noteState(better);
    }
    expect(obeyed).toEqual(['slot 0: nothing', 'slot 1: host', 'slot 0: host', 'slot 1: host']);
    expect(worse.heldBack).toBe(false);
  });

  it('are made for the other slots when one goes or has no destination any more; nothing is left of it', () => {
    const { groups, slot, wishes } = rig('priority');
    const [worse, better] = [slot(0, 1), slot(1, 2)];
    wishes();
    better.destination = null;
    groups.put(better);
    expect(wishes()).toEqual(['slot 0: host']);
    groups.remove(worse);
    expect([wishes(), groups.tables()]).toEqual([[], EMPTY]);
  });
});
