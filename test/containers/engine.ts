import { spawnSync } from 'node:child_process';

/** A program that the tests need is missing; the message is one line. */
export class NoEngine extends Error {
  override readonly name = 'NoEngine';
}

function answers(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

/**
 * Finds out how Compose is run here: as a plugin (`docker compose`), or as `docker-compose`, 1.29 or later.
 * @throws NoEngine: says what to install
 */
export function findCompose(): { readonly standalone: boolean } {
  if (!answers('docker', 'info')) {
    throw new NoEngine('no Docker engine answers (docker info): start one to run npm run test:containers');
  }
  if (answers('docker', 'compose', 'version')) return { standalone: false };
  if (answers('docker-compose', 'version')) return { standalone: true };
  throw new NoEngine(
    'Compose is missing: install its plugin for docker, or docker-compose (Debian: apt install docker-compose)',
  );
}
