import { execFileSync, spawnSync } from 'node:child_process';

/** Image used where no nats-server is installed: of the same series as on the test hosts. */
const IMAGE = 'nats:2.9-alpine';
/** Longest time to install Debian's package, ms. */
const INSTALL_MS = 120_000;

/** How to run nats-server: a program, and the arguments before its own. */
export interface NatsProgram {
  readonly command: string;
  readonly before: (directory: string) => readonly string[];
}

let found: NatsProgram | null = null;

/**
 * The nats-server on PATH; else one in Docker; else Debian's, installed if that is allowed here. Tests are never
 * skipped for want of it: if there is no way to get one, this throws and says how to.
 */
export function natsProgram(): NatsProgram {
  found ??= onPath() ?? inDocker() ?? installed();
  if (found === null) {
    throw new Error('these tests need nats-server: apt-get install nats-server, or start Docker, or put it on PATH');
  }
  return found;
}

function works(command: string, args: readonly string[], timeout = 10_000): boolean {
  return spawnSync(command, args, { stdio: 'ignore', timeout }).status === 0;
}

function onPath(): NatsProgram | null {
  const command = ['nats-server', '/usr/sbin/nats-server'].find((name) => works(name, ['--version']));
  return command === undefined ? null : { command, before: () => [] };
}

function inDocker(): NatsProgram | null {
  if (!works('docker', ['info']) || !works('docker', ['pull', '--quiet', IMAGE], INSTALL_MS)) return null;
  return {
    command: 'docker',
    before: (directory) => ['run', '--rm', '--init', '--network=host', `--volume=${directory}:${directory}`, IMAGE],
  };
}

function installed(): NatsProgram | null {
  if (process.getuid?.() !== 0 || !works('apt-get', ['--version'])) return null;
  try {
    const options = { stdio: 'ignore', timeout: INSTALL_MS } as const;
    execFileSync('apt-get', ['update'], options);
    execFileSync('apt-get', ['install', '--yes', '--no-install-recommends', 'nats-server'], options);
  } catch {
    return null;
  }
  return onPath();
}
