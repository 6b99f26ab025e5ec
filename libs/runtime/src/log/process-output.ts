import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { systemClock } from '../clock.ts';
import { LineOutput } from './line-output.ts';

const STDOUT = 1;
const STDERR = 2;

/** Standard output of this process: its log, and the banner of a standalone. */
export const processOutput = outputTo(STDOUT);
/** Standard error of this process, for why it cannot start. */
export const processErrors = outputTo(STDERR);

// A last attempt, which does not wait either: a process that is told to end must end, whether or not its log is read.
process.on('exit', () => {
  processOutput.flush();
  processErrors.flush();
});

/** The descriptor is opened with the first line, so a process without output leaves it unchanged. */
function outputTo(fd: typeof STDOUT | typeof STDERR): LineOutput {
  let opened: number | null = null;
  return new LineOutput({
    write: (bytes) => {
      opened ??= openUnblocked(fd);
      return writeSync(opened, bytes);
    },
    clock: systemClock,
  });
}

/**
 * A second descriptor for the output of `fd`, on which a write that would have to wait fails with EAGAIN. For a file on
 * a disk there is no such mode: a write to it succeeds, or fails (ENOSPC).
 */
function openUnblocked(fd: typeof STDOUT | typeof STDERR): number {
  if (isatty(fd)) return openTerminal(fd) ?? fd;
  const kind = fstatSync(fd);
  if (kind.isFIFO() || kind.isSocket()) {
    // Node makes a pipe or a socket non-blocking when it creates the stream for it, and restores the mode at exit.
    void (fd === STDOUT ? process.stdout : process.stderr);
  }
  return fd;
}

/**
 * Opens the terminal anew: a shell that shares it with us must not find it non-blocking. null: that is not allowed
 * here.
 */
function openTerminal(fd: number): number | null {
  try {
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return null;
  }
}
