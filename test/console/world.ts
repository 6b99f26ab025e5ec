import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Sim } from '@spanmesh/ctl/sim/sim';
import { type RunningStandalone, startStandalone } from '@spanmesh/standalone/standalone';
import type { Page } from 'playwright-core';

/** Default number of simulated peers. */
export const PEERS = 24;

/** Starts a standalone on ports of its own, with a data directory that is removed afterwards. */
export async function standaloneWith(
  env: Record<string, string> = {},
): Promise<{ readonly standalone: RunningStandalone; readonly stop: () => Promise<void> }> {
  const directory = mkdtempSync(join(tmpdir(), 'spanmesh-console-'));
  const standalone = await startStandalone({
    SPANMESH_GRPC_LISTEN: '127.0.0.1:0',
    SPANMESH_HTTP_LISTEN: '127.0.0.1:0',
    SPANMESH_DMSG_LISTEN: '127.0.0.1:0',
    SPANMESH_CONSOLE_LISTEN: '127.0.0.1:0',
    SPANMESH_DATA_DIR: directory,
    SPANMESH_LOG_LEVEL: 'silent',
    ...env,
  });
  const stop = async (): Promise<void> => {
    await standalone.stop();
    rmSync(directory, { recursive: true });
  };
  return { standalone, stop };
}

/** Simulated peers of the standalone, which the caller starts. */
export function simOf(standalone: RunningStandalone, options: Partial<ConstructorParameters<typeof Sim>[0]> = {}): Sim {
  const { port = 0 } = standalone.dmsg[0] ?? {};
  const connect = { host: '127.0.0.1', port };
  const usual = { peers: PEERS, dialect: 'both', spans: 1, clusters: 3, seed: 1, churnMs: 0, load: 0 } as const;
  return new Sim({ ...usual, connect, ...options }, { onSummary: () => {}, onNote: () => {} });
}

/** Waits until the page shows that it is up to date. */
export function isLive(page: Page): Promise<void> {
  return page.locator('[data-state=good]').waitFor();
}
