import { planRound, type Sizes, type Step } from './plan.ts';
import { setKernel } from './platform/globals.ts';
import { Finding, World, type WorldOptions } from './world.ts';

/** The schedule of a run: its rounds, each with its steps. */
export type Schedule = readonly (readonly Step[])[];

export interface RunOptions extends WorldOptions {
  /** At least so long, ms of the simulation; the last round is played to its end. */
  readonly simulatedMs: number;
  /** Instead of what the seed says; then as many rounds as it has. */
  readonly schedule?: Schedule;
}

/** What came of a run. */
export interface Outcome {
  readonly seed: number;
  /** ms of the simulation. */
  readonly simulatedMs: number;
  readonly rounds: number;
  readonly events: number;
  readonly answered: number;
  /** Connections that drains have ended in order. */
  readonly drained: number;
  /** What has happened, as a number: the same for the same seed. */
  readonly trace: string;
  readonly faults: ReadonlyMap<string, number>;
  /** What was found; null: nothing. */
  readonly finding: string | null;
  /** What was played, to its last round. */
  readonly schedule: Schedule;
}

/** Plays a seed: rounds of faults, after each of which everything must be whole again. */
export async function run(options: RunOptions): Promise<Outcome> {
  const { seed, sizes, simulatedMs, schedule } = options;
  const world = new World(options);
  const late = (error: unknown) => world.threw(error, world.kernel.current);
  process.on('uncaughtException', late);
  process.on('unhandledRejection', late);
  const played: (readonly Step[])[] = [];
  let finding: string | null = null;
  try {
    await world.quiet();
    while (schedule === undefined ? world.kernel.now < simulatedMs : played.length < schedule.length) {
      const steps = schedule?.[played.length] ?? planRound(seed, played.length, sizes);
      played.push(steps);
      world.kernel.note(`round ${played.length - 1}`);
      await world.round(steps);
      await world.quiet();
    }
    world.kernel.note('everybody goes');
    await world.deserted();
  } catch (error) {
    if (!(error instanceof Finding)) throw error;
    finding = error.message;
  } finally {
    process.off('uncaughtException', late);
    process.off('unhandledRejection', late);
    setKernel(null);
  }
  const { kernel, answered, faults, operator } = world;
  return {
    seed,
    simulatedMs: kernel.now,
    rounds: played.length,
    events: kernel.events,
    answered,
    drained: operator.ended,
    trace: kernel.trace,
    faults,
    finding,
    schedule: played,
  };
}

export type { Sizes };
