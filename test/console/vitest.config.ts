import { defineConfig } from 'vitest/config';

/**
 * `npm run test:console`: separate from `npm test`, because it needs Debian's chromium. Files run one after the other,
 * with one browser at a time.
 */
export default defineConfig({
  test: {
    include: ['test/console/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 15_000 } },
    pool: 'forks',
    maxWorkers: 1,
  },
});
