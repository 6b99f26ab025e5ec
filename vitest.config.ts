import { defineConfig } from 'vitest/config';

/**
 * Tests that start processes of their own, flood a router, or need the default ports: one file at a time and apart from the others, so
 * that what they measure themselves against is not the rest of the suite.
 */
const ALONE = [
  'test/processes/**/*.test.ts',
  'test/versions/**/*.test.ts',
  'test/tcp/flood.test.ts',
  'test/docs/commands.test.ts',
];

/** Everything that reads and writes peers' sockets: run once more with Node's public interface alone (docs/decisions/008-sockets.md). */
const SOCKETS = [
  'services/link-gateway/src/{routing,trunk}/**/*.test.ts',
  'services/link-gateway/src/{gateway-service,connection/kernel-queues,connection/send-queue-socket,entrance/listener,peers/relays,peers/volconf}.test.ts',
  'services/link-gateway/src/socket/read-memory.test.ts',
  'test/tcp/{crypt,dialects,entrance,errors,half-dead,hostile,messaging,peers,stop}.test.ts',
];

export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    projects: [
      {
        extends: true,
        test: {
          name: 'side by side',
          include: ['{libs,services,test}/**/*.test.ts'],
          exclude: ['**/node_modules/**', 'test/containers/**', ...ALONE],
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'public sockets',
          include: SOCKETS,
          setupFiles: ['services/link-gateway/src/socket/public-only.fixture.ts'],
          sequence: { groupOrder: 0 },
        },
      },
      { extends: true, test: { name: 'alone', include: ALONE, maxWorkers: 1, sequence: { groupOrder: 1 } } },
    ],
  },
});
