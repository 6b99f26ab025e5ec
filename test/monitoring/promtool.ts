import { spawnSync } from 'node:child_process';

/**
 * Runs promtool and returns its complaints; empty if there are none. @throws Error: it is not installed, or it fails
 * without a message.
 */
export function promtool(args: readonly string[], input = ''): string {
  const { error, status, stdout, stderr } = spawnSync('promtool', args, { input, encoding: 'utf8' });
  if (error !== undefined)
    throw new Error("promtool cannot be run: install Debian's package prometheus", { cause: error });
  if (status === 0) return stderr;
  const said = `${stdout}${stderr}`;
  if (said === '') throw new Error(`promtool ${args.join(' ')} failed with ${status}`);
  return said;
}
