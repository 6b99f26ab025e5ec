import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

/** After this time, ms, a test counts as hanging; 0: never. */
const LIMIT_MS = Number(process.env.MUTANTS_LIMIT_MS ?? 0);

/**
 * The tests of one package, for `npm run mutants -- random`. Files run one after the other, so that a hanging test is
 * noticed soon.
 */
export default defineConfig({
  root: join(import.meta.dirname, '../..'),
  test: {
    include: [`${process.env.MUTANTS_PACKAGE ?? '{libs,services}/*'}/src/**/*.test.ts`],
    testTimeout: LIMIT_MS,
    hookTimeout: LIMIT_MS,
    expect: { poll: { timeout: 10_000 } },
    pool: 'forks',
    isolate: false,
    maxWorkers: 1,
    bail: 1,
  },
});
