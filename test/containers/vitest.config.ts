import { defineConfig } from 'vitest/config';

/** `npm run test:containers`: apart from `npm test`, for it needs a Docker engine. One test after the other, all on one system. */
export default defineConfig({
  test: {
    include: ['test/containers/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 300_000,
    pool: 'forks',
    maxWorkers: 1,
  },
});
