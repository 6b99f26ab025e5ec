import { argv, env, exit, stdout } from 'node:process';
import { programArguments, refuse } from '../programs/arguments.ts';
import type { Outcome } from './fuzz.ts';
import { TARGETS } from './targets.ts';

const USAGE = `usage: npm run fuzz [-- [target…] [--seed N] [--runs N | --seconds S] [--input FILE]]

Gives random input to code that reads bytes of others (docs/fuzzing.md). Exit code 1 if there is a finding.

  target…      these targets; all unless told: ${Object.keys(TARGETS).join(', ')}
  --seed N     where the random numbers begin; a new one unless told
  --runs N     inputs of each target
  --seconds S  seconds of all targets together; SPANMESH_FUZZ_SECONDS, or 60, unless told
  --input FILE an input that is tried once`;

const { values, positionals } = programArguments(USAGE, {
  args: argv.slice(2),
  allowPositionals: true,
  options: {
    seed: { type: 'string' },
    runs: { type: 'string' },
    seconds: { type: 'string' },
    input: { type: 'string' },
  },
});
const names = positionals.length > 0 ? positionals : Object.keys(TARGETS);
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(values.seed);
const seconds = Number(values.seconds ?? env.SPANMESH_FUZZ_SECONDS ?? 60);
const runs = values.runs === undefined ? null : Number(values.runs);
if (![seed, seconds, runs ?? 0].every((number) => Number.isFinite(number) && number >= 0)) {
  refuse('--seed, --runs and --seconds are numbers, none below 0');
}
const unknown = names.filter((name) => !(name in TARGETS));
if (unknown.length > 0) refuse(`no such target: ${unknown}; there are ${Object.keys(TARGETS).join(', ')}`);

if (values.input === undefined) {
  let findings = 0;
  const shares = names.reduce((sum, name) => sum + shareOf(name), 0);
  for (const name of names) {
    const budget = runs === null ? { seconds: (seconds * shareOf(name)) / shares } : { runs };
    const outcome = await TARGETS[name]!.fuzz({ seed, ...budget, report: (line) => print(line) });
    print(summary(outcome));
    findings += outcome.findings;
  }
  exit(findings === 0 ? 0 : 1);
}
try {
  await TARGETS[names[0]!]!.replay(values.input);
  print('nothing found');
} catch (error) {
  print(error instanceof Error ? (error.stack ?? error.message) : String(error));
  exit(1);
}
exit(0);

function shareOf(name: string): number {
  return TARGETS[name]?.share ?? 0;
}

function summary({ target, seed, inputs, seconds, counts, findings }: Outcome): string {
  const more = Object.entries(counts).map(([what, count]) => `${count.toLocaleString('en')} ${what}`);
  const rate = Math.round(inputs / Math.max(seconds, 0.001)).toLocaleString('en');
  return [
    `${target}: seed ${seed}, ${inputs.toLocaleString('en')} inputs`,
    ...more,
    `${seconds.toFixed(1)} s (${rate}/s)`,
    `findings: ${findings}`,
  ].join(', ');
}

function print(line: string): void {
  stdout.write(`${line}\n`);
}
