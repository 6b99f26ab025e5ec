import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { PATIENCE } from './libs/runtime/src/patience.fixture.ts';

/** Tests that flood a router: apart from the others. */
const ALONE = ['test/tcp/flood.test.ts'];

/**
 * Files at once, on a machine with two cores: most of them wait most of the time, for a process, a lease or a fault's
 * end.
 */
const WORKERS = Math.max(4, 2 * availableParallelism());

/**
 * Everything that reads and writes peers' sockets: run once more with Node's public interface alone
 * (docs/decisions/008-sockets.md).
 */
const SOCKETS = [
  'services/link-gateway/src/{routing,trunk}/**/*.test.ts',
  'services/link-gateway/src/{gateway-service,connection/kernel-queues,entrance/listener,peers/relays,peers/volconf}.test.ts',
  'libs/dmsg-socket/src/{socket/read-memory,stream/dmsg-socket,stream/peer-end,stream/send-queue-socket}.test.ts',
  'test/tcp/{crypt,dialects,entrance,errors,half-dead,hostile,messaging,peers,stop}.test.ts',
];

export default defineConfig({
  test: {
    // Only for what hangs: how long something takes is asserted nowhere, and a machine may be busy with other things.
    testTimeout: 240_000,
    hookTimeout: 240_000,
    expect: { poll: PATIENCE },
    pool: 'forks',
    maxWorkers: WORKERS,
    // Files leave nothing behind, and what they import is loaded once for all files that a worker runs: a fifth of the
    // time of the processor. A worker runs files of one project only.
    isolate: false,
    projects: [
      {
        extends: true,
        test: {
          name: 'units',
          include: ['{libs,services}/**/*.test.ts'],
          exclude: ['**/node_modules/**'],
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'worlds',
          include: ['test/**/*.test.ts'],
          exclude: ['**/node_modules/**', 'test/{containers,wireshark,monitoring,clients,console,shells}/**', ...ALONE],
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'public sockets',
          include: SOCKETS,
          setupFiles: ['libs/dmsg-socket/src/socket/public-only.fixture.ts'],
          sequence: { groupOrder: 0 },
        },
      },
      { extends: true, test: { name: 'alone', include: ALONE, maxWorkers: 1, sequence: { groupOrder: 1 } } },
    ],
  },
});
