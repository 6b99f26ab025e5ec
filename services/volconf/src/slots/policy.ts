import type { Slot } from './slot.ts';

/** Which of a group of slots are to be kept connected. */
export type Policy = 'all' | 'priority';

/** Slots that a policy weighs against each other: those of one media that name the same cluster. */
export function groupOf(slot: Slot): string {
  return `${slot.key} ${slot.copy.pfsClid}`;
}

/**
 * The slots of a group that are to be connected; they all have a destination.
 *
 * priority: from the best downwards, as far as the first that is up or has not failed yet: so a worse one is tried while the
 * better is down, and left when the better is up again. Those of one priority that have the round-robin flag count as one and
 * share; of the others the one with the lowest index comes first.
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
