/**
 * A vitest that stays: what it has transformed for one change it need not transform for the next. package-tests.ts
 * starts it, in the copy that is changed, and asks it over the channel between the two processes. Each run has a worker
 * of its own, so nothing of a change stays.
 */
import { join } from 'node:path';
import { BaseSequencer, createVitest, type TestSpecification } from 'vitest/node';
import { distance, ownTest } from './nearest.ts';
import type { HostAnswer, HostProgress, HostRequest } from './package-tests.ts';

/** Nearest to the change first: what is beside it knows most of it, and the first that fails ends the run. */
class NearestFirst extends BaseSequencer {
  static changed = '';

  override async sort(all: TestSpecification[]): Promise<TestSpecification[]> {
    const far = new Map(all.map((one) => [one, distance(NearestFirst.changed, one.moduleId)]));
    return all.sort((a, b) => (far.get(a) ?? 0) - (far.get(b) ?? 0) || (a.moduleId < b.moduleId ? -1 : 1));
  }
}

const limitMs = Number(process.env.MUTANTS_LIMIT_MS ?? 0);
/** What the last request had changed: it has been put right since. */
let before: string | null = null;
let isPassed = false;
let isHung = false;
const vitest = await createVitest({
  config: join(process.cwd(), 'test/mutants/vitest.config.ts'),
  watch: false,
  sequence: { sequencer: NearestFirst },
  reporters: [
    {
      onTestCaseResult(test) {
        process.send?.({ isAlive: true } satisfies HostProgress);
        const { state } = test.result();
        if (state === 'failed' && limitMs > 0 && (test.diagnostic()?.duration ?? 0) >= limitMs) isHung = true;
      },
      onTestRunEnd(_modules, errors, reason) {
        isPassed = reason === 'passed' && errors.length === 0;
      },
    },
  ],
});
await vitest.standalone();

process.on('message', (request: HostRequest) => void answer(request));
process.on('disconnect', () => process.exit(0));
process.send?.({ isReady: true });

/** Runs the tests that have to do with a file, or all. */
async function answer({ changed, of }: HostRequest): Promise<void> {
  const file = changed === null ? '' : join(process.cwd(), changed);
  for (const one of [before, file]) if (one !== null) vitest.invalidateFile(one);
  before = file;
  NearestFirst.changed = file;
  if (of === 'related') vitest.config.related = [file, ownTest(file)];
  const tests = await vitest.getRelevantTestSpecifications();
  isHung = false;
  // Nothing that nobody runs can be noticed.
  isPassed = true;
  if (tests.length > 0) await vitest.runTestSpecifications(tests);
  else delete vitest.config.related;
  process.send?.({ passed: isPassed, hung: isHung } satisfies HostAnswer);
}
