import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));
/** Half an hour of simulated time. .ci/run plays more; a seed that finds something there is added here. */
const SEEDS = '1..8';
const SECONDS = 180;
const LIMIT_MS = 600_000;

/** Runs the simulator in a process of its own, since it replaces parts of the platform for good. */
async function sim(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [MAIN, ...args], { maxBuffer: 2 ** 26 }).catch(
    ({ stdout, stderr }: { stdout: string; stderr: string }) => {
      throw new Error(`${stdout}\n${stderr}`);
    },
  );
  return stdout;
}

describe('a simulated installation', () => {
  it(
    'is whole again after whatever has happened',
    async () => {
      expect(await sim('--seeds', SEEDS, '--seconds', String(SECONDS))).toContain('\n0 findings');
    },
    LIMIT_MS,
  );

  it(
    'does the same for the same seed',
    async () => {
      expect(await sim('--seeds', '2..4', '--seconds', '60', '--twice')).toContain('\n0 findings');
    },
    LIMIT_MS,
  );
});
