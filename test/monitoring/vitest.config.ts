import { defineConfig } from 'vitest/config';

/** `npm run test:monitoring`: apart from `npm test`, for it needs promtool (Debian's `prometheus`). */
export default defineConfig({
  test: {
    include: ['test/monitoring/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 1,
  },
});
