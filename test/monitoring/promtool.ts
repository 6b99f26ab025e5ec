import { spawnSync } from 'node:child_process';

/** Runs promtool; gives what it says, empty if it has nothing against it. @throws Error: it is not there, or it fails without a word. */
export function promtool(args: readonly string[], input = ''): string {
  const { error, status, stdout, stderr } = spawnSync('promtool', args, { input, encoding: 'utf8' });
  if (error !== undefined)
    throw new Error("promtool cannot be run: install Debian's package prometheus", { cause: error });
  if (status === 0) return stderr;
  const said = `${stdout}${stderr}`;
  if (said === '') throw new Error(`promtool ${args.join(' ')} failed with ${status}`);
  return said;
}
