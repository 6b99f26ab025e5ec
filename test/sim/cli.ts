import { programArguments } from '../programs/arguments.ts';
import { showStep, sizesOf } from './plan.ts';
import { real } from './platform/globals.ts';
import { type Outcome, type RunOptions, run, type Schedule } from './run.ts';
import { shrink } from './shrink.ts';

const USAGE = `usage: npm run sim [-- [--seed N | --seeds A..B | --minutes M] [--seconds S] [--twice] [--first] [--no-shrink] [--schedule J] [--log [--log-level L]]]

  --seed N       one seed
  --seeds A..B   each of them
  --minutes M    one seed after the other, for so long by the wall clock; from --seed on, or from a new one
  --seconds S    how long each seed runs at least, in simulated seconds; 180 unless told
  --twice        each seed once more: its trace must be the same
  --first        ends with the first finding, as it was found
  --no-shrink    what was found is said as it was found
  --schedule J   what a finding says: instead of what the seed does
  --log          everything that happens, and what processes log from --log-level (error) up`;

const DEFAULT_SECONDS = '180';

/** Sums over all runs. */
interface Totals {
  runs: number;
  simulatedMs: number;
  /** CPU time, which does not depend on other programs on the machine, ms. */
  processorMs: number;
  events: number;
  answered: number;
  drained: number;
  findings: number;
  readonly faults: Map<string, number>;
}

/** Runs the command and returns its exit code: 1 when something was found. */
export async function main(args: string[]): Promise<number> {
  const { values } = programArguments(USAGE, {
    args,
    options: {
      seed: { type: 'string' },
      seeds: { type: 'string' },
      minutes: { type: 'string' },
      seconds: { type: 'string', default: DEFAULT_SECONDS },
      twice: { type: 'boolean', default: false },
      first: { type: 'boolean', default: false },
      'no-shrink': { type: 'boolean', default: false },
      log: { type: 'boolean', default: false },
      'log-level': { type: 'string', default: 'error' },
      schedule: { type: 'string' },
    },
  });
  const totals: Totals = {
    runs: 0,
    simulatedMs: 0,
    processorMs: 0,
    events: 0,
    answered: 0,
    drained: 0,
    findings: 0,
    faults: new Map(),
  };
  const began = real.now();
  for (const seed of seedsOf(values, () => real.now() - began)) {
    const options: RunOptions = {
      seed,
      sizes: sizesOf(seed),
      simulatedMs: Number(values.seconds) * 1000,
      logLevel: values['log-level'],
      ...(values.schedule !== undefined && { schedule: JSON.parse(values.schedule) as Schedule }),
      ...(values.log && { log: (line: string) => console.log(line) }),
    };
    const outcome = await timed(options, totals);
    if (outcome.finding !== null)
      await report(options, outcome, { shrinks: !values['no-shrink'] && !values.first, totals });
    if (values.twice) {
      const again = await timed(options, totals);
      if (again.trace !== outcome.trace) {
        totals.findings++;
        console.log(`seed ${seed}: not the same twice: ${outcome.trace} and ${again.trace}`);
      }
    }
    if (values.first && totals.findings > 0) break;
    if (totals.runs === 1 || values.seeds === undefined) console.log(`seed ${seed}: trace ${outcome.trace}`);
  }
  console.log(show(totals));
  return totals.findings === 0 ? 0 : 1;
}

function* seedsOf(
  { seed, seeds, minutes }: { seed?: string | undefined; seeds?: string | undefined; minutes?: string | undefined },
  passedMs: () => number,
): Generator<number> {
  if (minutes !== undefined) {
    const first = seed === undefined ? Date.now() % 1_000_000_000 : Number(seed);
    for (let n = first; passedMs() < Number(minutes) * 60_000; n++) yield n;
  } else if (seeds !== undefined) {
    const [from, to] = seeds.split('..').map(Number);
    if (from === undefined || to === undefined || !(from <= to)) throw new Error(`--seeds wants A..B, not ${seeds}`);
    for (let n = from; n <= to; n++) yield n;
  } else yield Number(seed ?? '1');
}

async function timed(options: RunOptions, totals: Totals): Promise<Outcome> {
  const before = process.cpuUsage();
  const outcome = await run(options);
  const { user, system } = process.cpuUsage(before);
  totals.processorMs += (user + system) / 1000;
  totals.runs++;
  totals.simulatedMs += outcome.simulatedMs;
  totals.events += outcome.events;
  totals.answered += outcome.answered;
  totals.drained += outcome.drained;
  for (const [kind, count] of outcome.faults) totals.faults.set(kind, (totals.faults.get(kind) ?? 0) + count);
  return outcome;
}

async function report(
  options: RunOptions,
  { seed, finding, schedule, rounds }: Outcome,
  { shrinks, totals }: { shrinks: boolean; totals: Totals },
): Promise<void> {
  totals.findings++;
  console.log(`\nseed ${seed}, in its round ${rounds - 1}:\n${finding}`);
  if (!shrinks) return;
  let last = finding;
  const fails = async (candidate: Schedule): Promise<boolean> => {
    const { finding: found } = await run({ ...options, log: undefined, schedule: candidate });
    if (found !== null) last = found;
    return found !== null;
  };
  const small = await shrink(schedule, fails);
  console.log(`\nwhat is left of it still fails:`);
  for (const [i, steps] of small.entries()) {
    console.log(`  round ${i}`);
    for (const step of steps) console.log(`    ${showStep(step)}`);
  }
  if (last !== finding) console.log(`with\n${last}`);
  console.log(`again: --seed ${seed} --schedule '${JSON.stringify(small)}'`);
}

function show({ runs, simulatedMs, processorMs, events, answered, drained, findings, faults }: Totals): string {
  const kinds = [...faults].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([kind, count]) => `  ${kind} ${count}`);
  const total = [...faults.values()].reduce((sum, count) => sum + count, 0);
  return [
    '',
    `${runs} runs, ${(simulatedMs / 3_600_000).toFixed(2)} simulated hours, ${Math.round(simulatedMs / processorMs)} times as fast as real (processor time)`,
    `${events} events, ${answered} transactions answered, ${drained} connections drained`,
    `${total} faults:`,
    ...kinds,
    `${findings} findings`,
  ].join('\n');
}
