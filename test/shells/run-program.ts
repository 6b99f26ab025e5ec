import { spawnSync } from 'node:child_process';

/** The result of a program of a Debian package. */
export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The longest time that a program may take, ms. */
const PATIENCE_MS = 30_000;

/**
 * Runs a program of the Debian package of the same name, with `home`, which contains no user's settings, as the home
 * directory.
 * @throws Error: it is not installed
 */
export function runProgram(program: string, args: readonly string[], home: string): Outcome {
  const { error, status, stdout, stderr } = spawnSync(program, args, {
    encoding: 'utf8',
    cwd: home,
    timeout: PATIENCE_MS,
    env: {
      PATH: process.env.PATH,
      HOME: home,
      XDG_CONFIG_HOME: home,
      XDG_DATA_HOME: home,
      TERM: 'dumb',
      LC_ALL: 'C.UTF-8',
    },
  });
  if (error !== undefined) throw new Error(`${program} cannot be run: apt-get install ${program}`, { cause: error });
  return { status, stdout, stderr };
}
