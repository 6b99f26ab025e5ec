import { spawn } from 'node:child_process';
import { join } from 'node:path';

const HEALTH = join(import.meta.dirname, '../../deploy/docker/health.ts');

/** Runs the image's health check against a process whose HTTP server listens at this address. */
export function runHealth(httpListen: string, ...args: string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [HEALTH, ...args], {
    env: { ...process.env, SPANMESH_HTTP_LISTEN: httpListen },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, output }));
  });
}
