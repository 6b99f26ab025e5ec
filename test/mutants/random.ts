import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { seededRandom } from '@spanmesh/ctl/sim/seeded-random';
import { changedLines } from './changed-lines.ts';
import { EQUIVALENTS } from './equivalents.ts';
import { type Mutation, mutationsOf, withMutation } from './mutations.ts';
import type { Scratch } from './scratch.ts';

export interface RandomOptions {
  /** `libs/dmsg`, …; empty: all of them. */
  readonly packages: readonly string[];
  /** Changes of each package, or of all that has changed since a commit. */
  readonly count: number;
  readonly seed: number;
  /** Only lines that have changed since this commit. */
  readonly since: string | null;
  /** Fewer percent that are noticed are a failure. */
  readonly atLeast: number;
}

/** A change, and where. */
interface Candidate {
  readonly package: string;
  readonly file: string;
  readonly mutation: Mutation;
}

/** Whose own tests are asked. */
const PACKAGES = [
  'libs/dmsg',
  'libs/dmsg-socket',
  'libs/spantree',
  'libs/runtime',
  'services/link-gateway',
  'services/topology',
  'services/volconf',
];
/** Tests that take so long have noticed it: they hang. */
const LIMIT_MS = 180_000;

/** Makes random changes, one after the other, and asks the tests of the package. False: too few were noticed. */
export async function tryRandom(options: RandomOptions, scratch: Scratch): Promise<boolean> {
  const packages = options.packages.length > 0 ? options.packages : PACKAGES;
  const unknown = packages.filter((one) => !PACKAGES.includes(one));
  if (unknown.length > 0) throw new RangeError(`no package whose changes can be made: ${unknown.join(', ')}`);
  console.log(`seed ${options.seed}`);
  const groups = packages.map((name) => [name, candidates(name, options.since, scratch)] as const);
  const samples =
    options.since === null
      ? groups.map(([name, all]) => [name, sampleOf(all, options)] as const)
      : [
          [
            `changed since ${options.since}`,
            sampleOf(
              groups.flatMap(([, all]) => all),
              options,
            ),
          ] as const,
        ];
  let isFine = true;
  for (const [name, sample] of samples) {
    let noticed = 0;
    for (const candidate of sample) {
      if (await isNoticed(candidate, scratch)) noticed++;
      else console.log(`  unnoticed | ${show(candidate)}`);
    }
    const percent = sample.length === 0 ? 100 : (100 * noticed) / sample.length;
    console.log(`${name}: ${noticed} of ${sample.length} noticed, ${percent.toFixed(0)} %`);
    if (percent < options.atLeast) isFine = false;
  }
  return isFine;
}

function candidates(name: string, since: string | null, scratch: Scratch): Candidate[] {
  const git = (...args: string[]): string =>
    execFileSync('git', ['-C', scratch.root, ...args], { encoding: 'utf8', maxBuffer: 2 ** 28 });
  const changed = since === null ? null : changedLines(git('diff', '-U0', since, '--', `${name}/src`));
  const files = git('ls-files', `${name}/src`)
    .split('\n')
    .filter((file) => /\.ts$/.test(file) && !/\.(test|fixture)\.ts$|-contract\.ts$|\/testing\//.test(file));
  return files.flatMap((file) => {
    const lines = changed?.get(file);
    if (changed !== null && lines === undefined) return [];
    const source = scratch.read(file);
    const texts = source.split('\n');
    return mutationsOf(source)
      .filter(({ line }) => lines === undefined || lines.has(line))
      .filter((mutation) => !isEquivalent(file, texts[mutation.line - 1] ?? '', mutation))
      .map((mutation) => ({ package: name, file, mutation }));
  });
}

function isEquivalent(file: string, line: string, { kind, replace }: Mutation): boolean {
  return EQUIVALENTS.some(
    (one) => one.file === file && one.line === line.trim() && one.kind === kind && one.replace === replace,
  );
}

/** Some of them, each with the same chance, in the order of the draw. */
function sampleOf(all: readonly Candidate[], { count, seed }: RandomOptions): Candidate[] {
  const left = [...all];
  const random = seededRandom(seed);
  const sample: Candidate[] = [];
  while (sample.length < count && left.length > 0) sample.push(...left.splice(Math.floor(random() * left.length), 1));
  return sample;
}

async function isNoticed({ package: name, file, mutation }: Candidate, scratch: Scratch): Promise<boolean> {
  const source = scratch.read(file);
  scratch.write(file, withMutation(source, mutation));
  try {
    // The test beside it is quick, and knows most.
    const beside = file.replace(/\.ts$/, '.test.ts');
    if (existsSync(join(scratch.root, beside)) && !(await passes(name, ['run', beside], scratch))) return true;
    return !(await passes(name, ['related', '--run', '--passWithNoTests', file], scratch));
  } finally {
    scratch.write(file, source);
  }
}

function passes(name: string, args: readonly string[], { root }: Scratch): Promise<boolean> {
  const child = spawn(
    process.execPath,
    [
      join(root, 'node_modules/vitest/vitest.mjs'),
      ...args,
      '--config',
      'test/mutants/vitest.config.ts',
      '--reporter',
      'dot',
    ],
    { cwd: root, stdio: 'ignore', env: { ...process.env, MUTANTS_PACKAGE: name } },
  );
  const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
  return new Promise((resolve) => {
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve(code === 0);
    });
  });
}

function show({ file, mutation }: Candidate): string {
  const { line, kind, find, replace } = mutation;
  return `${file}:${line} | ${kind} | ${find} | ${replace.replace(/\s+/g, ' ').slice(0, 80)}`;
}
