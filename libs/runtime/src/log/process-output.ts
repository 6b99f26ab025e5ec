import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { systemClock } from '../clock.ts';
import { LineOutput } from './line-output.ts';

const STDOUT = 1;
const STDERR = 2;

/** Standard output of this process: its log, and the banner of a standalone. */
export const processOutput = outputTo(STDOUT);
/** Standard error of this process: why it cannot start. */
export const processErrors = outputTo(STDERR);

// A last try, which does not wait either: a process that is told to end ends, whether its log is read or not.
process.on('exit', () => {
  processOutput.flush();
  processErrors.flush();
});

/** Opened with the first line: a process that says nothing leaves the descriptor as it is. */
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
 * A descriptor for the same, on which a write that would have to wait fails with EAGAIN. A file on a disk has no such thing: a write
 * to it succeeds, or fails (ENOSPC).
 */
function openUnblocked(fd: typeof STDOUT | typeof STDERR): number {
  if (isatty(fd)) return openTerminal(fd) ?? fd;
  const kind = fstatSync(fd);
  if (kind.isFIFO() || kind.isSocket()) {
    // Node makes a pipe or a socket non-blocking when it makes the stream for it, and makes it what it was before at exit.
    void (fd === STDOUT ? process.stdout : process.stderr);
  }
  return fd;
}

/** Opened anew: a shell that shares the terminal with us must not find it non-blocking. null: that is not allowed here. */
function openTerminal(fd: number): number | null {
  try {
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return null;
  }
}
