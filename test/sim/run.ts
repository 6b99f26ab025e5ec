import { planRound, type Sizes, type Step } from './plan.ts';
import { setKernel } from './platform/globals.ts';
import { Finding, World, type WorldOptions } from './world.ts';

/** The schedule of a run: its rounds, each with its steps. */
export type Schedule = readonly (readonly Step[])[];

export interface RunOptions extends WorldOptions {
  /** Shortest duration of a run, ms of the simulation; the last round is played to its end. */
  readonly simulatedMs: number;
  /** Played instead of the seed's own plan; the run then has as many rounds as the schedule. */
  readonly schedule?: Schedule;
}

/** The result of a run. */
export interface Outcome {
  readonly seed: number;
  /** Simulated duration, ms. */
  readonly simulatedMs: number;
  readonly rounds: number;
  readonly events: number;
  readonly answered: number;
  /** Connections that drains have closed in order. */
  readonly drained: number;
  /** A checksum of everything that happened: the same for the same seed. */
  readonly trace: string;
  readonly faults: ReadonlyMap<string, number>;
  /** The first violation that was found; null: none. */
  readonly finding: string | null;
  /** The rounds that were played, including the last. */
  readonly schedule: Schedule;
}

/** Plays a seed: rounds of faults. After each, everything must become whole again. */
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
