import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';

/** Where a command reads and writes: the process's streams and environment, or those of a test. */
export interface Terminal {
  readonly out: Writable;
  readonly err: Writable;
  readonly in: Readable;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * The terminal of this process. A reader that goes away (`| head`) ends the process quietly, as it ends other tools.
 */
export function processTerminal(): Terminal {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0);
      throw error;
    });
  }
  return {
    out: process.stdout,
    err: process.stderr,
    // Opened only when a command reads it.
    get in() {
      return process.stdin;
    },
    env: process.env,
  };
}

/** Writes, and waits while the reader is slow: an endless watch must not fill the memory. */
export async function write(stream: Writable, data: string | Uint8Array): Promise<void> {
  if (!stream.write(data)) await once(stream, 'drain');
}

/** Writes a line for people to standard error: what went wrong, or what is awaited. */
export function note(terminal: Terminal, line: string): void {
  terminal.err.write(`spanmesh: ${line}\n`);
}
