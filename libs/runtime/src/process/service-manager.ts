import { execFile } from 'node:child_process';

/** Runs a program; the callback is called once, with an error if it could not be run or failed. */
export type RunProgram = (file: string, args: readonly string[], done: (error: Error | null) => void) => void;

/**
 * Tells systemd that this process serves, if a unit with Type=notify has started it. Node has no Unix datagram sockets,
 * so systemd's own program is run for it; the unit needs NotifyAccess=all. Resolves when systemd was told, or at once
 * if it does not wait.
 * @throws the error of `run`: systemd would wait in vain, and end the service after its timeout
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
