import { defineConfig } from 'vitest/config';

/** `npm run test:shells`: apart from `npm test`, for it needs mandoc, zsh and fish. */
export default defineConfig({
  test: {
    include: ['test/shells/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 1,
  },
});
