import { defineConfig } from 'vitest/config';

/** `npm run test:monitoring`: separate from `npm test`, because it needs promtool (Debian's `prometheus`). */
export default defineConfig({
  test: {
    include: ['test/monitoring/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 1,
  },
});
