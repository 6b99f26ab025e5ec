import { defineConfig } from 'vitest/config';

/**
 * `npm run test:containers`: separate from `npm test`, because it needs a Docker engine. The tests run one after the
 * other, on one system.
 */
export default defineConfig({
  test: {
    include: ['test/containers/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 300_000,
    pool: 'forks',
    maxWorkers: 1,
  },
});
