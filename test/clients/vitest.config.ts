import { defineConfig } from 'vitest/config';

/** `npm run test:clients`: apart from `npm test`, for it needs protoc, Python and Go with their packages for gRPC. */
export default defineConfig({
  test: {
    include: ['test/clients/**/*.test.ts'],
    testTimeout: 300_000,
    hookTimeout: 300_000,
    pool: 'forks',
    maxWorkers: 1,
  },
});
