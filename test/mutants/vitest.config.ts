import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

/** The tests of one package, for `npm run mutants -- random`: one file after the other, and what hangs is noticed soon. */
export default defineConfig({
  root: join(import.meta.dirname, '../..'),
  test: {
    include: [`${process.env.MUTANTS_PACKAGE ?? '{libs,services}/*'}/src/**/*.test.ts`],
    testTimeout: 20_000,
    hookTimeout: 20_000,
    expect: { poll: { timeout: 10_000 } },
    pool: 'forks',
    isolate: false,
    maxWorkers: 1,
    bail: 1,
  },
});
