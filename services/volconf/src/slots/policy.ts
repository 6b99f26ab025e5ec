import type { Slot } from './slot.ts';

/** How the slots that are kept connected are chosen from a group. */
export type Policy = 'all' | 'priority';

/** The group of a slot: slots of one media that name the same cluster are compared with each other. */
export function groupOf(slot: Slot): string {
  return `${slot.key} ${slot.copy.pfsClid}`;
}

/**
 * The slots of a group that must be connected; all slots of the group have a destination.
 *
 * priority: from the best slot downwards, up to the first that is up or has not failed yet. So a worse slot is tried
 * while the better one is down, and hung up when the better one is up again. Slots of one priority with the round-robin
 * flag count as one and share; of the others the one with the lowest index comes first.
 */
export function chosen(policy: Policy, slots: readonly Slot[]): Set<Slot> {
  if (policy === 'all') return new Set(slots);
  const taken = new Set<Slot>();
  for (const unit of units(slots)) {
    for (const slot of unit) taken.add(slot);
    if (unit.some(isUp) || !unit.every(hasFailed)) break;
  }
  return taken;
}

/** The slots of a group from best to worst: slots that share by round robin as one unit, any other slot alone. */
function units(slots: readonly Slot[]): Slot[][] {
  const sorted = slots.toSorted(
    (a, b) => b.rank - a.rank || Number(b.roundRobin) - Number(a.roundRobin) || a.index - b.index,
  );
  const all: Slot[][] = [];
  for (const slot of sorted) {
    const last = all.at(-1);
    const [first] = last ?? [];
    if (first?.roundRobin && slot.roundRobin && first.rank === slot.rank) last?.push(slot);
    else all.push([slot]);
  }
  return all;
}

function isUp({ target }: Slot): boolean {
  return target?.state.kind === 'running';
}

function hasFailed({ target }: Slot): boolean {
  return target?.failing === true;
}
