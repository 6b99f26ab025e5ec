import { execFileSync } from 'node:child_process';
import { seededRandom } from '@spanmesh/ctl/sim/seeded-random';
import { changedLines } from './changed-lines.ts';
import { EQUIVALENTS } from './equivalents.ts';
import { type Mutation, mutationsOf, withMutation } from './mutations.ts';
import { ENDLESS, PackageTests, type Patience, type Verdict } from './package-tests.ts';
import { Scratch } from './scratch.ts';

export interface RandomOptions {
  /** Names of packages (`libs/dmsg`, …); empty: all of them. */
  readonly packages: readonly string[];
  /** Number of changes of each package, or of all lines changed since a commit. */
  readonly count: number;
  readonly seed: number;
  /** If set: only lines that have changed since this commit. */
  readonly since: string | null;
  /** The lowest percentage of noticed changes that counts as success. */
  readonly atLeast: number;
  /** Changes that are tried at once, each in a copy of its own. */
  readonly jobs: number;
}

/** A change, with its file and package. */
interface Candidate {
  readonly package: string;
  readonly file: string;
  readonly mutation: Mutation;
}

/** The packages whose own tests are run. */
const PACKAGES = [
  'libs/dmsg',
  'libs/dmsg-socket',
  'libs/spantree',
  'libs/runtime',
  'services/link-gateway',
  'services/topology',
  'services/volconf',
];
/**
 * A test hangs, and so has noticed a change, if it takes this long, or this part of the time of all tests without a
 * change.
 */
const HANGS_AFTER_MS = 20_000;
const HANGS_AFTER_PART = 0.5;
/** None of the tests ends for so long after that, ms, or for as long as all take without a change: they loop. */
const SAYS_SO_MS = 10_000;

/** Makes random changes and asks the tests of the package about each. False: too few were noticed. */
export async function tryRandom(options: RandomOptions): Promise<boolean> {
  const packages = options.packages.length > 0 ? options.packages : PACKAGES;
  const unknown = packages.filter((one) => !PACKAGES.includes(one));
  if (unknown.length > 0) throw new RangeError(`no package whose changes can be made: ${unknown.join(', ')}`);
  console.log(`seed ${options.seed}`);
  const copies = Array.from({ length: options.jobs }, () => new Scratch());
  const end = (): void => {
    for (const copy of copies) copy.remove();
  };
  const interrupted = (): void => {
    for (const tests of running) tests.end();
    end();
    process.exit(1);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, interrupted);
  try {
    let isFine = true;
    for (const [name, sample] of samples(packages, options, copies[0] ?? new Scratch())) {
      if (!(await trySample(name, sample, options, copies))) isFine = false;
    }
    return isFine;
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, interrupted);
    end();
  }
}

/** What is to be tried, each sample with what it is of. */
function samples(packages: readonly string[], options: RandomOptions, scratch: Scratch): [string, Candidate[]][] {
  const groups = packages.map((name): [string, Candidate[]] => [name, candidates(name, options.since, scratch)]);
  if (options.since === null) return groups.map(([name, all]) => [name, sampleOf(all, options)]);
  const all = groups.flatMap(([, some]) => some);
  return [[`changed since ${options.since}`, sampleOf(all, options)]];
}

async function trySample(
  name: string,
  sample: readonly Candidate[],
  { atLeast }: RandomOptions,
  copies: readonly Scratch[],
): Promise<boolean> {
  const verdicts: Verdict[] = [];
  // Package by package: what has been transformed for one is of no use to the next.
  for (const [one, some] of Map.groupBy(sample, (candidate) => candidate.package)) {
    const patience = await patienceWith(one, copies[0]);
    const left = [...some];
    const tryLeft = async (copy: Scratch): Promise<void> => {
      const tests = begin(copy, one, patience);
      for (let next = left.shift(); next !== undefined; next = left.shift()) {
        const verdict = await verdictOn(next, tests, copy);
        verdicts.push(verdict);
        if (verdict !== 'failed') console.log(`  ${SHOWN[verdict]} | ${show(next)}`);
      }
      stop(tests);
    };
    await Promise.all(copies.map(tryLeft));
  }
  const noticed = verdicts.filter((verdict) => verdict !== 'passed').length;
  const hung = verdicts.filter((verdict) => verdict === 'hung').length;
  const percent = sample.length === 0 ? 100 : (100 * noticed) / sample.length;
  const ofThem = hung === 0 ? '' : `, ${hung} of them because something hung`;
  console.log(`${name}: ${noticed} of ${sample.length} noticed, ${percent.toFixed(0)} %${ofThem}`);
  return percent >= atLeast;
}

/** Processes that would not end with this one. */
const running = new Set<PackageTests>();
const SHOWN: Record<Verdict, string> = { passed: 'unnoticed', failed: 'noticed', hung: 'hung' };

function begin(copy: Scratch, name: string, patience: Patience): PackageTests {
  const tests = new PackageTests(copy.root, name, patience);
  running.add(tests);
  return tests;
}

function stop(tests: PackageTests): void {
  tests.end();
  running.delete(tests);
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

/** A random sample, in which each candidate has the same chance, in the order of the draw. */
function sampleOf(all: readonly Candidate[], { count, seed }: RandomOptions): Candidate[] {
  const left = [...all];
  const random = seededRandom(seed);
  const sample: Candidate[] = [];
  while (sample.length < count && left.length > 0) sample.push(...left.splice(Math.floor(random() * left.length), 1));
  return sample;
}

/** When tests of the package hang, on this machine, as busy as it is. @throws Error: they fail without a change */
async function patienceWith(name: string, copy: Scratch | undefined): Promise<Patience> {
  if (copy === undefined) throw new RangeError('nothing can be tried without a copy');
  const tests = begin(copy, name, ENDLESS);
  const begun = performance.now();
  const verdict = await tests.all();
  stop(tests);
  if (verdict !== 'passed') throw new Error(`the tests of ${name} fail without a change: what they say means nothing`);
  const took = performance.now() - begun;
  const test = Math.max(HANGS_AFTER_MS, HANGS_AFTER_PART * took);
  return { test, silence: Math.max(test + SAYS_SO_MS, took) };
}

async function verdictOn({ file, mutation }: Candidate, tests: PackageTests, copy: Scratch): Promise<Verdict> {
  const source = copy.read(file);
  copy.write(file, withMutation(source, mutation));
  try {
    return await tests.related(file);
  } finally {
    copy.write(file, source);
  }
}

function show({ file, mutation }: Candidate): string {
  const { line, kind, find, replace } = mutation;
  return `${file}:${line} | ${kind} | ${find} | ${replace.replace(/\s+/g, ' ').slice(0, 80)}`;
}
