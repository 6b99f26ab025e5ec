import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { programArguments } from '../programs/arguments.ts';
import { MUTANTS } from './list.ts';
import { type Check, type Mutant, mutated, showCheck } from './mutant.ts';
import { tryRandom } from './random.ts';
import { Scratch } from './scratch.ts';

/** Copies take time and memory. */
const MOST_JOBS = 4;

const USAGE = `usage: npm run mutants [-- [--only TEXT] [--no-baseline]]

Breaks one rule after the other in a copy of what is committed, and runs what must notice it. Exit code 1 if a break is not noticed.

  --only TEXT     breaks whose rule or file has this text in it
  --no-baseline   does not run the same checks on the copy as it is first

       npm run mutants -- random [--package NAME]… [--count N] [--seed N] [--since COMMIT] [--at-least PERCENT] [--jobs N]

Makes random changes of the sources of a package instead, and runs the tests of that package alone. Exit code 1 if too few are noticed.

  --package NAME  libs/dmsg, services/topology, …; all that there are if left out
  --count N       changes of each package (20); with --since, of all of them together
  --seed N        the same seed makes the same changes of the same sources
  --since COMMIT  only lines that have changed since
  --at-least PERCENT  what must be noticed (0)
  --jobs N        changes that are tried at once, each in a copy of its own (as many as there are processors, at most ${MOST_JOBS})`;

/** A check that takes this long, ms, hangs, and so has noticed the break, too. */
const LIMIT_MS = 300_000;
/** Limits after which a single test counts as hanging: with a break many tests wait for an event that never comes. */
const HANGS = ['--testTimeout=20000', '--hookTimeout=60000'];

const { values, positionals } = programArguments(USAGE, {
  allowPositionals: true,
  options: {
    only: { type: 'string', default: '' },
    'no-baseline': { type: 'boolean', default: false },
    package: { type: 'string', multiple: true, default: [] },
    count: { type: 'string', default: '20' },
    seed: { type: 'string', default: String(randomInt(2 ** 31)) },
    since: { type: 'string' },
    'at-least': { type: 'string', default: '0' },
    jobs: { type: 'string', default: String(Math.min(availableParallelism(), MOST_JOBS)) },
  },
});
if (positionals.length === 0) process.exitCode = await main(values.only, !values['no-baseline']);
else if (positionals.join(' ') === 'random') process.exitCode = await random();
else {
  console.error(USAGE);
  process.exitCode = 2;
}

async function random(): Promise<number> {
  const { package: packages, count, seed, since, 'at-least': atLeast, jobs } = values;
  const isFine = await tryRandom({
    packages,
    count: Number(count),
    seed: Number(seed),
    since: since ?? null,
    atLeast: Number(atLeast),
    jobs: Math.max(1, Number(jobs)),
  });
  return isFine ? 0 : 1;
}

async function main(only: string, withBaseline: boolean): Promise<number> {
  const chosen = MUTANTS.filter(({ rule, file }) => `${rule} ${file}`.includes(only));
  const scratch = new Scratch();
  try {
    // All breaks are applied once in memory first, so that a wrong one is found before any check runs.
    for (const mutant of chosen) mutated(scratch.read(mutant.file), mutant);
    if (withBaseline && !(await isSound(chosen, scratch))) return 1;
    let survived = 0;
    for (const [i, mutant] of chosen.entries()) {
      const how = await tryOut(mutant, scratch);
      if (how === 'survived') survived++;
      console.log(
        `${String(i + 1).padStart(2)} ${how.padEnd(8)} | ${mutant.rule} | ${mutant.file} | ${showCheck(mutant.noticedBy)}`,
      );
    }
    console.log(`${chosen.length} breaks, ${survived} survived`);
    return survived === 0 ? 0 : 1;
  } finally {
    scratch.remove();
  }
}

/** Whether all checks pass without a break, as they must. */
async function isSound(chosen: readonly Mutant[], scratch: Scratch): Promise<boolean> {
  const checks = new Map(chosen.map(({ noticedBy }) => [JSON.stringify(noticedBy), noticedBy]));
  for (const check of checks.values()) {
    const { isFine, output } = await run(check, scratch);
    if (isFine) continue;
    console.log(`without any break: ${showCheck(check)} fails\n${output}`);
    return false;
  }
  console.log(`${checks.size} checks have nothing to say without a break`);
  return true;
}

/** Makes one break in the copy, runs its check, and restores the file. */
async function tryOut(mutant: Mutant, scratch: Scratch): Promise<'noticed' | 'survived'> {
  const before = scratch.read(mutant.file);
  scratch.write(mutant.file, mutated(before, mutant));
  const { isFine } = await run(mutant.noticedBy, scratch);
  scratch.write(mutant.file, before);
  return isFine ? 'survived' : 'noticed';
}

function run(check: Check, { root }: Scratch): Promise<{ isFine: boolean; output: string }> {
  const args =
    check.kind === 'test'
      ? [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--bail', '1', ...HANGS, check.file]
      : ['test/sim/main.ts', '--seeds', `${check.from}..${check.to}`, '--seconds', String(check.seconds), '--first'];
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += String(data)));
  const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
  return new Promise((resolve) => {
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ isFine: code === 0, output });
    });
  });
}
