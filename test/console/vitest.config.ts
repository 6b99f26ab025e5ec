import { defineConfig } from 'vitest/config';

/** `npm run test:console`: apart from `npm test`, for it needs Debian's chromium. One file after the other, all in one browser at a time. */
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
