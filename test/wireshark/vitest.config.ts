import { defineConfig } from 'vitest/config';

/** `npm run test:wireshark`: separate from `npm test`, because it needs tshark. */
export default defineConfig({
  test: {
    include: ['test/wireshark/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 60_000,
    pool: 'forks',
  },
});
