import type { Step } from './plan.ts';
import type { Schedule } from './run.ts';

/** Most runs that shrinking may take. */
const MOST_RUNS = 120;

/**
 * Finds a schedule with fewer faults that still fails. It leaves out whole rounds first, then halves, quarters and
 * single steps of the rest. `fails` plays a schedule. Leaving out a step shifts the times and random numbers of all
 * others, so the failure need not stay the same.
 */
export async function shrink(
  schedule: Schedule,
  fails: (schedule: Schedule) => Promise<boolean>,
  { mostRuns = MOST_RUNS }: { mostRuns?: number } = {},
): Promise<Schedule> {
  let best = schedule;
  let runs = 0;
  const isBetter = async (candidate: Schedule): Promise<boolean> => {
    if (runs >= mostRuns) return false;
    runs++;
    if (!(await fails(candidate))) return false;
    best = candidate;
    return true;
  };
  // The steps that matter are mostly in the last round.
  for (let keep = 1; keep < schedule.length; keep *= 2) if (await isBetter(schedule.slice(-keep))) break;
  for (let size = Math.ceil(countOf(best) / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    let at = 0;
    while (at < countOf(best) && runs < mostRuns) {
      if (!(await isBetter(without(best, at, size)))) at += size;
    }
  }
  const full = best.filter((steps) => steps.length > 0);
  if (full.length < best.length) await isBetter(full);
  return best;
}

function countOf(schedule: Schedule): number {
  return schedule.reduce((sum, { length }) => sum + length, 0);
}

/** The schedule without `size` steps, counted from step number `at`. */
function without(schedule: Schedule, at: number, size: number): Schedule {
  let n = 0;
  const left: Step[][] = [];
  for (const steps of schedule) {
    left.push(
      steps.filter(() => {
        const isOut = n >= at && n < at + size;
        n++;
        return !isOut;
      }),
    );
  }
  return left;
}
