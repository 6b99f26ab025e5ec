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
/** A test hangs, and so has noticed a change, when it takes this long, or this part of what all tests take without one. */
const HANGS_AFTER_MS = 20_000;
const HANGS_AFTER_PART = 0.5;
/** What does not even give up then is ended after this many times as long: twice what all tests take. */
const ENDED_AFTER_TIMES = 4;

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
  const limits = new Map<string, number>();
  for (const [name, sample] of samples) {
    let noticed = 0;
    for (const candidate of sample) {
      const limitMs = limits.get(candidate.package) ?? (await hangsAfter(candidate.package, scratch));
      limits.set(candidate.package, limitMs);
      if (await isNoticed(candidate, limitMs, scratch)) noticed++;
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

/** After how many ms a test of the package hangs, on this machine, as busy as it is. @throws Error: its tests fail without a change */
async function hangsAfter(name: string, scratch: Scratch): Promise<number> {
  const begun = performance.now();
  if (!(await passes(name, ['run'], Number.POSITIVE_INFINITY, scratch))) {
    throw new Error(`the tests of ${name} fail without a change: what they say of one means nothing`);
  }
  return Math.max(HANGS_AFTER_MS, HANGS_AFTER_PART * (performance.now() - begun));
}

async function isNoticed(
  { package: name, file, mutation }: Candidate,
  limitMs: number,
  scratch: Scratch,
): Promise<boolean> {
  const source = scratch.read(file);
  scratch.write(file, withMutation(source, mutation));
  try {
    // The test beside it is quick, and knows most.
    const beside = file.replace(/\.ts$/, '.test.ts');
    if (existsSync(join(scratch.root, beside)) && !(await passes(name, ['run', beside], limitMs, scratch))) return true;
    return !(await passes(name, ['related', '--run', '--passWithNoTests', file], limitMs, scratch));
  } finally {
    scratch.write(file, source);
  }
}

/** A test that takes `limitMs` has failed; one that does not even give up then is ended. */
function passes(name: string, args: readonly string[], limitMs: number, { root }: Scratch): Promise<boolean> {
  const limit = Number.isFinite(limitMs) ? Math.ceil(limitMs) : 0;
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
    // In a group of its own: a worker that loops does not notice that its parent is gone.
    {
      cwd: root,
      detached: true,
      stdio: 'ignore',
      env: { ...process.env, MUTANTS_PACKAGE: name, MUTANTS_LIMIT_MS: String(limit) },
    },
  );
  const end = (): void => {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  };
  const timer = limit === 0 ? undefined : setTimeout(end, ENDED_AFTER_TIMES * limit);
  const interrupted = (): void => {
    end();
    process.exit(1);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, interrupted);
  return new Promise((resolve) => {
    child.on('close', (code) => {
      clearTimeout(timer);
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, interrupted);
      resolve(code === 0);
    });
  });
}

function show({ file, mutation }: Candidate): string {
  const { line, kind, find, replace } = mutation;
  return `${file}:${line} | ${kind} | ${find} | ${replace.replace(/\s+/g, ' ').slice(0, 80)}`;
}
