import { execFile } from 'node:child_process';

/** Runs a program; the callback is called once, with an error if it could not be run or failed. */
export type RunProgram = (file: string, args: readonly string[], done: (error: Error | null) => void) => void;

/**
 * Tells systemd that this process serves, if it was started by a unit of Type=notify. Node has no datagram sockets of the Unix kind, so
 * systemd's own program says it for us; the unit needs NotifyAccess=all. Resolves when it has been said, or at once if nobody asks.
 * @throws what `run` says: systemd would wait in vain, and ends the service when its patience is over
 */
export function notifyReady(
  env: Readonly<Record<string, string | undefined>> = process.env,
  run: RunProgram = (file, args, done) => execFile(file, args, done),
): Promise<void> {
  if (env.NOTIFY_SOCKET === undefined) return Promise.resolve();
  return new Promise((resolve, reject) => {
    run('systemd-notify', ['--ready', `--pid=${process.pid}`], (error) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}
