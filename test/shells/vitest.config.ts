import { defineConfig } from 'vitest/config';

/** `npm run test:shells`: separate from `npm test`, because it needs mandoc, zsh and fish. */
export default defineConfig({
  test: {
    include: ['test/shells/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 1,
  },
});
